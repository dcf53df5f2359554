"""The examples of docs/own.md, as they stand there, train, are saved, and are loaded again by whoever trusts them."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import vedette
from vedette.cli.main import run
from vedette.errors import InputError
from vedette.ops.boxes import giou
from vedette.structures import Target, pad_targets
from vedette.train.plan import Wanted, recipe_of
from vedette.weights.own import build_own

PAGE = Path(__file__).parents[1] / "docs" / "own.md"
EXAMPLES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(), re.DOTALL))
SMALL = ["--set", "image_size=64", "--set", "max_side=64"]
SETTINGS = {"my_loss": SMALL, "my_neck": SMALL, "my_backbone": SMALL, "my_detector": ["--set", "image_size=64"]}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the examples and eight pictures of one red square each."""
    for name, text in EXAMPLES.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "data" / "images").mkdir(parents=True)
    images, boxes = [], []
    for number in range(8):
        picture = Image.effect_noise((64, 64), 30).convert("RGB")
        picture.paste((220, 20, 30), (8 + number, 10, 40 + number, 42))
        picture.save(tmp_path / "data" / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        boxes.append({"id": number, "image_id": number, "category_id": 3, "bbox": [8 + number, 10, 32, 32]})
    content = {"images": images, "annotations": boxes, "categories": [{"id": 3, "name": "square"}]}
    for split in ("train", "val"):
        (tmp_path / "data" / f"{split}.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in EXAMPLES:
        sys.modules.pop(name, None)


def test_the_page_has_an_example_of_each() -> None:
    assert list(EXAMPLES) == ["my_loss", "my_neck", "my_backbone", "my_detector", "my_script"]
    for name, text in EXAMPLES.items():
        written = [line for line in text.splitlines() if line.strip() and not line.startswith(("import", "from"))]
        assert len(written) <= (45 if name == "my_detector" else 22), name


@pytest.mark.parametrize("name", SETTINGS)
def test_examples_train_and_load_again(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    words = ["--data", "data", "--epochs", "1", "--workers", "0", "--device", "cpu", "--backbone", "random"]
    assert run(["train", f"{name}:build", "--out", "run", *words, "--precision", "fp32", *SETTINGS[name]]) == 0
    assert json.loads((here / "run" / "run.json").read_text())["model"] == f"{name}:build"
    weights = here / "run" / "best.safetensors"
    capsys.readouterr()
    assert run(["evaluate", str(weights), "--data", "data", "--device", "cpu", "--workers", "0"]) == 2
    assert f"is of {name}:build, which is code that did not come with Vedette" in capsys.readouterr().err
    with pytest.raises(InputError, match="trust=True"):
        vedette.load(weights)
    assert run(["evaluate", str(weights), "--data", "data", "--device", "cpu", "--workers", "0", "--trust"]) == 0
    detector = vedette.load(weights, device="cpu", trust=True)
    assert type(detector.model).__module__ in (name, "vedette.papers.retinanet")
    found = detector.detect("data/images/0.png", score=0.0)
    assert found.category_ids is None or found.category_ids == (3,)
    assert len(found) > 0
    assert run(["train", f"{name}:build", "--out", "run", *words, "--epochs", "2", "--resume", *SETTINGS[name]]) == 0
    again = ["train", "--from-run", "run", "--out", "again", "--device", "cpu"]
    capsys.readouterr()
    assert run(again) == 2
    assert "--trust" in capsys.readouterr().err
    assert run([*again, "--trust", "--show"]) == 0


def test_each_box_learns_from_its_own_object_alone(here: Path) -> None:
    model: Any = vedette.build("my_loss:build", num_classes=1, image_size=64, max_side=64)
    squares = [[[4.0, 4.0, 40.0, 40.0], [30.0, 20.0, 60.0, 50.0]], [[10.0, 8.0, 50.0, 60.0]]]
    targets = [Target(torch.tensor(boxes), torch.zeros(len(boxes), dtype=torch.int64)) for boxes in squares]
    predictions = model(torch.rand(2, 3, 64, 64))
    pairs = model.assign(predictions, pad_targets(targets, predictions.anchors.device)).tolist()
    losses = []
    for image, row in enumerate(pairs):
        for anchor, matched in enumerate(row):
            if matched >= 0:
                box = model.coder.decode(predictions.deltas[image, anchor], predictions.anchors[anchor])
                losses.append(1 - giou(box[None], torch.tensor([squares[image][matched]])).item())
    assert len(losses) > 3
    assert model.loss(predictions, targets)["giou"].item() == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_a_distrusted_module_is_not_even_imported(here: Path) -> None:
    model = vedette.build("my_detector:build", num_classes=1, image_size=64)
    from vedette.weights.files import save_weights

    save_weights("own.safetensors", model, name="evil:build", classes=("a",), input_spec=model.input_spec)  # type: ignore[arg-type]
    (here / "evil.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    with pytest.raises(InputError, match=r"is of evil:build"):
        vedette.load("own.safetensors")
    assert run(["detect", "data/images/0.png", "--model", "own.safetensors", "--out", "found"]) == 2
    assert not (here / "ran").exists()
    with pytest.raises(InputError, match=r"evil .*has no function build"):
        vedette.load("own.safetensors", trust=True)
    assert (here / "ran").exists()
    sys.modules.pop("evil")


def test_the_script_runs(here: Path) -> None:
    from importlib import import_module

    sys.path.insert(0, str(here))
    best = import_module("my_script").train("data", "runs/script")
    assert best.is_file()
    log = (here / "runs" / "script" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        (
            "absent_module:build",
            "",
            r"absent_module:build: there is no module absent_module in .*; go to the folder of absent_module\.py",
        ),
        (
            "mine:biuld",
            "def build(**fields): ...",
            r"mine:biuld: mine \(.*\) has no function biuld; did you mean build\?",
        ),
        ("mine:x", "x = 3", r"mine:x: mine \(.*mine\.py\) has no function x$"),
        ("sys:biuld", "", r"sys:biuld: sys \(built in\) has no function biuld$"),
        ("folder:build", "", r"folder:build: folder \(.*folder\) has no function build$"),
        ("mine.py:build", "", r"mine\.py:build: write mine:build, without \.py"),
        ("mine:build", "def build(width): ...", "^mine:build: .*num_classes"),
        ("os:getcwd", "", "^os:getcwd: .* write def getcwd"),
        ("mine:build", "def build(**fields): return 3", "mine:build: gives a int, not a torch.nn.Module"),
        (
            "mine:build",
            "import torch\ndef build(**fields): return torch.nn.Linear(2, 3)",
            "mine:build: its Linear lacks config, config.num_classes, input_spec, class_layers, loss, detect",
        ),
    ],
)
def test_what_is_no_detector_is_told(here: Path, name: str, text: str, line: str) -> None:
    (here / "mine.py").write_text(text)
    (here / "folder").mkdir()
    try:
        with pytest.raises(InputError, match=line):
            build_own(name, {"num_classes": 2})
    finally:
        sys.modules.pop("mine", None)


MISTAKES = {  # what is put into docs/own.md's detector, and the place and the words of the line that tells it
    "at import": ("class_layers = (", "half = 1 / 0\n    class_layers = (", "ZeroDivisionError: division by zero"),
    "of syntax": ("class_layers = (", "class_layers == = (", "SyntaxError: invalid syntax"),
    "a package": ("class_layers = (", "import no_such_package\n    class_layers = (", "No module named 'no_such_pac"),
    "a file": ("class_layers = (", "open('/no/such/file')\n    class_layers = (", "No such file or directory: '/no/s"),
    "in build": ("super().__init__()", "super().__init__()\n        len(3)", "object of type 'int' has no len()"),
    "in forward": ("x = self.body(images)", "x = self.body(imagse)", "NameError: name 'imagse' is not defined"),
    "in loss": ("logits, deltas, anchors = predictions\n        truth", "len(3)\n        truth", "has no len()"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_by_its_line(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    right, wrong, words = MISTAKES[mistake]
    text = EXAMPLES["my_detector"]
    assert text.count(right) == 1
    written = text.replace(right, wrong)
    (here / "my_detector.py").write_text(written)
    same = (before == after for before, after in zip(text.splitlines(), written.splitlines(), strict=False))
    line = 1 + list(same).index(False)
    command = ["train", "my_detector:build", "--data", "data", "--out", "run", "--epochs", "1", "--workers", "0"]
    command += ["--device", "cpu", "--set", "image_size=64"]
    assert run(command) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {here}/my_detector.py:{line}: "), error
    assert words in error
    assert error.endswith("; the whole traceback: VEDETTE_TRACEBACK=1 vedette …\n")
    assert error.count("\n") == 1
    sys.modules.pop("my_detector", None)
    monkeypatch.setenv("VEDETTE_TRACEBACK", "1")
    with pytest.raises(Exception, match=r"[dsn]"):
        run(command)


def test_what_cannot_be_used_is_told_and_what_ends_the_program(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = EXAMPLES["my_detector"]
    command = ["train", "my_detector:build", "--data", "data", "--out", "run", "--epochs", "1", "--workers", "0"]
    command += ["--device", "cpu", "--set", "image_size=64"]
    (here / "my_detector.py").write_text(text.replace('dict(zip(("class", "box"), losses))', "3.0"))
    assert run(command) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: my_detector: what it made could not be used: AttributeError: 'float' object has no")
    assert "/train/step.py:" in error
    sys.modules.pop("my_detector", None)
    (here / "my_detector.py").write_text(f"{text}\nimport sys\nsys.exit(3)\n")
    assert run(command) == 2
    assert "my_detector ends the program when it is imported" in capsys.readouterr().err


def test_a_mistake_beside_the_module_is_the_authors_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "mine.py").write_text("from helping import half\n\n\ndef build(**fields):\n    return half(0)\n")
    (here / "helping.py").write_text("def half(number):\n    return 1 / number\n")
    try:
        assert run(["config", "mine:build"]) == 2
        assert f"{here}/helping.py:2: ZeroDivisionError: division by zero (in half)" in capsys.readouterr().err
    finally:
        sys.modules.pop("mine", None)
        sys.modules.pop("helping", None)


def test_it_is_of_no_paper() -> None:
    recipe = recipe_of(Wanted(model="m:build", data=()), 10_000, "cpu")
    assert (recipe.optimizer, recipe.epochs) == ("adamw", 15)
    with pytest.raises(InputError, match="--recipe paper: m:build is of no paper"):
        recipe_of(Wanted(model="m:build", data=(), kind="paper"), 10, "cpu")


def test_imagenet_weights_are_for_our_backbones(here: Path) -> None:
    own = vedette.build("my_detector:build", num_classes=1, weights_backbone="imagenet", image_size=64)
    assert isinstance(own, torch.nn.Module)
    with pytest.raises(InputError, match="nobody hands out Plain's"):
        vedette.build("my_backbone:build", num_classes=1, weights_backbone="imagenet")
