"""vedette data check: what it prints, writes and answers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from vedette.cli.data import app
from vedette.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images in YOLO's form: a sound one and one without boxes."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for name in "ab":
        Image.new("RGB", (40, 30)).save(tmp_path / "images" / f"{name}.jpg")
    (tmp_path / "labels" / "a.txt").write_text("4 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("train: images\nnames: {4: fish}\n")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def test_a_sound_data_set_is_0(folder: Path) -> None:
    result = run(folder)
    assert result.exit_code == 0
    assert "images 2, boxes 1, classes 1" in result.output
    assert "4 fish" in result.output
    assert "image without boxes: 1" in result.output
    assert "b.jpg" in result.output
    assert "ready to train" in result.output


def test_a_fault_is_1(folder: Path) -> None:
    lines = ["0 0.5 0.5 0.5 0.5", *["4 0.5 0.5 0.5 0.5"] * 3, *[f"7 0.5 0.5 0.5 0.{k}" for k in range(1, 8)]]
    (folder / "labels" / "a.txt").write_text("\n".join(lines))
    result = run(folder)
    assert result.exit_code == 1
    assert "unknown class: 8" in result.output
    assert "and 3 more" in result.output
    assert "duplicate box: 2" in result.output
    assert "ready to train" not in result.output


def test_json_has_all_findings(folder: Path) -> None:
    (folder / "labels" / "a.txt").write_text("4 0.5 0.5 0.5 0.5\n4 0.5 0.5 0 0.5\n")
    file = folder / "findings.json"
    assert run(f"{folder}:train", "--json", file).exit_code == 1
    content = json.loads(file.read_text())
    assert (content["images"], content["boxes"], content["classes"]) == (2, 2, ["fish"])
    assert content["splits"] == {"train": {"images": 2, "boxes": 2, "categories": {"4": "fish"}}}
    assert [finding["kind"] for finding in content["findings"]] == ["degenerate box", "image without boxes"]
    assert Path(content["findings"][0]["file"]) == folder / "images" / "a.jpg"
    assert content["findings"][0]["detail"].startswith("line 2: fish at (20, ")


@pytest.mark.parametrize("source", ["nowhere", "images", ":val"])
def test_bad_input_is_an_input_error(folder: Path, source: str) -> None:
    result = run(f"{folder}{source}" if source.startswith(":") else folder / source)
    assert isinstance(result.exception, InputError)


def test_a_json_file_that_cannot_be_written_is_an_input_error(folder: Path) -> None:
    for place, why in (
        (folder, "is a folder"),
        (folder / "images" / "a.jpg" / "b.json", "a.jpg is a file"),
        (folder / "images" / "a.jpg", "exists, and is no result of this command"),
        (Path("/proc/findings.json"), "nothing can be written in /proc"),
        ("", "an empty path"),
    ):
        result = run(folder, "--json", place)
        assert result.exit_code != 0
        assert why in f"{result.output} {result.exception}"
    assert run(folder, "--json", folder / "new" / "findings.json").exit_code == 0
    assert run(folder, "--json", folder / "new" / "findings.json").exit_code == 0  # its own may be written over


@pytest.mark.parametrize("name", ["train.json", "data.yaml"])
def test_annotations_are_never_written_over(folder: Path, name: str) -> None:
    (folder / name).write_text((folder / name).read_text() if (folder / name).exists() else '{"images": []}')
    before = (folder / name).read_text()
    assert run(folder, "--json", folder / name).exit_code != 0
    assert (folder / name).read_text() == before


def test_long_names_are_shortened_on_the_terminal_and_whole_in_the_json(folder: Path) -> None:
    name = "n" * 5000
    (folder / "data.yaml").write_text(f"train: images\nnames: {{4: {name}}}\n")
    (folder / "labels" / "a.txt").write_text("4 0.5 0.5 0.5 0.5\n4 0.5 0.5 0 0.5\n")
    result = run(folder, "--json", folder / "findings.json")
    assert max(map(len, result.output.splitlines())) < 1000
    assert f"4 {'n' * 40}… (4940 more letters) …{'n' * 20}" in result.output
    assert name in json.loads((folder / "findings.json").read_text())["findings"][0]["detail"]


def test_hundreds_of_classes_are_not_all_listed(folder: Path) -> None:
    (folder / "data.yaml").write_text("train: images\nnc: 300\n")
    assert ", 99 class 99, and 200 more (--json FILE lists all)\n" in run(folder).output


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom vedette.cli.data import app\n"
        "result = CliRunner().invoke(app, ['check', '--help'])\n"
        "assert result.exit_code == 0 and 'Example' in result.output\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_corrected_copy_is_0_though_the_source_is_not(folder: Path) -> None:
    (folder / "labels" / "a.txt").write_text("4 0.5 0.5 0.5 0.5\n4 0.5 0.5 0 0.5\n")
    result = run(folder, "--fix", folder / "fixed")
    assert result.exit_code == 0
    assert "degenerate box: 1" in result.output
    assert "corrected copy: images 2, boxes 1" in result.output
    assert "degenerate box: 1, box removed" in result.output
    assert run(folder / "fixed").exit_code == 0
    again = run(folder, "--fix", folder / "fixed")
    assert isinstance(again.exception, InputError)
