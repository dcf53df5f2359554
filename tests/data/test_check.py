"""The check: one finding of each kind, and what each means for a training."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from vedette.data.check import Report, check
from vedette.data.findings import CHANGES, STOPS, TOLD, Kind
from vedette.data.read import read_dataset
from vedette.errors import InputError

Write = Callable[..., Path]
HARMLESS = {
    "image without boxes",
    "picture not annotated",
    "picture in two splits",
    "duplicate box",
    "rotated by EXIF",
} | {
    "several pictures in a file",
    "outline unreadable",
}
YAML = "train: images/train\nval: images/val\nnames: [fish, shark]\n"
BOX = "1 0.5 0.5 0.5 0.2\n"


def found(report: Report) -> list[tuple[str, str]]:
    return [(finding.kind, Path(finding.file).name) for finding in report.findings]


def test_every_kind_has_one_meaning() -> None:
    assert sorted(get_args(Kind)) == sorted([*HARMLESS, *STOPS, *CHANGES, *TOLD])


def test_a_sound_data_set(yolo: Write) -> None:
    report = check(yolo({"images/train/a": BOX + "0 0.2 0.2 0.1 0.1\n", "images/val/b": BOX}, YAML))
    assert (report.images, report.boxes, report.classes, report.findings) == (2, 3, ("fish", "shark"), ())
    assert not report.harmful
    assert {name: (count.images, count.boxes) for name, count in report.splits.items()} == {
        "train": (1, 2),
        "val": (1, 1),
    }
    assert report.splits["val"].categories == {0: "fish", 1: "shark"}


@pytest.mark.parametrize(
    ("bboxes", "kind", "harmful"),
    [
        ([[4, 5, 10, 10]], None, False),
        ([[30, 20, 10, 10]], None, False),  # ends on the last pixel
        ([[30, 20, 10.05, 10]], None, False),  # rounding
        ([[4, 5, 10, 10], [4, 5, 10, 10]], "duplicate box", False),
        ([[4, 5, 10, 10], [4, 5, 10, 11]], None, False),
        ([[4, 5, 0, 10]], "degenerate box", True),
        ([[41, 5, 10, 10]], "box outside image", True),
        ([[35, 5, 10, 10]], "box clipped", True),
        ([[35, 5, 10]], "annotation unreadable", True),
    ],
)
def test_boxes(coco: Write, bboxes: list[list[float]], kind: str | None, harmful: bool) -> None:
    report = check(coco(bboxes))
    of_boxes = [one for one, _ in found(report) if one != "image without boxes"]
    assert of_boxes == ([kind] if kind else [])
    assert report.harmful == harmful
    assert ("image without boxes", "b.jpg") in found(report)


def test_the_same_box_of_another_class_or_image_is_no_duplicate(yolo: Write) -> None:
    report = check(yolo({"images/train/a": BOX + "0" + BOX[1:], "images/train/b": BOX, "images/val/c": BOX}, YAML))
    assert report.findings == ()


def test_files(yolo: Write, picture: Callable[..., Path]) -> None:
    folder = yolo({f"images/train/{name}": BOX for name in "abcde"} | {"images/val/f": BOX}, YAML)
    images = folder / "images" / "train"
    (images / "a.jpg").write_bytes((images / "b.jpg").read_bytes()[:-40])
    (images / "c.jpg").write_text("no picture")
    picture(images / "d.jpg", orientation=6)
    (images / "e.jpg").write_bytes(b"")
    report = check(folder)
    assert sorted(found(report)) == [
        ("rotated by EXIF", "d.jpg"),
        ("truncated file", "a.jpg"),
        ("unreadable file", "c.jpg"),
        ("unreadable file", "e.jpg"),
    ]
    assert report.harmful


def test_unreadable_files_whose_size_is_stated(coco: Write) -> None:
    folder = coco()
    (folder / "images" / "a.jpg").write_text("no picture")
    (folder / "images" / "b.jpg").unlink()
    assert [one for one in found(check(folder)) if one[0] != "image without boxes"] == [
        ("missing file", "b.jpg"),
        ("unreadable file", "a.jpg"),
    ]


@pytest.mark.parametrize(
    ("stated", "orientation", "detail"),
    [
        ((40, 30), 1, None),
        ((80, 60), 1, "annotated as 80 x 60, the picture is 40 x 30"),
        ((40, 30), 6, None),  # as it lies in the file
        ((30, 40), 6, None),  # as it is seen
        ((60, 60), 6, "annotated as 60 x 60, the picture is 30 x 40"),
        ((0, 30), 1, None),  # not stated
    ],
)
def test_an_image_of_another_size_than_annotated(
    coco: Write, picture: Callable[..., Path], stated: tuple[int, int], orientation: int, detail: str | None
) -> None:
    folder = coco(change=lambda content: content["images"][0].update(width=stated[0], height=stated[1]))
    picture(folder / "images" / "a.jpg", (40, 30), orientation)
    report = check(folder)
    details = [one.detail for one in report.findings if one.kind == "image size differs"]
    assert details == ([detail] if detail else [])
    assert report.harmful == bool(detail)
    notes = [f"1 image of another size than annotated: its boxes are scaled with it (first: {folder}/images/a.jpg, "]
    assert [note.removesuffix(f"{detail})") for note in read_dataset(folder).notes] == (notes if detail else [])


def test_broken_exif_does_not_make_an_image_unreadable(voc: Write) -> None:
    folder = voc({"a": [("cat", 1, 1, 9, 9)]}, size=None)
    file = folder / "JPEGImages" / "a.jpg"
    content = file.read_bytes()
    broken = b"Exif\x00\x00MM\x00\x2a\x00\x00\xff\xff"
    file.write_bytes(content[:2] + b"\xff\xe1" + (len(broken) + 2).to_bytes(2) + broken + content[2:])
    assert check(folder).findings == ()
    assert read_dataset(folder).size(0) == (40, 30)


@pytest.mark.parametrize(("stated", "use"), [((40, 30), "not turned"), ((30, 40), "turned before use")])
def test_rotation_tells_the_frame(coco: Write, picture: Callable[..., Path], stated: tuple[int, int], use: str) -> None:
    folder = coco(change=lambda content: content["images"][0].update(width=stated[0], height=stated[1]))
    picture(folder / "images" / "a.jpg", (40, 30), 6)
    report = check(folder)
    (finding,) = [one for one in report.findings if one.kind == "rotated by EXIF"]
    assert finding.detail.startswith(f"orientation 6: {use}")
    assert not report.harmful


def test_a_broken_annotation_does_not_stop_the_check(voc: Write) -> None:
    cat = ("cat", 1, 1, 9, 9)
    folder = voc({"a": [cat], "b": [cat], "c": [(*cat, 1)]}, train="a b", val="c")
    (folder / "Annotations" / "a.xml").write_text("<annotation>")
    (folder / "JPEGImages" / "c.jpg").write_text("no picture")
    report = check(folder)
    assert found(report) == [
        ("annotation unreadable", "a.xml"),
        ("image without boxes", "a.jpg"),
        ("unreadable file", "c.jpg"),
    ]
    assert (report.images, report.boxes) == (3, 2)


def test_an_image_in_two_splits_counts_once(voc: Write) -> None:
    folder = voc({"a": [("cat", 1, 1, 9, 9), ("cat", 5, 5, 5, 5)], "b": []}, train="a", trainval="a b", val="b")
    report = check(folder)
    assert (report.images, report.boxes) == (2, 2)
    assert sorted(found(report)) == [("degenerate box", "a.jpg"), ("image without boxes", "b.jpg")]
    assert report.splits["trainval"].images == 2


def test_one_split_alone(voc: Write) -> None:
    folder = voc({"a": [], "b": []}, train="a", val="b")
    assert found(check(folder, "val")) == [("image without boxes", "b.jpg")]
    with pytest.raises(InputError, match=r'no split "test"; there is train, val'):
        check(folder, "test")


def test_the_files_are_watched(voc: Write) -> None:
    seen: list[str] = []

    def watch(files: list[str]) -> list[str]:
        seen.extend(files)
        return files

    check(voc({"a": [], "b": []}, train="a b"), watch=watch)
    assert [Path(file).name for file in seen] == ["a.jpg", "b.jpg"]


def test_the_development_data(data_root: Path) -> None:
    report = check(data_root / "bccd")
    assert (report.images, report.boxes) == (364, 4888)
    assert found(report) == [
        ("degenerate box", "BloodImage_00343.jpg"),
        ("degenerate box", "BloodImage_00338.jpg"),
    ]


@pytest.mark.parametrize(
    ("lists", "lack"), [(["images", "annotations"], "images"), (["annotations", "categories"], "classes")]
)
def test_a_split_that_lacks_what_training_needs_is_found(coco: Write, lists: list[str], lack: str) -> None:
    folder = coco(change=lambda content: [content[name].clear() for name in lists])
    report = check(folder)
    details = [finding.detail for finding in report.findings if finding.kind == "annotation unreadable"]
    assert details == [f"the split train has no {lack}"]
    with pytest.raises(InputError, match=f"the split train has no {lack}"):
        read_dataset(folder)


def test_pictures_that_nothing_mentions_are_counted(coco: Write, picture: Callable[..., Path]) -> None:
    folder = coco()
    for name in ("c.jpg", "d.png", "more/e.jpg", ".hidden/f.jpg", "._g.jpg"):
        picture(folder / "images" / name)
    report = check(folder)
    others = [finding for finding in report.findings if finding.kind == "picture not annotated"]
    assert [(finding.file, finding.detail) for finding in others] == [
        (f"{folder}/images", "2 pictures that no annotation and no split mentions, such as c.jpg"),
        (f"{folder}/images/more", "1 picture that no annotation and no split mentions, such as e.jpg"),
    ]
    assert (report.images, report.harmful) == (2, False)
    assert [name for name, _ in found(check(folder / "train.json"))].count("picture not annotated") == 2


def test_what_another_split_mentions_is_annotated(coco: Write, voc: Write) -> None:
    folder = coco(change=lambda content: content["images"].pop())
    content = (folder / "train.json").read_text().replace('"a.jpg"', '"b.jpg"')
    (folder / "val.json").write_text(content)
    for place in (folder, folder / "train.json"):
        assert "picture not annotated" not in dict(found(check(place)))
    folder = voc({"v": [("cat", 1, 1, 9, 9)], "w": []}, train="v")
    assert ("picture not annotated", "JPEGImages") in found(check(folder))


def test_a_root_category_does_no_harm(coco: Write) -> None:
    folder = coco(change=lambda content: content["categories"].append({"id": 0, "name": "pets"}))
    text = (folder / "train.json").read_text().replace('"name": "dog"', '"name": "dog", "supercategory": "pets"')
    (folder / "train.json").write_text(text)
    report = check(folder)
    assert ("class left out", "train.json") in found(report)
    assert (report.classes, report.harmful) == (("bicycle", "dog"), False)


def test_a_pipe_is_not_waited_for(coco: Write) -> None:
    folder = coco()
    (folder / "images/b.jpg").unlink()
    os.mkfifo(folder / "images/b.jpg")
    assert ("unreadable file", "b.jpg") in found(check(folder))


def test_other_pictures_are_looked_for_where_there_are_images(coco: Write, picture: Callable[..., Path]) -> None:
    folder = coco(change=lambda content: content["images"][1].update(file_name="../elsewhere/b.jpg"))
    picture(folder / "elsewhere" / "c.jpg")
    assert ("picture not annotated", "elsewhere") not in found(check(folder))


def test_classes_that_somebody_wrote_in_two_ways(coco: Callable[..., Path]) -> None:
    report = check(coco(change=lambda content: content["categories"].append({"id": 3, "name": "Dog "})))
    alike = [one for one in report.findings if one.kind == "class names alike"]
    assert [one.detail for one in alike] == ["'Dog ' and 'dog': one class?"]
    assert not report.harmful


def test_a_class_without_a_name_is_a_fault(coco: Callable[..., Path]) -> None:
    report = check(coco(change=lambda content: content["categories"][0].update(name=" ")))
    assert "category at place 0 has no id" in report.findings[0].detail


def test_animations_and_pages_are_said(coco: Callable[..., Path]) -> None:
    folder = coco()
    pages = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    pages[0].save(folder / "images" / "a.jpg", "GIF", save_all=True, append_images=pages[1:])
    found = [(one.kind, Path(one.file).name) for one in check(folder).findings]
    assert ("several pictures in a file", "a.jpg") in found


def test_boxes_of_a_file_that_is_listed_twice_are_counted(coco: Callable[..., Path]) -> None:
    report = check(coco(change=lambda content: content["images"].append({"id": 99, "file_name": "a.jpg"})))
    assert report.boxes == report.splits["train"].boxes == 1


def test_a_picture_that_is_learnt_from_and_measured_on_is_told(yolo: Write) -> None:
    folder = yolo({"images/train/a": BOX, "images/train/b": BOX, "images/val/c": BOX, "images/val/d": BOX}, YAML)
    (folder / "images/val/d.jpg").write_bytes((folder / "images/train/b.jpg").read_bytes())
    report = check(folder)
    assert not report.harmful
    assert found(report) == [("picture in two splits", "d.jpg")]
    assert report.findings[0].detail == f"in the split val, and in the split train as {folder}/images/train/b.jpg"
    assert found(check(folder, "val")) == []


def test_a_file_in_train_and_val_is_told_and_one_of_trainval_is_not(voc: Write) -> None:
    objects = {key: [("dog", 4, 5, 14, 15)] for key in "abc"}
    folder = voc(objects, train="a b", val="b c", trainval="a b c")
    assert found(check(folder)) == [("picture in two splits", "b.jpg")]
    assert found(check(voc(objects, train="a b", val="c", trainval="a b c"))) == []
