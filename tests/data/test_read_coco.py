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


def sized(name: str = "a.jpg", **values: object) -> Callable[[dict[str, Any]], None]:
    return lambda content: next(one for one in content["images"] if one["file_name"] == name).update(values)


@pytest.mark.parametrize(
    ("size", "stated", "orientation", "swapped"),
    [
        ((40, 30), (30, 40), 1, True),
        ((400, 300), (60, 80), 1, True),  # in another scale too
        ((40, 39), (39, 40), 1, True),
        ((40, 30), (80, 60), 6, True),  # the picture that is seen is 30 x 40
        ((40, 30), (30, 40), 6, False),
        ((40, 30), (40, 30), 6, False),
        ((40, 30), (80, 60), 1, False),
        ((40, 30), (40, 40), 1, False),
    ],
)
def test_swapped_sides_stop(
    coco: Write,
    picture: Callable[..., Path],
    size: tuple[int, int],
    stated: tuple[int, int],
    orientation: int,
    swapped: bool,
) -> None:
    folder = coco(change=sized(width=stated[0], height=stated[1]))
    picture(folder / "images/a.jpg", size, orientation)
    assert ("width and height swapped" in dict(kinds(folder))) == swapped
    if swapped:
        with pytest.raises(InputError, match=r"a.jpg: annotated as .*: width and height are swapped"):
            read_dataset(folder)


def test_ignored_objects_are_difficult_ones(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"][0].update(ignore=1, iscrowd=0)
        content["annotations"][1].update(ignore=1, iscrowd=1)
        content["annotations"][2].update(ignore=0)

    found = settle(parse_coco(coco([[1, 1, 5, 5], [2, 2, 5, 5], [3, 3, 5, 5]], change=change) / "train.json"))[0]
    assert found.difficult(0).tolist() == [True, False, False]
    assert found.crowd(0).tolist() == [False, True, False]


def test_a_root_category_is_no_class(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        content["categories"].insert(0, {"id": 0, "name": "pets", "supercategory": "none"})
        for one in content["categories"][1:]:
            one["supercategory"] = "pets"

    folder = coco(change=change)
    found, findings = settle(parse_coco(folder / "train.json"))
    assert (found.classes, found.category_ids, found.labels(0).tolist()) == (("bicycle", "dog"), (2, 18), [1])
    assert findings[0].kind == "class left out"
    (note,) = read_dataset(folder).notes
    detail = "category 0, pets: nobody annotated it, and it is only the parent of others"
    assert note == f"1 class left out (first: {folder}/train.json, {detail})"


def test_a_parent_with_boxes_is_a_class(coco: Write) -> None:
    folder = coco(change=edit("categories", 1, supercategory="dog"))
    assert settle(parse_coco(folder / "train.json"))[0].classes == ("bicycle", "dog")
    folder = coco([], change=edit("categories", 0, supercategory="dog"))  # of itself, as COCO's person
    assert settle(parse_coco(folder / "train.json"))[0].classes == ("bicycle", "dog")


def test_fractions_are_no_pixels(coco: Write) -> None:
    folder = coco([[0.1, 0.2, 0.4, 0.4], [0.5, 0.5, 0.5, 0.5]])
    assert [kind for kind, _ in kinds(folder)] == ["wrong unit"] * 2
    with pytest.raises(InputError, match=r"fractions of the image, where pixels are due \(and 1 more"):
        read_dataset(folder)
    assert kinds(coco([[0.1, 0.2, 0.4, 0.4], [5, 5, 20, 20]])) == []  # a speck


def test_a_box_is_that_of_its_polygons(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        first, second, third, fourth = content["annotations"]
        first.update(segmentation=[[4, 5, 20, 5, 20, 15.5], [2, 7, 3, 7, 3, 8]])
        del first["bbox"]
        second.update(bbox=[], segmentation=[[4, 5, 20, 5, 20]])
        third.update(bbox=None, segmentation={"counts": "abc", "size": [30, 40]})
        fourth.update(bbox=None, segmentation=[])

    folder = coco([[0, 0, 0, 0]] * 4, change=change)
    assert settle(parse_coco(folder / "train.json"))[0].boxes(0).tolist() == [[2, 5, 20, 15.5]]
    assert kinds(folder) == [
        (
            "annotation unreadable",
            "annotation 101: it has no bbox, and its segmentation is no list of polygons of three points or more",
        ),
        (
            "annotation unreadable",
            "annotation 102: it has no bbox, and its segmentation is a mask; write the bbox of the mask beside it",
        ),
        ("annotation unreadable", "annotation 103: bbox None is not four numbers"),
    ]


def test_ids_of_categories_may_be_words(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        content["categories"] = [{"id": "k9", "name": "dog"}, {"id": "7", "name": "cat"}, {"id": "b", "name": "bird"}]
        for one, key in zip(content["annotations"], ("k9", 7, "7"), strict=True):
            one.update(category_id=key)

    folder = coco([[1, 1, 5, 5], [2, 2, 5, 5], [3, 3, 5, 5]], change=change)
    found, findings = settle(parse_coco(folder / "train.json"))
    assert (found.classes, found.category_ids) == (("cat", "dog", "bird"), (7, 8, 9))
    assert found.labels(0).tolist() == [1, 0, 0]
    assert (findings[0].kind, findings[0].detail) == ("class ids numbered", "category k9 is 8, b is 9")


def test_ids_of_images_are_the_same_as_words_and_numbers(coco: Write) -> None:
    assert kinds(coco(change=edit("annotations", 0, image_id="7"))) == []
    assert kinds(coco(change=edit("images", 0, id="7"))) == []


@pytest.mark.parametrize("folder", [".", "train"])
def test_labels_beside_data(coco: Write, folder: str) -> None:
    place = coco(file=f"{folder}/labels.json", images=f"{folder}/data")
    (draft,) = [parse() for parse in coco_splits(place).values()]
    assert draft.files[0] == str(place / folder / "data/a.jpg")
    assert (list(coco_splits(place)), draft.findings) == (["labels" if folder == "." else "train"], [])


def test_hidden_files_and_those_of_other_tools_are_passed_over(coco: Write) -> None:
    folder = coco(file="birds.json")
    for name in ("._birds.json", ".ipynb_checkpoints/_annotations.coco.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no JSON")
    (folder / "settings.json").write_text('{"images": "images", "categories": []}')
    (folder / "licence.json").write_text('{"text": "free"')
    (folder / "model-index.json").write_text("[" * 100000)
    assert list(coco_splits(folder)) == ["birds"]


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}', '{"images": [1]', "[" * 9])
def test_a_damaged_file_of_a_split_is_not_passed_over(coco: Write, text: str) -> None:
    folder = coco()
    (folder / "val.json").write_text(text)
    assert list(coco_splits(folder)) == ["train", "val"]
    assert {kind for kind, _ in kinds(folder, "val.json")} == {"annotation unreadable"}


def test_two_files_of_one_split_are_refused(coco: Write) -> None:
    coco(file="annotations/train.json")
    with pytest.raises(InputError, match=r"train\.json is of the split train too"):
        coco_splits(coco())


def test_names_may_be_composed_otherwise_on_the_disk(coco: Write, picture: Callable[..., Path]) -> None:
    def change(content: dict[str, Any]) -> None:
        content["images"][0]["file_name"] = "\u00e9t\u00e9/caf\u00e9.jpg"

    folder = coco(change=change)
    disk = picture(folder / "images" / "e\u0301te\u0301" / "cafe\u0301.jpg")
    assert parse_coco(folder / "train.json").files[0] == str(disk)
    assert kinds(folder) == []


def test_one_image_under_two_names_is_found(coco: Write) -> None:
    folder = coco(change=edit("images", 1, file_name="./a.jpg"))
    assert kinds(folder) == [("annotation unreadable", "image at place 1, ./a.jpg: image listed twice")]


@pytest.mark.parametrize(
    "text", ['{"images": ' + "[" * 100000, '{"images": [' + "9" * 5000 + "]}", '{"images": [\ud800]}']
)
def test_any_json_is_one_finding(coco: Write, text: str) -> None:
    folder = coco()
    (folder / "train.json").write_text(text, errors="surrogatepass")
    assert {kind for kind, _ in kinds(folder)} == {"annotation unreadable"}


@pytest.mark.parametrize(
    "name", ["x" * 5000, "a/" * 3000, "\u00e9/" * 3000, "a\0b.jpg", "\ud800/a.jpg", "a\nb.jpg", "\ud800.jpg"]
)
def test_any_name_is_one_line(coco: Write, name: str) -> None:
    folder = coco(change=sized(file_name=name))
    with pytest.raises(InputError, match="no such image file") as caught:
        read_dataset(folder)
    assert str(caught.value).isprintable()


def test_areas_of_boxes_are_not_rounded(coco: Write) -> None:
    found = settle(parse_coco(coco([[1.1, 2.3, 32.000001, 32]], change=sized(width=400, height=300)) / "train.json"))[0]
    assert found.area(0).tolist() == pytest.approx([32.000001 * 32], rel=1e-12)
    assert found.area(0).item() > 32**2


def test_json_may_be_in_utf_16(coco: Write) -> None:
    folder = coco()
    (folder / "train.json").write_text((folder / "train.json").read_text(), encoding="utf-16")
    assert kinds(folder) == []


@pytest.mark.parametrize("area", [0, -4, None])
def test_an_area_that_is_none_is_the_boxs(coco: Callable[..., Path], area: object) -> None:
    """Tools that reckon none write 0: every box would be a small one."""
    folder = coco(change=lambda content: content["annotations"][0].update(area=area))
    assert settle(parse_coco(folder / "train.json"))[0].all_areas.tolist() == [100]


def test_captions_beside_any_split_are_passed_over(coco: Write) -> None:
    folder = coco()
    captions = {"images": [{"id": 7, "file_name": "a.jpg"}], "annotations": [{"id": 1, "image_id": 7, "caption": "!"}]}
    (folder / "captions_train.json").write_text(json.dumps(captions))
    (folder / "captions_val.json").write_text(json.dumps(captions | {"info": " " * 2**20}))  # too large to be parsed
    assert list(coco_splits(folder)) == ["train"]


def test_other_splits_beside_instances_are_not_lost(coco: Write) -> None:
    folder = coco(file="annotations/instances_val2017.json")
    coco(file="annotations/night.json")
    coco(file="train.json")
    coco(file="annotations/person_keypoints_val2017.json")
    assert list(coco_splits(folder)) == ["instances_val2017", "train", "night"]


def test_polygons_that_are_none_are_called_so(coco: Write) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"][0] |= {"bbox": None, "segmentation": [1, 1, 20, 1, 20, 20]}

    assert kinds(coco(change=change)) == [
        (
            "annotation unreadable",
            "annotation 100: it has no bbox, and its segmentation is no list of polygons of three points or more",
        )
    ]
