"""Modules as one script: in their order, each once, and nothing left of import and export."""

import shutil
import subprocess
from pathlib import Path

import pytest

from vedette.pages import script
from vedette.pages.script import as_one_script

PAGE = Path(script.__file__).parent / "glass" / "page.js"


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    return folder / "entry.js"


def test_each_module_stands_once_behind_those_that_it_imports(tmp_path: Path) -> None:
    entry = write(
        tmp_path,
        entry='import { twice } from "./twice.js";\nimport { one } from "./one.js";\nconsole.log(twice(one));\n',
        twice='import {\n  one,\n} from "./one.js";\nconst SAME = one;\nexport const twice = (x) => x + SAME;\n',
        one="const SAME = 0;\nexport const one = 1 + SAME;\n",
    )
    text = as_one_script(entry)
    order = [text.index(f'modules["{name}.js"] =') for name in ("one", "twice", "entry")]
    assert order == sorted(order)
    assert text.count('modules["one.js"] =') == 1
    if node := shutil.which("node"):
        assert subprocess.run([node, "-e", text], capture_output=True, text=True, check=True).stdout == "2\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('import other from "./other.js";', "import other"),
        ("export default 1;", "export default"),
        ("const a = 1;\nexport { a };", "export { a }"),
        ('const a = "</script>";', "</script"),
    ],
)
def test_other_forms_are_refused(line: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"entry\.js: '.*of no form that is made into one script") as raised:
        as_one_script(write(tmp_path, entry=line + "\n"))
    assert told in str(raised.value)


def test_the_modules_are_all_in_one_of_the_pages() -> None:
    text, live = as_one_script(PAGE), as_one_script(PAGE.with_name("live.js"))
    for module in PAGE.parent.glob("*.js"):
        assert f'modules["{module.name}"] =' in text + live, module.name
    assert 'modules["tracing.js"]' not in text  # a page of one picture needs no detector
