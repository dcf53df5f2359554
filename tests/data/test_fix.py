"""Corrected copies: every fault mended or left out, written down, and the source untouched."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from data.random_sets import splits_of
from vedette.data.check import check
from vedette.data.findings import Kind
from vedette.data.fix import DONE, fix
from vedette.data.read import read_dataset

Write = Callable[..., Path]


def state_of(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_coco_set_with_every_fault(coco: Write, picture: Callable[..., Path], tmp_path: Path) -> None:
    def change(content: dict) -> None:
        images, boxes = content["images"], content["annotations"]
        for key, name, size in [(20, "gone.jpg", (40, 30)), (21, "cut.jpg", (40, 30)), (22, "no.jpg", (40, 30))]:
            images.append({"id": key, "file_name": name, "width": size[0], "height": size[1]})
        images += [{"id": 23, "file_name": "half.png", "width": 20, "height": 15}]
        images += [{"id": 24, "file_name": "side.png", "width": 30, "height": 40}]
        images += [{"id": 25, "file_name": "unit.png", "width": 40, "height": 30}]
        new = [(20, [1, 1, 5, 5], 18), (21, [1, 1, 5, 5], 18), (23, [10, 5, 4, 6], 2), (24, [1, 1, 5, 5], 2)]
        new += [(25, [0.1, 0.1, 0.5, 0.5], 2), (7, [1, 1, 5, 5], 99)]
        for number, (image, bbox, category) in enumerate(new):
            boxes.append({"id": 200 + number, "image_id": image, "category_id": category, "bbox": bbox})
        boxes.append({"id": 300, "image_id": 7, "category_id": 18, "bbox": "none"})

    bboxes = [[4, 5, 10, 10], [4, 5, 0, 10], [50, 50, 5, 5], [30, 20, 20, 20], [4, 5, 10, 10]]
    source = coco(bboxes, change=change)
    for name in ("cut.jpg", "half.png", "side.png", "unit.png"):
        picture(source / "images" / name)
    (source / "images" / "cut.jpg").write_bytes((source / "images" / "cut.jpg").read_bytes()[:-20])
    (source / "images" / "no.jpg").write_text("no picture")
    before = state_of(source)
    fixed = fix(source, tmp_path / "out")
    after = state_of(source)
    assert {file: after[file] for file in before} == before
    dataset = read_dataset(tmp_path / "out", "train")
    found = {Path(dataset.files[i]).name: dataset.boxes(i).tolist() for i in range(len(dataset))}
    assert found == {
        "a.jpg": [[4, 5, 14, 15], [30, 20, 40, 30]],
        "b.jpg": [],
        "half.png": [[20, 10, 28, 22]],  # annotated at half of its size
    }
    assert dataset.size(2) == (40, 30)
    assert dataset.area(2).tolist() == [96]
    assert (fixed.images, fixed.boxes, fixed.left) == (3, 3, ())
    assert not check(tmp_path / "out").harmful
    said = json.loads((tmp_path / "out" / "fixes.json").read_text())
    done = {(one["kind"], one["done"]) for one in said["fixes"]}
    kinds: list[Kind] = ["degenerate box", "box outside image", "box clipped", "duplicate box", "image size differs"]
    kinds += ["width and height swapped", "wrong unit", "unknown class", "missing file", "unreadable file"]
    kinds += ["truncated file", "annotation unreadable"]
    assert done >= {(kind, DONE[kind]) for kind in kinds}
    assert said["left_out"] == ["left out: 5 of 8 images of train, for what was found there"]


def test_voc_images_whose_xml_cannot_be_read_whole_are_left_out(voc: Write, tmp_path: Path) -> None:
    """They would be images without objects, or with some."""
    good = [("cat", 1, 1, 9, 9)]
    source = voc({"a": good, "b": good, "c": [*good, ("dog", "x", 1, 9, 9)], "d": good}, train="a b c d gone")
    (source / "Annotations" / "b.xml").write_text("<annotation>")
    fix(source, tmp_path / "out")
    files = read_dataset(tmp_path / "out", "train").files
    assert [Path(files[index]).name for index in range(len(files))] == ["a.jpg", "d.jpg"]
    assert not check(tmp_path / "out").harmful


def test_yolo_images_whose_labels_cannot_be_read_whole_are_left_out(yolo: Write, tmp_path: Path) -> None:
    line = "0 0.5 0.5 0.5 0.5\n"
    labels = {"images/a": line, "images/b": line + "0 0.5\n", "images/c": line + "7 0.5 0.5 0.5 0.5\n"}
    source = yolo(labels | {"images/d": "0 20 15 10 10\n", "other/e": None}, "train: [images, other]\nnames: [cat]\n")
    fix(source, tmp_path / "out")
    dataset = read_dataset(tmp_path / "out", "train")
    assert [dataset.file(index).name for index in range(len(dataset))] == ["a.jpg", "c.jpg"]
    assert len(dataset.all_labels) == 2
    assert not check(tmp_path / "out").harmful


def test_turned_pictures_stay_as_they_are_annotated(coco: Write, picture: Callable[..., Path], tmp_path: Path) -> None:
    source = coco([[4, 5, 10, 10]])
    picture(source / "images" / "a.jpg", orientation=6)  # 40 x 30 as it lies, as is stated
    fix(source, tmp_path / "out")
    assert splits_of(tmp_path / "out")["train"].size(0) == (40, 30)
    assert [one.kind for one in check(tmp_path / "out").findings][:1] == ["image without boxes"]


def test_corners_in_another_order_are_mended_and_listed(yolo: Write, tmp_path: Path) -> None:
    source = yolo({"images/a": "0 0.5 0.5 -0.5 0.4\n0 0.5 0.5 0.5 0.4\n"}, "train: images\nnames: [cat]\n")
    fixed = fix(source, tmp_path / "out")
    assert splits_of(tmp_path / "out")["train"].all_boxes.tolist() == [[10, 9, 30, 21]]
    said = [(one["kind"], one["done"]) for one in json.loads((tmp_path / "out" / "fixes.json").read_text())["fixes"]]
    exchanged = ("corners exchanged", "corners put in order")
    assert said == [exchanged, ("duplicate box", "removed, the first is kept")]
    assert not fixed.left


@pytest.mark.parametrize("marks", [{}, {"difficult": 1}, {"iscrowd": 1}])
def test_marks_and_ids_are_kept(coco: Write, tmp_path: Path, marks: dict) -> None:
    source = coco(change=lambda content: content["annotations"][0].update(marks))
    fix(source, tmp_path / "out")
    before, after = splits_of(source)["train"], splits_of(tmp_path / "out")["train"]
    assert after.all_flags.tolist() == before.all_flags.tolist()
    assert (after.category_ids, after.image_ids.tolist()) == (before.category_ids, [7, 3])


def test_voc_images_of_small_letters_are_left_out_as_well(voc: Write, tmp_path: Path) -> None:
    source = voc({"a": [("cat", 1, 1, 9, 9)], "b": [("dog", "x", 1, 9, 9)]})
    (source / "Annotations" / "xmls").mkdir()
    for key in "ab":
        (source / "Annotations" / f"{key}.xml").rename(source / "Annotations" / "xmls" / f"{key}.xml")
    (source / "Annotations").rename(source / "annotations")
    assert fix(source, tmp_path / "out").images == 1
    (one,) = json.loads((tmp_path / "out" / "all.json").read_text())["images"]
    assert Path(one["file_name"]).name == "a.jpg"
    fixes = json.loads((tmp_path / "out" / "fixes.json").read_text())["fixes"]
    assert {one["kind"]: one["done"] for one in fixes} == {
        "annotation unreadable": "left out",
        "image without boxes": "kept, if nothing else was found about it",
    }
