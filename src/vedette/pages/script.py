"""Modules of JavaScript as one script, since browsers import none from a disk.

A module of the page is plain: it imports as `import { a, b } from "./other.js";`, and what it exports is declared where
it stands, as `export function a` or `export const b`. So each becomes a function that is called once and gives what it
exports, the imported ones first.
"""

import re
from pathlib import Path

IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+\.js)";$', re.MULTILINE)
EXPORT = re.compile(r"^export ((?:(?:async )?function\*?|const|class) (\w+))", re.MULTILINE)
STRANGE = re.compile(r"^(?:import|export)\b.*|</script", re.MULTILINE | re.IGNORECASE)


def as_one_script(entry: Path) -> str:
    """The module and all that it imports, as one script that leaves no names behind.

    Raises ValueError for an import or export of another form, and for what would end the page's script.
    """
    modules: dict[str, str] = {}
    _take(entry, modules)
    return f'{{\n"use strict";\nconst modules = {{}};\n{"".join(modules.values())}}}\n'


def _take(module: Path, modules: dict[str, str]) -> None:
    """Enters those that it imports, then it, each once, by their names."""
    text = module.read_text(encoding="utf-8")
    for _, name in IMPORT.findall(text):
        if name not in modules:
            _take(module.with_name(name), modules)
    modules[module.name] = _as_function(module.name, text)


def _as_function(name: str, text: str) -> str:
    exported = [names[1] for names in EXPORT.findall(text)]
    body = EXPORT.sub(r"\1", IMPORT.sub(r'const \1 = modules["\2"];', text))
    if strange := STRANGE.search(body):
        raise ValueError(f"{name}: {strange[0]!r} is of no form that is made into one script")
    return f'modules["{name}"] = (() => {{\n{body}return {{ {", ".join(exported)} }};\n}})();\n'
