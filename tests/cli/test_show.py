"""vedette data show: what it writes, over what, and what it refuses."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from vedette.cli.data import app
from vedette.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images in YOLO's form."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir(parents=True)
    for name in "ab":
        Image.new("RGB", (40, 30)).save(tmp_path / "images" / f"{name}.jpg")
        (tmp_path / "labels" / f"{name}.txt").write_text("4 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("train: images\nnames: {4: fish}\n")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["show", *map(str, arguments)])


@pytest.mark.parametrize("name", ["new/sheet.jpg", "sheet.png"])
def test_a_sheet_may_be_written_over_and_nothing_else(folder: Path, name: str) -> None:
    result = run(folder, "--out", folder / name)
    assert (result.exit_code, result.output) == (0, f"pictures 2: {folder / name}\n")
    assert run(folder, "--out", folder / name, "--count", 1, "--columns", 1).exit_code == 0
    with Image.open(folder / name) as sheet:
        assert sheet.size == (328, 268)
    before = (folder / "images" / "a.jpg").read_bytes()
    assert "is no sheet" in str(run(folder, "--out", folder / "images" / "a.jpg").exception)
    assert "lies among the pictures" in str(run(folder, "--out", folder / "images" / "sheet.jpg").exception)
    assert not (folder / "images" / "sheet.jpg").exists()
    assert (folder / "images" / "a.jpg").read_bytes() == before


@pytest.mark.parametrize("out", ["sheet.gif", "images", "sheet"])
def test_other_files_are_refused(folder: Path, out: str) -> None:
    assert isinstance(run(folder, "--out", folder / out).exception, InputError)


def test_a_picture_that_cannot_be_read_is_1(folder: Path) -> None:
    (folder / "images" / "a.jpg").write_text("no picture")
    result = run(folder, "--out", folder / "sheet.jpg", "--faults")
    assert result.exit_code == 1
    assert "a.jpg" in result.output
    assert "pictures 1" in result.output
