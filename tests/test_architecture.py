"""The house stays as it was designed: arrows point one way, files stay short, help answers fast."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.api import read_configuration
from PIL import Image

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "vedette"
MODULES = sorted(PACKAGE.rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LONGEST_FILE, LONGEST_PAPER = 350, 300
MOST_CONFIGURATION = 1 / 5  # of a paper's lines: its dataclasses with their checks, and its builder
LONGEST_FUNCTION = 40


def name_of(module: Path) -> str:
    """vedette/cli/train.py → vedette.cli.train; a package's __init__.py → the package."""
    parts = module.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Without the signature: a command's is its table of options."""
    first = function.body[0].lineno
    return (function.end_lineno or first) - first + 1


def test_imports_follow_the_arrows() -> None:
    """In a process of its own: import-linter closes handlers of others, whose streams may be pytest's."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    options = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo"]
    done = subprocess.run([sys.executable, "-c", program, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_contracts_to_keep() -> None:
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    assert [contract["type"] for contract in contracts] == ["layers", "layers", "forbidden", "protected"]


@pytest.mark.parametrize("module", [*MODULES, *EXAMPLES], ids=lambda module: str(module.relative_to(ROOT)))
def test_files_and_functions_are_short(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f"{node.name} has {lines_of(node)} lines" for node in functions if lines_of(node) > LONGEST_FUNCTION]
    if len(text.splitlines()) > (LONGEST_PAPER if module.parent.name == "papers" else LONGEST_FILE):
        long.append(f"the file has {len(text.splitlines())} lines")
    assert not long


@pytest.mark.parametrize("paper", sorted(PACKAGE.glob("papers/[a-z]*.py")), ids=lambda paper: paper.stem)
def test_a_paper_is_mostly_its_idea(paper: Path) -> None:
    text = paper.read_text(encoding="utf-8")
    around = [
        (node.end_lineno or 0) - node.lineno + 1 + len(node.decorator_list)
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and (node.name.endswith("Config") or node.name == "build")
    ]
    assert around
    assert sum(around) <= MOST_CONFIGURATION * len(text.splitlines())


def test_the_command_line_imports_torch_late() -> None:
    """`--help` must answer in under half a second, and torch alone takes longer."""
    modules = ["vedette", *(name_of(module) for module in MODULES if module.is_relative_to(PACKAGE / "cli"))]
    # One interpreter for all of them, so torch's first importer is named.
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'torch', 'torchvision', 'timm', 'numpy'} & sys.modules.keys()\n"
        "    if heavy: sys.exit(f'{name} imports {sorted(heavy)}')\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_pages_and_pictures_are_drawn_without_torch_and_templates_read_late() -> None:
    modules = [name_of(module) for module in MODULES if module.is_relative_to(PACKAGE / "pages")]
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
        "print(*{'torch', 'jinja2'} & sys.modules.keys(), 'vedette.pages.render' in sys.modules)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (finished.stdout, finished.stderr) == ("True\n", "")


def test_data_are_read_checked_and_written_and_names_looked_up_without_torch(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (40, 30)).save(tmp_path / "images" / "a.png")
    (tmp_path / "train.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}], '
        ' "categories": [{"id": 1, "name": "x"}],'
        ' "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 12]}]}'
    )
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from vedette.data.check import check\n"
        "from vedette.data.read import read_datasets\n"
        "from vedette.zoo import known, names\n"
        f"dataset = read_datasets([{str(tmp_path)!r}], 'train')\n"
        "assert len(dataset) == 1 and dataset.image(0).size == (40, 30)\n"
        f"assert check(Path({str(tmp_path)!r})).boxes == 1\n"
        "from vedette.data.convert import convert\n"
        "from vedette.data.fix import fix\n"
        "from vedette.data.show import show\n"
        "from vedette.data.split import split_dataset\n"
        "from vedette.data.statistics import statistics_of\n"
        f"place = Path({str(tmp_path)!r})\n"
        "for to in ('coco', 'voc', 'yolo', 'huggingface'):\n"
        "    convert(place, to, place / 'out' / to)\n"
        "fix(place, place / 'out' / 'fixed')\n"
        "split_dataset(place, {'train': 1.0}, place / 'out' / 'parts')\n"
        "assert show(place).files and statistics_of(dataset)['boxes'] == 1\n"
        "assert known(names()[0]).input == 300\n"
        "sys.exit(' '.join({'torch', 'torchvision', 'timm'} & sys.modules.keys()) or 0)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.stderr == ""
