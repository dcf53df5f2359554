"""YOLO txt: the yaml, where images and labels are, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vedette.data.draft import settle
from vedette.data.read_yolo import yolo_splits
from vedette.errors import InputError

Write = Callable[..., Path]
YAML = "train: train/images\nval: valid/images\nnames: [fish, shark]\n"
BOX = "1 0.5 0.5 0.5 0.2\n"


def found_in(folder: Path, split: str = "train") -> list[tuple[str, str, str]]:
    findings = settle(yolo_splits(folder)[split]())[1]
    return [(finding.kind, Path(finding.file).name, finding.detail) for finding in findings]


def test_fractions_become_pixels(yolo: Write) -> None:
    lines = BOX + "\n0 0.1 0.1 0.6 0.1 0.35 0.9\n"
    folder = yolo({"train/images/a": lines, "train/images/b": None, "valid/images/c": ""}, YAML)
    found = settle(yolo_splits(folder)["train"]())[0]
    assert found.classes == ("fish", "shark")
    assert found.category_ids == (0, 1)
    assert found.boxes(0).flatten().tolist() == pytest.approx([10, 12, 30, 18, 4, 3, 24, 27])
    assert found.labels(0).tolist() == [1, 0]
    assert len(found.boxes(1)) == 0
    assert found.image_id(1) == "b"
    assert found.size(0) == (40, 30)


def test_fractions_are_of_the_turned_picture(yolo: Write, picture: Callable[..., Path]) -> None:
    folder = yolo({"train/images/a": BOX}, YAML)
    picture(folder / "train/images/a.jpg", (40, 30), 6)
    found = settle(yolo_splits(folder)["train"]())[0]
    assert found.boxes(0).flatten().tolist() == pytest.approx([7.5, 16, 22.5, 24])
    assert found.image(0).size == (30, 40)


def test_names_may_have_numbers(yolo: Write) -> None:
    folder = yolo({"train/images/a": "7 0.5 0.5 0.5 0.2\n"}, "train: train/images\nnames: {7: shark, 2: fish}\n")
    found = settle(yolo_splits(folder)["train"]())[0]
    assert (found.classes, found.category_ids, found.labels(0).tolist()) == (("fish", "shark"), (2, 7), [1])


def test_classes_may_be_counted_alone(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, "train: train/images\nnc: 2\n")
    assert yolo_splits(folder)["train"]().classes == ("class 0", "class 1")


@pytest.mark.parametrize(
    ("entry", "images"),
    [
        ("images/train", "images/train"),
        ("../train/images", "train/images"),
        ("./train/images", "train/images"),
        ("train\\images", "train/images"),
        ("..\\train\\images", "train/images"),
        ("train", "train/images"),
        ("[train/images]", "train/images"),
        ("images/train\npath: sub", "sub/images/train"),
        ("images/train\npath: /nowhere/at/all", "images/train"),
    ],
)
def test_images_and_labels_are_found(yolo: Write, entry: str, images: str) -> None:
    folder = yolo({f"{images}/a": BOX}, f"train: {entry}\nnames: [fish, shark]\n")
    draft = yolo_splits(folder)["train"]()
    assert [Path(file).resolve() for file in draft.files] == [folder / images / "a.jpg"]
    assert len(draft.labels) == 1


def test_a_file_may_list_the_images(yolo: Write) -> None:
    folder = yolo({"images/a": BOX, "images/b": BOX}, "train: train.txt\nnames: [fish, shark]\n")
    (folder / "train.txt").write_text("./images/b.jpg\n")
    draft = yolo_splits(folder)["train"]()
    assert [Path(file).name for file in draft.files] == ["b.jpg"]
    assert draft.findings == []


def test_a_listed_image_that_is_not_there_is_found_once(yolo: Write) -> None:
    folder = yolo({"images/a": BOX}, "train: train.txt\nnames: [fish, shark]\n")
    (folder / "train.txt").write_text("images/a.jpg\nimages/b.jpg\n")
    (folder / "labels" / "b.txt").write_text(BOX)
    assert found_in(folder) == [("missing file", "b.jpg", "no such image file")]


def test_only_a_test_split_may_be_absent(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, YAML + "test: test/images\n")
    assert list(yolo_splits(folder)) == ["train", "val"]
    assert found_in(folder, "val") == [
        ("missing file", "images", "no such folder or list of images, but the yaml names it")
    ]


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.5", "0 0.5 0.5 0.5 nan", "cat 0.5 0.5 0.5 0.5", "0 .5 .5 .5 .5 .9"])
def test_a_line_must_be_a_class_and_a_box(yolo: Write, line: str) -> None:
    folder = yolo({"train/images/a": f"{BOX}{line}\n"}, YAML)
    assert found_in(folder) == [("annotation unreadable", "a.txt", f"line 2: {line!r} is not class cx cy w h")]


@pytest.mark.parametrize("number", ["2", "-1", "0.5"])
def test_an_unknown_class_is_found(yolo: Write, number: str) -> None:
    folder = yolo({"train/images/a": f"{BOX}{number} 0.5 0.5 0.5 0.5\n"}, YAML)
    assert found_in(folder) == [
        ("unknown class", "a.txt", f"line 2: class {number} is not among the names in the yaml")
    ]


def test_labels_without_an_image_are_found(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX, "train/images/b": BOX}, YAML)
    (folder / "train/images/b.jpg").unlink()
    (folder / "train/labels/classes.txt").write_text("fish\n")
    assert found_in(folder) == [("missing file", "b.txt", "labels without an image of that name")]


def test_an_image_without_a_size_is_found(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, YAML)
    (folder / "train/images/a.jpg").write_text("no picture")
    assert found_in(folder) == [
        ("unreadable file", "a.jpg", "not an image in a format that can be read; replace it or leave it out")
    ]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("train: [a\nnames: b", "data.yaml: line 2: not YAML"),
        ("just text", "data.yaml: not a YOLO data set"),
        ("train: a\nnames: 7", '"names" is neither'),
        ("train: a", '"names" is neither'),
        ("train: a\nnc: 3\nnames: [a, b]", '"nc" is 3, but "names" has 2'),
        ("train: a\nnames: [a, a]", "a class name is there twice"),
    ],
)
def test_a_yaml_that_cannot_be_right_is_refused(yolo: Write, yaml: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        yolo_splits(yolo({}, yaml))


def test_the_development_data(data_root: Path) -> None:
    draft = yolo_splits(data_root / "aquarium")["val"]()
    assert (len(draft.files), len(draft.labels), draft.findings) == (127, 909, [])


def test_a_split_without_any_label_file_is_found(yolo: Write) -> None:
    folder = yolo({"train/images/a": None, "train/images/b": None}, YAML)
    detail = f"no folder of labels for 2 images of {folder}/train/images; without objects, make it"
    assert ("missing file", "labels", detail) in found_in(folder)


def test_names_are_matched_without_case(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, "train: train/Images\nnames: [fish, shark]\n")
    (folder / "train/images").rename(folder / "train/Images")
    (folder / "train/labels/a.txt").rename(folder / "train/labels/a.TXT")
    draft = yolo_splits(folder)["train"]()
    assert (len(draft.labels), draft.findings) == (1, [])


def test_files_may_start_with_a_byte_order_mark(yolo: Write) -> None:
    folder = yolo({"images/a": BOX}, "train: train.txt\nnames: [fish, shark]\n")
    (folder / "labels/a.txt").write_text(BOX, encoding="utf-8-sig")
    (folder / "train.txt").write_text("images/a.jpg\n", encoding="utf-8-sig")
    assert found_in(folder) == []


@pytest.mark.parametrize("name", ["null", "yes", "[a]", "{a: b}"])
def test_a_name_that_yaml_takes_for_something_else_is_refused(yolo: Write, name: str) -> None:
    folder = yolo({"train/images/a": BOX}, f"train: train/images\nnames:\n  0: fish\n  1: {name}\n")
    with pytest.raises(InputError, match=r"the name of class 1 as .* put it in quotes"):
        yolo_splits(folder)["train"]()


def test_names_of_digits_are_names(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, "train: train/images\nnames: [5, 7]\n")
    assert yolo_splits(folder)["train"]().classes == ("5", "7")


def test_a_list_written_on_windows_is_read(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, "train: train.txt\nnames: [fish, shark]\n")
    (folder / "train.txt").write_text("train\\images\\a.jpg\r\n")
    found = settle(yolo_splits(folder)["train"]())[0]
    assert (found.file(0), len(found.boxes(0))) == (folder / "train/images/a.jpg", 1)
