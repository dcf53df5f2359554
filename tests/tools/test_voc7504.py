"""The VOC-7504 split made from VOC's own files: by hand on a picture, and as our copy has it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

TOOL = Path(__file__).parents[2] / "tools" / "voc7504.py"
XML = """<annotation><size><width>500</width><height>375</height><depth>3</depth></size>
<object><name>dog</name><difficult>0</difficult>
<bndbox><xmin>123</xmin><ymin>115</ymin><xmax>379</xmax><ymax>275</ymax></bndbox></object>
<object><name>chair</name><difficult>1</difficult>
<bndbox><xmin>75</xmin><ymin>1</ymin><xmax>428</xmax><ymax>375</ymax></bndbox></object></annotation>"""


def made(tmp_path: Path, lists: Path, voc2012: Path) -> subprocess.CompletedProcess[str]:
    words = ["--voc2007", str(tmp_path / "2007"), "--voc2012", str(voc2012), "--lists", str(lists)]
    words += ["--out", str(tmp_path / "out")]
    return subprocess.run([sys.executable, str(TOOL), *words], capture_output=True, text=True, check=False)


def devkit(folder: Path, stem: str) -> None:
    for name in ("JPEGImages", "Annotations"):
        (folder / name).mkdir(parents=True)
    Image.new("RGB", (500, 375), "green").save(folder / "JPEGImages" / f"{stem}.jpg")
    (folder / "Annotations" / f"{stem}.xml").write_text(XML)


def test_pictures_boxes_and_difficult_ones_by_hand(tmp_path: Path) -> None:
    devkit(tmp_path / "2007", "000009")
    devkit(tmp_path / "2012", "2008_000001")
    (tmp_path / "train.txt").write_text("2007/000009\n")
    (tmp_path / "val.txt").write_text("2012/2008_000001\n")
    finished = made(tmp_path, tmp_path, tmp_path / "2012")
    assert finished.returncode == 0, finished.stderr
    train, val = (json.loads((tmp_path / "out" / f"{split}.json").read_text()) for split in ("train", "val"))
    assert train["images"] == [{"id": 1, "file_name": "07_000009.jpg", "width": 336, "height": 252}]
    with Image.open(tmp_path / "out" / "images" / "07_000009.jpg") as picture:
        assert picture.size == (336, 252)
    assert [one["bbox"] for one in train["annotations"]] == [[81.98, 76.61, 172.7, 108.19], [49.73, 0.0, 237.89, 252.0]]
    assert [one["difficult"] for one in train["annotations"]] == [0, 1]
    assert [one["category_id"] for one in val["annotations"]] == [12]  # VOC 2012's difficult chair has no box
    (tmp_path / "val.txt").write_text("2012/2008_000001\n2012/2008_000002\n")
    finished = made(tmp_path, tmp_path, tmp_path / "2012")
    assert finished.returncode == 1
    assert "2008_000002.jpg and 0 more are not there" in finished.stderr


def test_the_lists_and_the_boxes_are_those_of_our_copy(data_root: Path, tmp_path: Path) -> None:
    ours = {split: json.loads((data_root / "voc" / f"{split}.json").read_text()) for split in ("train", "val")}
    lists = TOOL.parents[1] / "docs" / "voc-7504"
    for split, content in ours.items():
        names = [f"{name[2:4]}_{name[5:]}.jpg" for name in (lists / f"{split}.txt").read_text().split()]
        assert names == [image["file_name"] for image in content["images"]]
    devkit(tmp_path / "2007", "000001")
    at_hand = {path.stem for path in (data_root / "voc100" / "JPEGImages").iterdir()}
    shared = [name for name in (lists / "train.txt").read_text().split() if name.partition("/")[2] in at_hand]
    (tmp_path / "train.txt").write_text("\n".join(shared))
    (tmp_path / "val.txt").write_text("2007/000001\n")
    assert made(tmp_path, tmp_path, data_root / "voc100").returncode == 0
    again = json.loads((tmp_path / "out" / "train.json").read_text())
    place = {image["file_name"]: image["id"] for image in ours["train"]["images"]}
    for image in again["images"]:
        found, wanted = (
            [(box["bbox"], box["category_id"]) for box in content["annotations"] if box["image_id"] == number]
            for content, number in ((again, image["id"]), (ours["train"], place[image["file_name"]]))
        )
        assert len(found) == len(wanted) > 0
        for (box, label), (other, same) in zip(found, wanted, strict=True):
            assert box == pytest.approx(other, abs=0.02)
            assert label == same
    assert len(again["images"]) > 10
