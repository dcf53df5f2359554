"""vedette data split: what it prints, writes and answers."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from vedette.cli.data import app
from vedette.cli.split import read_parts
from vedette.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images in YOLO's form, a fish on each but the last."""
    for name in ("images", "labels"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for at in range(10):
        Image.new("RGB", (40, 30), (at * 20, 0, 0)).save(tmp_path / "set" / "images" / f"{at}.png")
        (tmp_path / "set" / "labels" / f"{at}.txt").write_text("4 0.5 0.5 0.5 0.5\n" if at < 9 else "")
    (tmp_path / "set" / "data.yaml").write_text("train: images\nnames: {4: fish}\n")
    return tmp_path / "set"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["split", *map(str, arguments)])


def test_the_table_and_the_numbers(folder: Path, tmp_path: Path) -> None:
    result = run(folder, "--parts", "train=0.7,val=0.3", "--out", tmp_path / "out", "--json", tmp_path / "n.json")
    assert result.exit_code == 0, result.output
    numbers = json.loads((tmp_path / "n.json").read_text())["parts"]
    assert {part: one["images"] for part, one in numbers.items()} == {"train": 7, "val": 3}
    assert sum(one["without"] for one in numbers.values()) == 1
    rows = [line.split() for line in result.output.splitlines()]
    own = [numbers[part]["classes"]["fish"]["images"] for part in ("train", "val")]
    assert sorted(own) == [3, 6] or sorted(own) == [2, 7]
    assert ["fish", *(str(n) for n in (own[0], own[0], own[1], own[1]))] in rows
    assert ["all", "7", str(own[0]), "3", str(own[1])] in rows


@pytest.mark.parametrize(
    "text",
    [
        "",
        "train",
        "train=0.8",
        "train=0.8,val=0.3",
        "train=0.5,train=0.5",
        "a=0.5,A=0.5",
        "a/b=1",
        "train=x",
        "a=2,b=-1",
        "a=nan",
    ],
)
def test_parts_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--parts"):
        read_parts(text)


def test_parts() -> None:
    assert read_parts("train=0.8, val=0.2") == {"train": 0.8, "val": 0.2}
