"""What one has to read to know all that a paper's file does: the files it reaches and the lines in them.

    python tools/reading.py ssd [--leave-out KERNELS …]

Begins with the whole of src/vedette/papers/NAME.py and follows every name that it imports from the package to its
definition, and the names used there, and so on. Prints each file with the lines of the definitions reached and those of
the whole file. What is left out (by the beginning of the module's name) is neither counted nor followed.
"""

import argparse
import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
LEFT_OUT = ("vedette.errors", "vedette.pages", "vedette.backbones.timm", "vedette.backbones.depthwise")


class Module:
    """Top-level definitions of a file, and what its names mean that come from elsewhere in the package."""

    def __init__(self, name: str) -> None:
        self.path = SOURCE / (name.replace(".", "/") + ".py")
        self.lines = len(self.path.read_text().splitlines())
        self.definitions: dict[str, ast.stmt] = {}
        self.imports: dict[str, tuple[str, str]] = {}
        for statement in ast.parse(self.path.read_text()).body:
            self._add(statement)

    def _add(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith("vedette"):
            for alias in statement.names:
                self.imports[alias.asname or alias.name] = (str(statement.module), alias.name)
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef):
            self.definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for name in (node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)):
                self.definitions[name] = statement


def lines_of(statement: ast.stmt) -> range:
    """The lines of a definition, its decorators with it."""
    first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
    return range(first, (statement.end_lineno or first) + 1)


def reached(start: str, left_out: tuple[str, ...]) -> dict[str, set[int]]:
    """Of each module that the module `start` reaches, the numbers of the lines reached."""
    modules = {start: Module(start)}
    found: dict[str, set[int]] = defaultdict(set)
    found[start] = set(range(1, modules[start].lines + 1))
    waiting = [(start, name) for name in [*modules[start].definitions, *modules[start].imports]]
    seen = set(waiting)
    while waiting:
        module, name = waiting.pop()
        if name in modules[module].imports:
            there, its_name = modules[module].imports[name]
            if there.startswith(left_out) or not (SOURCE / (there.replace(".", "/") + ".py")).is_file():
                continue
            modules.setdefault(there, Module(there))
            nexts = [(there, its_name)]
        elif name in modules[module].definitions:
            statement = modules[module].definitions[name]
            found[module].update(lines_of(statement))
            nexts = [(module, node.id) for node in ast.walk(statement) if isinstance(node, ast.Name)]
        else:
            continue
        waiting += [one for one in nexts if one not in seen]
        seen.update(nexts)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paper", help="a file's name in src/vedette/papers, without .py")
    parser.add_argument("--leave-out", nargs="*", default=[], help="more modules, such as vedette.ops.kernels")
    arguments = parser.parse_args()
    found = reached(f"vedette.papers.{arguments.paper}", (*LEFT_OUT, *arguments.leave_out))
    whole = {name: Module(name).lines for name in found}
    for name in sorted(found, key=lambda name: -len(found[name])):
        print(f"{len(found[name]):5} of {whole[name]:4}  {name}")
    print(f"{sum(map(len, found.values())):5} of {sum(whole.values()):4}  in {len(found)} files")


if __name__ == "__main__":
    main()
