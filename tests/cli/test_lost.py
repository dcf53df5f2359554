"""vedette explain --lost: what it writes, and what it refuses before the work."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from glass.scenes import CLASSES, Scene, told
from glass.test_lost import OBJECT
from glass.test_lost_objects import TINY, finds
from vedette.cli import explain, lost
from vedette.errors import InputError

SCENES = (finds(), Scene(lambda arm, odm: None, [TINY, OBJECT], [0, 1]))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The scenes as COCO has them; cats and cows."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    for index in range(len(SCENES)):
        Image.new("RGB", (64, 64)).save(root / "images" / f"{index}.png")
    rows = [(index, row) for index, scene in enumerate(SCENES) for row in zip(scene.boxes, scene.labels, strict=True)]
    annotations = [
        {"id": n, "image_id": i, "category_id": 5 + label, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for n, (i, ((x1, y1, x2, y2), label)) in enumerate(rows, 1)
    ]
    images = [{"id": index, "file_name": f"{index}.png", "width": 64, "height": 64} for index in range(len(SCENES))]
    categories = [{"id": 5, "name": "cat"}, {"id": 6, "name": "cow"}]
    content = {"images": images, "categories": categories, "annotations": annotations}
    (root / "val.json").write_text(json.dumps(content))
    return root


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """(arguments) → the command's result, with a detector that says what is planted."""
    monkeypatch.setattr(lost, "load_detector", lambda *_, **config: (told(SCENES, **config), CLASSES))
    app = typer.Typer()
    app.command()(explain.explain)
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments), "--workers", "0"])


def test_a_table_and_advice_a_page_and_numbers(run: Any, data: Path, tmp_path: Path) -> None:
    out, numbers = tmp_path / "out", tmp_path / "out.json"
    result = run("--data", f"{data}:val", "--lost", "--out", out, "--json", numbers)
    assert result.exit_code == 0, result.output
    assert "2 of 3 objects are not found with a score of 0.5 or more" in result.output
    assert "mAP (voc12) 0.2500; if no step lost any, 1.0000" in result.output
    assert "anchors: no anchor or region reaches it     1" in result.output
    assert "1 of 2 lost objects has no anchor with IoU 0.5" in result.output
    assert (out / "lost.html").is_file()
    content = json.loads(numbers.read_text())
    assert (content["model"], content["images"], content["lost"]) == ("refinedet320-lite0", 2, 2)
    again = run("--data", data, "--lost", "--out", out, "--json", numbers, "--set", "keep=100")
    assert again.exit_code == 0
    assert json.loads(numbers.read_text())["keep"] == "100"


def test_objects_of_unknown_classes_are_left_out_and_told(run: Any, data: Path, tmp_path: Path) -> None:
    """The numbers are those without them."""
    content = json.loads((data / "val.json").read_text())
    content["categories"].append({"id": 7, "name": "yeti"})
    content["annotations"].append({"id": 9, "image_id": 0, "category_id": 7, "bbox": [2, 2, 20, 20]})
    (data / "val.json").write_text(json.dumps(content))
    out, numbers = tmp_path / "out", tmp_path / "out.json"
    result = run("--data", data, "--lost", "--out", out, "--json", numbers)
    assert result.exit_code == 0, result.output
    assert "1 box of classes that the model does not know left out: 1 yeti" in result.output
    assert "2 of 3 objects are not found with a score of 0.5 or more" in result.output
    assert "of unknown classes, left out <b>1 yeti</b>" in (out / "lost.html").read_text(encoding="utf-8")
    assert json.loads(numbers.read_text())["of unknown classes, left out"] == "1 yeti"


def test_what_will_not_do_is_refused_before_the_work(run: Any, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "lost.html").write_text("mine")
    cases = {
        ("--out", tmp_path / "a"): "say what to explain",
        ("--lost", "--out", tmp_path / "file"): "is a file",
        ("--lost", "--out", tmp_path): "is no page of a report",
        ("--lost", "--out", tmp_path / "a", "--json", tmp_path / "file"): "is no result of this command",
        ("--lost", "--out", tmp_path / "a", "--json", tmp_path / "a" / "lost.html"): "is --json's place too",
        ("--lost", "--out", tmp_path / "a", "--set", "keep"): "write FIELD=VALUE",
        ("--lost", "--out", tmp_path / "a", "--model", "none"): "none",
        ("--lost", "--out", tmp_path / "a", "--scales", "64", "--flip"): "--scales, --flip: not of --lost",
    }
    for arguments, message in cases.items():
        result = run("--data", data, *arguments)
        assert isinstance(result.exception, InputError), arguments
        assert message in str(result.exception)
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "lost.html").read_text() == "mine"
