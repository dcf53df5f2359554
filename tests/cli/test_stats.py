"""vedette data stats: what it prints, writes and answers."""

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
    """An image with a small and a large fish, in YOLO's form."""
    for name in ("images", "labels"):
        (tmp_path / "set" / name).mkdir(parents=True)
    Image.new("RGB", (320, 320)).save(tmp_path / "set" / "images" / "a.png")
    (tmp_path / "set" / "labels" / "a.txt").write_text("4 0.5 0.5 0.04 0.04\n4 0.5 0.5 0.2 0.2\n")
    (tmp_path / "set" / "data.yaml").write_text("train: images\nnames: {4: fish}\n")
    return tmp_path / "set"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["stats", *map(str, arguments)])


def test_the_small_fish_reaches_no_anchor_and_a_larger_input_is_tried_out(folder: Path, tmp_path: Path) -> None:
    result = run(folder, "--json", tmp_path / "n.json")
    assert result.exit_code == 0, result.output
    assert "1 of 2 boxes reach none at IoU 0.5: 1 too small" in result.output
    assert "  1 too small: sides 13 px, the smallest anchor has 32" in result.output
    assert "smaller anchors are needed; see `vedette config refinedet320-lite0`" in result.output  # 20 px of 512
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert (numbers["boxes"], numbers["anchors"]["not_reached"]) == (2, 1)
    assert max(map(len, result.output.splitlines())) <= 80
    (folder / "labels" / "a.txt").write_text("4 0.5 0.5 0.06 0.06\n4 0.5 0.5 0.2 0.2\n")
    assert "with --set image_size=512: 0 of 2 reach none instead of 1" in run(folder).output  # 19 px, 31 of 512


def test_boxes_that_stick_out_are_counted_as_they_are_trained_on(folder: Path, tmp_path: Path) -> None:
    """128 px wide, of which half lies in the picture: the same box in the counts as under the anchors."""
    (folder / "labels" / "a.txt").write_text("4 0 0.5 0.4 0.2\n")
    result = run(folder, "--json", tmp_path / "n.json")
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["sides"]["largest"] == pytest.approx(64)
    assert numbers["classes"]["fish"]["medium"] == 1
    assert [own["from"] for own in numbers["anchors"]["sides"] if own["boxes"]] == [64]
    assert "boxes 1, cut to their image (" in result.output
    assert "note: 1 box clipped to its image" in result.stderr


def test_a_data_set_without_boxes_is_counted_all_the_same(folder: Path) -> None:
    (folder / "labels" / "a.txt").write_text("")
    result = run(folder)
    assert result.exit_code == 0
    assert "images 1, 1 of them without boxes" in result.output
    assert "nothing that an anchor could reach" in result.output


def test_settings_are_the_models(folder: Path) -> None:
    result = run(folder, "--set", "image_size=1024")
    assert "0 of 2 boxes reach none" in result.output
    assert "--set image_size=1024" in result.output


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--model", "fast-rcnn-lite0"], "has no anchors"),
        (["--model", "nothing"], "there is no model 'nothing'"),
        (["--set", "nothing=1"], "has no field 'nothing'"),
        (["--no-anchors", "--set", "image_size=512"], "--no-anchors"),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, arguments: list[str], why: str) -> None:
    result = run(folder, *arguments)
    assert isinstance(result.exception, InputError)
    assert why in str(result.exception)


def test_without_anchors_there_is_no_torch(folder: Path) -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom vedette.cli.data import app\n"
        f"result = CliRunner().invoke(app, ['stats', {str(folder)!r}, '--no-anchors'])\n"
        "assert result.exit_code == 0 and 'fish' in result.output, result\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
