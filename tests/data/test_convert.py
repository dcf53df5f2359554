"""Whole data sets from one format to another and back: nothing is lost that has a place, and what has none is said."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from data.random_sets import rows_of, splits_of, write_random
from vedette.data.annotations import CROWD, DIFFICULT
from vedette.data.check import check
from vedette.data.convert import convert
from vedette.data.fix import fix
from vedette.data.read import read_dataset
from vedette.data.split import split_dataset
from vedette.errors import InputError

FORMATS = ("coco", "voc", "yolo")
PRECISION = {"coco": 0.0, "voc": 0.0, "yolo": 1e-3}  # pixels
Write = Callable[..., Path]


@pytest.mark.parametrize("seed", range(12))
def test_through_every_pair_of_formats_the_same_comes_back(tmp_path: Path, seed: int) -> None:
    before = splits_of(write_random(tmp_path / "source", seed))
    for first in FORMATS:
        convert(tmp_path / "source", first, tmp_path / first, keep_ignored=True)
        for second in FORMATS:
            there = tmp_path / f"{first}-{second}"
            convert(tmp_path / first, second, there, keep_ignored=True)
            assert not check(there).harmful
            assert_same(before, splits_of(there), {first, second})


def assert_same(before: dict, after: dict, formats: set[str]) -> None:
    """Every image with its picture, size and boxes; marks where all formats on the way have them."""
    assert sorted(before) == sorted(after)
    for split in before:
        left, right = (sorted(rows_of(one[split]), key=str) for one in (before, after))
        assert [row[:2] for row in left] == [row[:2] for row in right]
        pairs = [pair for a, b in zip(left, right, strict=True) for pair in zip(a[2], b[2], strict=True)]
        for a, b in pairs:
            assert a[0] == b[0]
            assert a[1] == b[1] or "yolo" in formats
            assert b[2:] == pytest.approx(a[2:], abs=max(PRECISION[one] for one in formats), rel=0)


def test_coco_keeps_ids_marks_areas_and_what_sticks_out(coco: Write, tmp_path: Path) -> None:
    def change(content: dict) -> None:
        crowd, hard, far = content["annotations"]
        crowd["iscrowd"], hard["difficult"], far["area"] = 1, 1, 1024.00003

    source = coco([[4.1, 5.2, 10.3, 10.4], [473e-2, 1, 20, 20], [30, 20, 40, 40]], change=change)
    done = convert(source, "coco", tmp_path / "out")
    content = json.loads((tmp_path / "out" / "train.json").read_text())
    assert done.counts == {"train": (2, 3)}
    assert content["categories"] == [{"id": 2, "name": "bicycle"}, {"id": 18, "name": "dog"}]
    assert [one["id"] for one in content["images"]] == [7, 3]
    assert content["annotations"] == [
        {"id": 1, "image_id": 7, "category_id": 18, "bbox": [4.1, 5.2, 10.3, 10.4], "area": pytest.approx(107.12)}
        | {"iscrowd": 1, "difficult": 0},
        {"id": 2, "image_id": 7, "category_id": 18, "bbox": [4.73, 1, 20, 20], "area": pytest.approx(400)}
        | {"iscrowd": 0, "difficult": 1},
        {"id": 3, "image_id": 7, "category_id": 18, "bbox": [30, 20, 40, 40], "area": 1024.00003}
        | {"iscrowd": 0, "difficult": 0},
    ]
    flags = splits_of(tmp_path / "out")["train"].all_flags.tolist()
    assert flags == [CROWD, DIFFICULT, 0]


def test_voc_counts_pixels_from_one_and_the_last_in(coco: Write, tmp_path: Path) -> None:
    def change(content: dict) -> None:
        content["annotations"][1]["iscrowd"] = 1
        content["categories"][0]["name"] = "hound"

    done = convert(coco([[0, 0, 40, 30], [3, 4.5, 7, 5], [5, 5, 1, 9]], change=change), "voc", tmp_path / "out")
    root = ElementTree.parse(tmp_path / "out" / "Annotations" / "a.xml").getroot()
    boxes = [[one.text for one in box] for box in root.iter("bndbox")]
    assert boxes == [["1", "1", "40", "30"], ["4", "5.5", "10", "9.5"]]
    assert [one.text for one in root.iter("difficult")] == ["0", "1"]
    assert [root.findtext("size/width"), root.findtext("size/height")] == ["40", "30"]
    assert (tmp_path / "out" / "ImageSets" / "Main" / "train.txt").read_text() == "a\nb\n"
    assert done.lost == (
        "left out: 1 of 3 boxes, a pixel wide or high, or less: in VOC's files they would be lines",
        "now difficult objects: 1 crowd, which VOC cannot mark otherwise",
        "left out: classes without a box, which VOC has no place for: bicycle",
        "left out: ids of classes, which VOC has no place for: classes go by name",
        "left out: ids of images, which VOC has no place for: images go by the names of their files",
    )


def test_yolo_leaves_out_what_it_cannot_mark_and_says_so(coco: Write, tmp_path: Path) -> None:
    def change(content: dict) -> None:
        content["annotations"][1]["difficult"] = content["annotations"][2]["iscrowd"] = 1

    source = coco([[10, 6, 20, 12], [1, 1, 5, 5], [2, 2, 5, 5]], change=change)
    assert convert(source, "yolo", tmp_path / "out").lost == (
        "left out: 1 difficult object and 1 crowd, which YOLO cannot mark (--keep-ignored makes them ordinary objects)",
        "left out: ids of classes, which YOLO numbers from 0 on (bicycle is 0, was 2)",
        "left out: ids of images, which YOLO has no place for: images go by the names of their files",
    )
    assert (tmp_path / "out" / "labels" / "train" / "a.txt").read_text() == "1 0.5 0.4 0.5 0.4\n"
    assert (tmp_path / "out" / "labels" / "train" / "b.txt").read_text() == ""
    kept = convert(source, "yolo", tmp_path / "kept", keep_ignored=True)
    assert kept.counts == {"train": (2, 3)}
    assert kept.lost[0] == "now ordinary objects: 1 difficult object and 1 crowd, which YOLO cannot mark"


def test_ids_and_areas_that_a_format_has_no_place_for_are_said(coco: Write, tmp_path: Path) -> None:
    source = coco([[1, 1, 20, 10], [2, 2, 5, 5]], change=lambda content: content["annotations"][0].update(area=150))
    by_format = {to: convert(source, to, tmp_path / to).lost for to in (*FORMATS, "huggingface")}
    assert by_format["coco"] == ()
    for to, ids in (("voc", "go by name"), ("yolo", "bicycle is 0, was 2"), ("huggingface", "go by name")):
        assert any("ids of classes" in line and ids in line for line in by_format[to])
    for to in ("voc", "yolo"):
        assert any(line.startswith("left out: 1 area other than the box's") for line in by_format[to])
        assert any("ids of images" in line for line in by_format[to])
    for to in ("voc", "yolo"):  # which have no ids to lose
        assert convert(tmp_path / to, to, tmp_path / f"{to}-{to}").lost == ()


def test_voc_and_yolo_cut_boxes_to_their_image(coco: Write, tmp_path: Path) -> None:
    source = coco([[-10, -5, 200, 20]])
    for to in ("voc", "yolo"):
        done = convert(source, to, tmp_path / to)
        assert splits_of(tmp_path / to)["train"].all_boxes.tolist() == [pytest.approx([0, 0, 40, 15])]
        assert [one.kind for one in done.findings] == ["box clipped", "image without boxes"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("stated", ["lying", "seen"])
def test_boxes_stay_on_their_object_in_turned_pictures(tmp_path: Path, orientation: int, stated: str) -> None:
    (tmp_path / "source").mkdir()
    raw = Image.new("RGB", (40, 24), "black")
    raw.paste("white", (4, 2, 14, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    raw.save(tmp_path / "source" / "a.png", exif=exif)
    size = (40, 24) if stated == "lying" or orientation < 5 else (24, 40)
    image = {"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}
    content = {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "source" / "train.json").write_text(json.dumps(content))
    left, top, right, bottom = splits_of(tmp_path / "source")["train"].image(0).convert("L").getbbox()
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [left, top, right - left, bottom - top]}
    (tmp_path / "source" / "train.json").write_text(json.dumps(content | {"annotations": [box]}))
    for to in FORMATS:
        convert(tmp_path / "source", to, tmp_path / to)
        there = splits_of(tmp_path / to)["train"]
        assert there.image(0).convert("L").getbbox() == tuple(np.rint(there.all_boxes[0]).tolist())
        assert to == "yolo" or there.size(0) == size


def test_names_do_not_collide(coco: Write, picture: Callable[..., Path], tmp_path: Path) -> None:
    names = ["a/1.jpg", "b/1.jpg", "1.jpg", "1.png", "A/1.jpg", "b/1_2.jpg", "no suffix", "cafe\u0301.jpg", "b/ .jpg"]
    for at, name in enumerate(names):
        picture(tmp_path / "s" / "images" / f"{name}", (40, 30 + at)) if "." in name else None
    (tmp_path / "s" / "images" / "no suffix").write_bytes((tmp_path / "s" / "images" / "1.jpg").read_bytes())
    images = [{"id": at, "file_name": name, "width": 0, "height": 0} for at, name in enumerate(names)]
    boxes = [{"id": at, "image_id": at, "category_id": 1, "bbox": [0, 0, 5 + at, 5]} for at in range(len(names))]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "s" / "all.json").write_text(json.dumps(content))
    before = splits_of(tmp_path / "s")
    for to in FORMATS:
        convert(tmp_path / "s", to, tmp_path / to)
        assert_same(before, splits_of(tmp_path / to), {to})
        written = [file for file in (tmp_path / to).rglob("*") if file.suffix in (".jpg", ".png")]
        assert len({str(file).lower() for file in written}) == len(names)  # on a disk that knows no capitals, too
    assert (tmp_path / "voc" / "Annotations" / "1_2.xml").exists()
    assert (tmp_path / "coco" / "images" / "all" / "no suffix.jpg").exists()


def test_an_image_of_several_splits_is_in_each(voc: Write, tmp_path: Path) -> None:
    source = voc({"a": [("cat", 1, 2, 30, 20, 1)], "b": [("dog", 4, 4, 9, 9)]}, train="a", val="b", trainval="a b")
    before = splits_of(source)
    for to in FORMATS:
        convert(source, to, tmp_path / to, keep_ignored=True)
        assert_same(before, splits_of(tmp_path / to), {to})
    assert len(list((tmp_path / "voc" / "JPEGImages").iterdir())) == 2
    copies = [tmp_path / "coco" / "images" / split / "a.jpg" for split in ("train", "trainval")]
    assert os.path.samefile(*copies)  # stored once


def test_links(coco: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = coco()
    convert(source, "coco", tmp_path / "hard", link=True)
    assert os.path.samefile(source / "images" / "a.jpg", tmp_path / "hard" / "images" / "train" / "a.jpg")

    def refuse(*_: object) -> None:
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", refuse)
    convert(source, "coco", tmp_path / "soft", link=True)
    assert (tmp_path / "soft" / "images" / "train" / "a.jpg").is_symlink()
    convert(source, "coco", tmp_path / "copied")
    assert not os.path.samefile(source / "images" / "a.jpg", tmp_path / "copied" / "images" / "train" / "a.jpg")


def test_what_is_at_fault_is_said_and_not_carried_over(coco: Write, tmp_path: Path) -> None:
    def change(content: dict) -> None:
        content["annotations"].append({"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 1, 5, 5]})
        content["images"].append({"id": 9, "file_name": "gone.jpg", "width": 5, "height": 5})

    done = convert(coco([[4, 5, 10, 10], [4, 5, 0, 10]], change=change), "voc", tmp_path / "out")
    kinds = ["unknown class", "missing file", "degenerate box", "image without boxes", "image without boxes"]
    assert [finding.kind for finding in done.findings] == kinds
    assert done.lost[0] == "left out: 1 of 3 images of train, for what was found there"
    assert done.counts == {"train": (2, 1)}
    assert not check(tmp_path / "out").harmful


def test_a_stopped_conversion_leaves_nothing(coco: Write, tmp_path: Path) -> None:
    source, out = coco(), tmp_path / "new" / "out"

    def stop(files: list[str]) -> list[str]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, "coco", out, watch=stop)
    assert list((tmp_path / "new").iterdir()) == []


def test_what_is_there_is_not_written_over(coco: Write, tmp_path: Path) -> None:
    source = coco()
    for place in (source, source / "train.json"):
        with pytest.raises(InputError, match="is there already"):
            convert(source, "voc", place)
    (tmp_path / "empty").mkdir()
    convert(source, "voc", tmp_path / "empty")
    assert not check(tmp_path / "empty").harmful


def test_nothing_is_written_among_the_pictures_of_the_source(yolo: Write, tmp_path: Path) -> None:
    """YOLO's reader looks into subfolders: the source would have every image twice."""
    source = yolo(
        {"images/a": "0 0.5 0.5 0.5 0.5\n", "images/b": "0 0.5 0.5 0.5 0.5\n"}, "train: images\nnames: [cat]\n"
    )
    inside = source / "images" / "sub" / "new"
    for write in (
        lambda: convert(source, "coco", inside),
        lambda: fix(source, inside),
        lambda: split_dataset(source, {"train": 0.5, "val": 0.5}, inside),
    ):
        with pytest.raises(InputError, match=r"sub/new: lies among the pictures of .*; give a place outside them"):
            write()
    assert not inside.parent.exists()
    convert(source, "yolo", source / "new")
    assert len(read_dataset(source, "train")) == 2


def test_classes_that_voc_cannot_name_are_refused(coco: Write, tmp_path: Path) -> None:
    source = coco(change=lambda content: content["categories"][0].update(name=" dog"))
    with pytest.raises(InputError, match="class ' dog'"):
        convert(source, "voc", tmp_path / "out")
    convert(source, "yolo", tmp_path / "out")
    assert splits_of(tmp_path / "out")["train"].classes == ("bicycle", " dog")


def test_an_odd_split_name_is_a_split_in_every_format(coco: Write, tmp_path: Path) -> None:
    source = coco(file="path.json")
    (source / "a_path.json").write_text((source / "path.json").read_text())
    for to in FORMATS:
        convert(source, to, tmp_path / to)
        assert len(splits_of(tmp_path / to)) == 2
