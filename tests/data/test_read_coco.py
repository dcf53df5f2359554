"""COCO JSON: layouts, classes, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vedette.data.draft import settle
from vedette.data.read import read_dataset
from vedette.data.read_coco import coco_splits, parse_coco
from vedette.errors import InputError

Write = Callable[..., Path]


def kinds(folder: Path, file: str = "train.json") -> list[tuple[str, str]]:
    findings = settle(parse_coco(folder / file))[1]
    return [(finding.kind, finding.detail) for finding in findings if finding.kind != "image without boxes"]


def test_labels_go_by_category_id(coco: Write) -> None:
    found = settle(parse_coco(coco([[4, 5, 10, 12], [0, 0, 40, 30]]) / "train.json"))[0]
    assert found.classes == ("bicycle", "dog")
    assert found.category_ids == (2, 18)
    assert found.labels(0).tolist() == [1, 1]
    assert found.boxes(0).tolist() == [[4, 5, 14, 17], [0, 0, 40, 30]]
    assert [found.image_id(0), found.image_id(1)] == [7, 3]
    assert len(found.boxes(1)) == 0
    assert found.size(0) == (40, 30)


def test_marks_and_areas(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"][0].update(difficult=1, area=33.5)
        content["annotations"][1].update(iscrowd=1, segmentation={"counts": [1, 2], "size": [30, 40]})

    found = settle(parse_coco(coco([[4, 5, 10, 10], [1, 1, 8, 8]], change=change) / "train.json"))[0]
    assert found.difficult(0).tolist() == [True, False]
    assert found.crowd(0).tolist() == [False, True]
    assert found.area(0).tolist() == [33.5, 64]


def test_areas_are_kept_as_they_are_stated(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"][0].update(area=1024.00003)  # a medium object; as float32 it is a small one

    found = settle(parse_coco(coco([[4, 5, 10, 10]], change=change) / "train.json"))[0]
    assert found.area(0).tolist() == [1024.00003]


def test_lists_may_come_in_any_order(coco: Write) -> None:
    folder = coco([[4, 5, 10, 12]])
    content = json.loads((folder / "train.json").read_text())
    (folder / "train.json").write_text(json.dumps(dict(reversed(content.items()))))
    found = settle(parse_coco(folder / "train.json"))[0]
    assert found.labels(0).tolist() == [1]
    assert found.boxes(0).tolist() == [[4, 5, 14, 17]]


def test_ids_may_be_strings(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        content["images"][0]["id"] = content["annotations"][0]["image_id"] = "seven"

    found = settle(parse_coco(coco(change=change) / "train.json"))[0]
    assert found.image_id(0) == "seven"
    assert len(found.boxes(0)) == 1


@pytest.mark.parametrize(
    ("file", "images", "split"),
    [
        ("train.json", "images", "train"),
        ("train.json", "train", "train"),
        ("train.json", "images/train", "train"),
        ("train.json", ".", "train"),
        ("annotations/instances_train2017.json", "train2017", "instances_train2017"),
        ("annotations/instances_train2017.json", "images/train2017", "instances_train2017"),
        ("annotations/train.json", "images", "train"),
        ("train/_annotations.coco.json", "train", "train"),
    ],
)
def test_images_are_found(coco: Write, file: str, images: str, split: str) -> None:
    folder = coco(file=file, images=images)
    draft = coco_splits(folder)[split]()
    assert [Path(name).resolve() for name in draft.files] == [folder / images / name for name in ("a.jpg", "b.jpg")]


def test_images_are_where_most_of_them_are(coco: Write, picture: Callable[..., Path]) -> None:
    folder = coco()
    picture(folder / "train" / "a.jpg")
    assert parse_coco(folder / "train.json").files[0] == str(folder / "images" / "a.jpg")
    (folder / "images" / "b.jpg").unlink()
    (folder / "train" / "a.jpg").unlink()
    assert parse_coco(folder / "train.json").files[1] == str(folder / "images" / "b.jpg")


def test_captions_are_no_split(coco: Write) -> None:
    folder = coco(file="annotations/instances_val2017.json")
    (folder / "annotations" / "captions_val2017.json").write_text("{}")
    assert list(coco_splits(folder)) == ["instances_val2017"]


def test_results_are_no_split(coco: Write) -> None:
    folder = coco()
    (folder / "detections.json").write_text(" [1]")
    assert list(coco_splits(folder)) == ["train"]


@pytest.mark.parametrize(
    "bbox", [[1, 2, 3], [1, 2, 3, "x"], [1, 2, 3, None], None, [1, 2, 3, float("nan")], [1] * 5, 7]
)
def test_a_box_must_be_four_numbers(coco: Write, bbox: Any) -> None:
    ((kind, detail),) = kinds(coco([[1, 1, 5, 5], bbox]))
    assert kind == "annotation unreadable"
    assert detail.startswith("annotation 101: bbox ")


def test_an_unknown_class_is_found(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"][0]["category_id"] = 99

    folder = coco([[1, 1, 5, 5], [2, 3, 5, 5]], change=change)
    (found,) = kinds(folder)
    assert found == ("unknown class", "annotation 100, a.jpg: category_id 99 is not among the categories")
    assert settle(parse_coco(folder / "train.json"))[0].boxes(0).tolist() == [[2, 3, 7, 8]]


def edit(section: str, place: int, **values: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: content[section][place].update(values)


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (edit("annotations", 0, image_id=8), "annotation 100: image_id 8 is not among the images"),
        (edit("annotations", 0, image_id=None), "annotation 100: image_id None is not among the images"),
        (edit("images", 1, id=7), "image at place 1, b.jpg: the id 7 is there twice"),
        (edit("images", 1, id=None), 'image at place 1, b.jpg, has no "id"'),
        (edit("images", 1, file_name=None), 'image at place 1 has no "file_name"'),
        (edit("categories", 0, id=2), "category 2, bicycle: this id or name is there twice"),
        (edit("categories", 1, name="dog"), "category 2, dog: this id or name is there twice"),
        (edit("categories", 1, name=None), "category at place 1 has no id (a whole number or a word) and name"),
        (lambda content: content.pop("annotations"), 'not a COCO data set: it has no list "annotations"'),
        (lambda content: content["annotations"].append(5), "annotation at place 1 is not an object"),
    ],
)
def test_what_cannot_be_right_is_found(coco: Write, change: Callable[[dict[str, Any]], object], detail: str) -> None:
    assert ("annotation unreadable", detail) in kinds(coco(change=change))


def test_broken_json_is_placed(coco: Write) -> None:
    folder = coco()
    (folder / "train.json").write_text('{"images": [],\n "annotations": [}')
    assert kinds(folder) == [("annotation unreadable", "line 2, column 18: not a JSON object (Expecting value)")]


def test_a_size_that_is_not_stated_is_measured(coco: Write) -> None:
    found = settle(parse_coco(coco(change=edit("images", 0, width=None)) / "train.json"))[0]
    assert found.size(0) == (40, 30)


def test_the_development_data(data_root: Path) -> None:
    draft = coco_splits(data_root / "voc")["val"]()
    found, findings = settle(draft)
    assert (len(found), len(found.all_labels), findings) == (1000, 3094, [])
    assert sum(int(found.difficult(index).sum()) for index in range(len(found))) == 589


def test_numbers_and_names_beyond_all_bounds_are_read(tmp_path: Path) -> None:
    huge = 2**70
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
    content = {
        "images": [{"id": huge, "file_name": "a.jpg", "width": 1e30, "height": 1e30}],
        "annotations": [{"id": huge, "image_id": huge, "category_id": 1, "bbox": [1, 2, 10, 10]}],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "train.json").write_text(json.dumps(content))
    dataset = read_dataset(tmp_path)
    assert dataset.size(0) == (40, 30)
    assert dataset.image_id(0) == str(huge)
    assert len(dataset.boxes(0)) == 1
    content["images"][0]["file_name"] = "\ud800.jpg"
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(InputError):
        read_dataset(tmp_path)


@pytest.mark.parametrize(("value", "crowd"), [("0", False), ("1", True), (None, False), (True, True), ("false", False)])
def test_a_mark_may_be_text(coco: Write, value: object, crowd: bool) -> None:
    draft = parse_coco(coco(change=edit("annotations", 0, iscrowd=value, difficult=value)) / "train.json")
    found = settle(draft)[0]
    assert (found.crowd(0).tolist(), found.difficult(0).tolist(), draft.findings) == ([crowd], [crowd], [])


@pytest.mark.parametrize("value", [2, "maybe", [1], {}])
def test_a_mark_that_is_neither_is_found(coco: Write, value: object) -> None:
    folder = coco(change=edit("annotations", 0, iscrowd=value))
    assert kinds(folder) == [("annotation unreadable", f"annotation 100: iscrowd is {value!r}, not 0 or 1")]


def test_an_image_listed_twice_is_found(coco: Write) -> None:
    folder = coco(change=edit("images", 1, file_name="a.jpg"))
    assert kinds(folder) == [("annotation unreadable", "image at place 1, a.jpg: image listed twice")]


def test_whole_floats_are_ids(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"][0].update(image_id=7.0, category_id=18)
        content["images"][0]["id"], content["categories"][0]["id"] = 7, 18.0

    found, findings = settle(parse_coco(coco(change=change) / "train.json"))
    assert (found.category_ids, found.labels(0).tolist(), found.image_id(0)) == ((2, 18), [1], 7)
    assert [finding.kind for finding in findings] == ["image without boxes"]


@pytest.mark.parametrize("value", [7.5, True, [7]])
def test_an_id_that_cannot_be_one_is_named(coco: Write, value: object) -> None:
    folder = coco(change=edit("annotations", 0, image_id=value))
    assert kinds(folder) == [("annotation unreadable", f"annotation 100: image_id {value!r} is not among the images")]


def test_names_written_on_windows_are_found(coco: Write, picture: Callable[..., Path]) -> None:
    def change(content: dict[str, Any]) -> None:
        content["images"][0]["file_name"] = "left\\a.jpg"
        content["images"][1]["file_name"] = "odd\\b.jpg"  # a name that holds a backslash, outside Windows

    folder = coco(change=change)
    picture(folder / "images" / "left" / "a.jpg")
    picture(folder / "images" / "odd\\b.jpg")
    found = settle(parse_coco(folder / "train.json"))[0]
    assert [found.file(index) for index in range(2)] == [folder / "images/left/a.jpg", folder / "images/odd\\b.jpg"]
    assert kinds(folder) == []
