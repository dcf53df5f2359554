"""Modules of JavaScript as one script, since browsers import none from a disk.

A module of the page is plain: its imports stand first, as `import { a, b } from "./other.js";`, and what it exports is
declared where it stands, as `export function a` or `export const a`. So they can be set one behind the other, the
imported ones first, without these words.
"""

import re
from collections.abc import Iterator
from pathlib import Path

IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?function |const |let |class )", re.MULTILINE)
DECLARED = re.compile(r"^(?:export )?(?:(?:async )?function\*? |const |let |class )(\w+)", re.MULTILINE)
DESTRUCTURED = re.compile(r"^(?:export )?(?:const|let) [\[{]([^\]}]*)[\]}] =", re.MULTILINE)


def as_one_script(entry: Path) -> str:
    """The module and all that it imports, as one script that leaves no names behind.

    Raises ValueError for names that two modules declare, and for imports and exports of another form.
    """
    modules = {path: path.read_text(encoding="utf-8") for path in _in_order(entry, [])}
    homes: dict[str, str] = {}
    for path, text in modules.items():
        for name in _declared(text):
            if homes.setdefault(name, path.name) != path.name:
                raise ValueError(
                    f"{path.name} and {homes[name]} both declare {name}: rename one, they become one script"
                )
    script = "".join(EXPORT.sub("", IMPORT.sub("", text)) for text in modules.values())
    strange = re.search(r"^(?:import|export)\b.*|</script", script, re.MULTILINE)
    if strange:
        raise ValueError(f"{entry.name}: {strange[0]!r} is of no form that is made into one script")
    return f'(() => {{\n"use strict";\n{script}}})();\n'


def _in_order(module: Path, before: list[Path]) -> list[Path]:
    """Those that it imports, then it, behind those that stand there; each once."""
    for name in IMPORT.findall(module.read_text(encoding="utf-8")):
        other = module.with_name(name)
        if other not in before:
            _in_order(other, before)
    if module not in before:
        before.append(module)
    return before


def _declared(text: str) -> Iterator[str]:
    """The names at the top of a module."""
    yield from DECLARED.findall(text)
    for names in DESTRUCTURED.findall(text):
        yield from re.findall(r"\w+", names)
