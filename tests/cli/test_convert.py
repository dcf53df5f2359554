"""vedette data convert: what it prints, writes and answers."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from vedette.cli.data import app
from vedette.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images in YOLO's form: a sound one and one without boxes."""
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "labels").mkdir()
    for name in "ab":
        Image.new("RGB", (40, 30)).save(tmp_path / "set" / "images" / f"{name}.jpg")
    (tmp_path / "set" / "labels" / "a.txt").write_text("4 0.5 0.5 0.5 0.5\n")
    (tmp_path / "set" / "data.yaml").write_text("train: images\nnames: {4: fish}\n")
    return tmp_path / "set"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def test_a_sound_data_set_is_0(folder: Path, tmp_path: Path) -> None:
    result = run(folder, "--to", "coco", "--out", tmp_path / "out", "--json", tmp_path / "done.json")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0] == "train: images 2, boxes 1"
    assert "image without boxes: 1" in result.output
    assert json.loads((tmp_path / "out" / "train.json").read_text())["annotations"][0]["bbox"] == [10, 7.5, 20, 15]
    content = json.loads((tmp_path / "done.json").read_text())
    assert content["splits"] == {"train": {"images": 2, "boxes": 1}}
    assert content["findings"][0]["kind"] == "image without boxes"


def test_a_fault_is_said_and_1(folder: Path, tmp_path: Path) -> None:
    (folder / "labels" / "a.txt").write_text("4 0.5 0.5 0.5 0.5\n7 0.5 0.5 0.5 0.5\n")
    result = run(f"{folder}:train", "--to", "voc", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "unknown class: 1" in result.output
    assert (tmp_path / "out" / "Annotations" / "a.xml").exists()


@pytest.mark.parametrize("source", ["", ":val", "/nowhere"])
def test_bad_input_is_an_input_error(folder: Path, tmp_path: Path, source: str) -> None:
    out = folder if not source else tmp_path / "out"
    result = run(f"{folder}{source}", "--to", "coco", "--out", out)
    assert isinstance(result.exception, InputError)
    assert not (tmp_path / "out").exists()
