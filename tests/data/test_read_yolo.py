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


def write_label(folder: Path, lines: str, yaml: str = YAML, name: str = "a") -> Path:
    (folder / f"train/labels/{name}.txt").write_text(lines)
    (folder / "data.yaml").write_text(yaml)
    return folder


def test_a_pose_is_its_box(yolo: Write) -> None:
    points = " 0.9 0.9" * 12
    folder = yolo({"train/images/a": f"1 0.5 0.5 0.5 0.2{points}\n{BOX}"}, YAML + "kpt_shape: [12, 2]\n")
    found, findings = settle(yolo_splits(folder)["train"]())
    assert found.boxes(0).flatten().tolist() == pytest.approx([10, 12, 30, 18] * 2)
    assert [finding.kind for finding in findings] == ["duplicate box"]
    write_label(folder, "1 0.5 0.5 0.5 0.2 0.9 0.9 2\n", YAML + "kpt_shape: [1, 3]\n")
    assert settle(yolo_splits(folder)["train"]())[0].boxes(0).flatten().tolist() == pytest.approx([10, 12, 30, 18])
    write_label(folder, "1 0.5 0.5 0.5 0.2 0.9 0.9\n", YAML + "kpt_shape: [1, 2]\n")  # seven columns
    assert settle(yolo_splits(folder)["train"]())[0].boxes(0).flatten().tolist() == pytest.approx([10, 12, 30, 18])


@pytest.mark.parametrize(
    ("line", "shape", "detail"),
    [
        ("1 0.5 0.5 0.5 0.2 0.9 0.9 0.8 0.8", "[12, 2]", "has 9 columns; with the yaml's kpt_shape it must have 29"),
        ("1 0.5 0.5 0.5 0.2 0.91 3", None, "a box and more? State the keypoints' kpt_shape"),  # a score and a track
        ("1 0.5 0.5 0.5 0.2 0.4 0.4 2 0.6 0.5 1", None, "a box and more? State the keypoints' kpt_shape"),
    ],
)
def test_a_box_and_more_is_no_outline(yolo: Write, line: str, shape: str | None, detail: str) -> None:
    folder = yolo({"train/images/a": line}, YAML + (f"kpt_shape: {shape}\n" if shape else ""))
    ((kind, name, said), _) = found_in(folder)
    assert (kind, name) == ("annotation unreadable", "a.txt")
    assert detail in said


def test_a_triangle_is_an_outline(yolo: Write) -> None:
    folder = yolo({"train/images/a": "1 0.5 0.5 0.6 0.4 0.55 0.45"}, YAML)
    assert found_in(folder) == []


@pytest.mark.parametrize("line", ["1 20 15 10 6", "1 0.5 0.5 10 6", "0 2 3 30 3 15 28"])
def test_pixels_are_no_fractions(yolo: Write, line: str) -> None:
    folder = yolo({"train/images/a": BOX + line}, YAML)
    detail = f"line 2: {line!r}: pixels, where fractions of the image's width and height are due"
    assert found_in(folder) == [("wrong unit", "a.txt", detail)]


def test_hidden_files_are_no_data(yolo: Write, picture: Callable[..., Path]) -> None:
    folder = yolo({"train/images/a": BOX}, YAML)
    for name in (".ipynb_checkpoints/a-checkpoint.jpg", "._a.jpg", "__MACOSX/a.jpg"):
        picture(folder / "train/images" / name)
    (folder / "train/labels/._a.txt").write_bytes(b"\0\xff")
    assert [Path(file).name for file in yolo_splits(folder)["train"]().files] == ["a.jpg"]
    assert found_in(folder) == []


def test_links_to_folders_are_followed_once(yolo: Write, tmp_path: Path) -> None:
    folder = yolo({"train/images/a": BOX, "elsewhere/images/b": BOX}, YAML)
    (folder / "train/images/more").symlink_to(folder / "elsewhere/images")
    (folder / "train/images/again").symlink_to(folder / "elsewhere/images")
    (folder / "train/images/loop").symlink_to(folder / "train")
    (folder / "train/labels/again").symlink_to(folder / "elsewhere/labels")
    draft = yolo_splits(folder)["train"]()
    assert [Path(file).name for file in draft.files] == ["a.jpg", "b.jpg"]
    assert (len(draft.labels), draft.findings) == (2, [])


def test_labels_that_lie_elsewhere_for_one_folder_of_several_are_found(yolo: Write) -> None:
    folder = yolo({"a/images/a": BOX, "b/images/b": BOX}, "train: [a/images, b/images]\nnames: [fish, shark]\n")
    (folder / "b/labels").rename(folder / "b/annotations")
    detail = f"no folder of labels for 1 image of {folder}/b/images; without objects, make it"
    assert ("missing file", "labels", detail) in found_in(folder)
    (folder / "b/labels").mkdir()
    assert found_in(folder) == [("image without boxes", "b.jpg", "it has no box")]


def test_images_without_a_folder_of_that_name_have_labels_beside_them(yolo: Write) -> None:
    folder = yolo({"a/images/a": BOX, "b/b": None}, "train: [a/images, b]\nnames: [fish, shark]\n")
    ((kind, name, detail), _) = found_in(folder)
    assert (kind, name, detail[:33]) == ("missing file", "b", "no labels beside its 1 image, nor")
    (folder / "b/b.txt").write_text(BOX)
    assert found_in(folder) == []


def test_labels_in_a_folder_without_images_are_found(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, YAML)
    (folder / "train/labels/sub").mkdir()
    (folder / "train/labels/sub/b.txt").write_text(BOX)
    assert found_in(folder) == [("missing file", "b.txt", "labels without an image of that name")]


def test_two_images_of_one_file_of_labels_are_found(yolo: Write, picture: Callable[..., Path]) -> None:
    folder = yolo({"train/images/a": BOX}, YAML)
    picture(folder / "train/images/a.png")
    detail = "labels of a.jpg or of a.png? Rename one of the two pictures, or take it away"
    assert found_in(folder) == [("name collision", "a.txt", detail)]


def test_an_image_listed_twice_is_found(yolo: Write) -> None:
    folder = yolo({"images/a": BOX}, "train: train.txt\nnames: [fish, shark]\n")
    (folder / "train.txt").write_text("images/a.jpg\n./images/a.jpg\n")
    assert found_in(folder) == [("annotation unreadable", "a.jpg", "image listed twice")]


def test_names_may_be_composed_otherwise_on_the_disk(yolo: Write) -> None:
    one, two = "caf\u00e9", "cafe\u0301"
    folder = yolo({f"images/{two}": BOX}, "train: train.txt\nnames: [fish, shark]\n")
    (folder / f"labels/{two}.txt").rename(folder / f"labels/{one}.txt")
    (folder / "train.txt").write_text(f"images/{one}.jpg\n")
    draft = yolo_splits(folder)["train"]()
    assert (draft.files, len(draft.labels)) == ([str(folder / f"images/{two}.jpg")], 1)
    assert found_in(folder) == []


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("train: a\nnames: [2001-99-99]", r"not YAML \(month must be in 1..12\)"),
        (
            "train: a\nnames: [2001-01-01]",
            r"reads the name of class 0 as datetime.date\(2001, 1, 1\): put it in quotes",
        ),
        ("train: 2001-01-01\nnames: [a]", r'"train" is datetime.date\(2001, 1, 1\), which names no folder'),
        ("train: 2017\nnames: [a]", '"train" is 2017, which names no folder'),
        ("train: a\nnc: 999999999", '"nc" is 999999999, more classes than the 100000 that are taken'),
        ("train: a\nnc: true", '"names" is neither'),
        ("train: /\nnames: [a]", "\"train\" is '/', the whole disk: name the folder of its images"),
        ("train: a\nnames: [" + "[" * 30000, "not YAML that can be read"),
        ("train: a\nnames: " + "- " * 30000, "not YAML"),
        ("train: a\nnames: {0: a, 0: b}", "line 2: not YAML \\(0 is there twice\\)"),
        ("train: a\nval: b\ntrain: c\nnames: [a]", "line 3: not YAML \\(train is there twice\\)"),
        ("train: a\nnames: {-1: a}", '"names" is neither'),
        ("train: a\nnames: [a]\nkpt_shape: [1, 5]", r'"kpt_shape" is \[1, 5\]; it must be'),
        (
            "a: &a [x, x]\n" + "".join(f"{k}: &{k} [*{j}, *{j}]\n" for j, k in zip("abcdef", "bcdefg", strict=True)),
            "10 alias",
        ),
        ("train: a\nnames: [" + "9" * 5000 + "]", "not YAML"),
        ("train: a\nnames: !!python/object:os.system x", "not YAML"),
        ("train: a\nnames: [b\x00]", "not YAML"),
    ],
)
def test_no_yaml_makes_more_than_one_line(yolo: Write, yaml: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        yolo_splits(yolo({}, yaml))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["x" * 5000, "a/" * 3000, "a\\0b", "data.yaml", "."])
def test_any_name_of_a_place_is_looked_for(yolo: Write, place: str) -> None:
    folder = yolo({"train/images/a": BOX}, f'train: "{place}"\nother: {"y" * 5000}\nnames: [fish, shark]\n')
    settle(yolo_splits(folder)["train"]())


def test_texts_may_be_in_utf_16(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, YAML)
    (folder / "data.yaml").write_text(YAML, encoding="utf-16")
    (folder / "train/labels/a.txt").write_text(BOX, encoding="utf-16")
    assert found_in(folder) == []


def test_a_list_may_begin_names_with_a_backslash(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, "train: train.txt\nnames: [fish, shark]\n")
    (folder / "train.txt").write_text("\\train\\images\\a.jpg\n\\b.jpg\n")
    assert found_in(folder) == [("missing file", "b.jpg", "no such image file"), *found_in(folder)[1:]]


def test_a_class_without_a_name_is_refused(yolo: Write) -> None:
    with pytest.raises(InputError, match="the name of class 1 is empty"):
        yolo_splits(yolo({"images/a": ""}, "train: images\nnames: [cat, '']\n"))


@pytest.mark.parametrize("suffix", [".jp2", ".heic", ".tga"])
def test_pictures_of_rarer_formats_are_not_passed_over(yolo: Write, suffix: str) -> None:
    folder = yolo({"images/a": "0 .5 .5 .5 .5\n"}, "train: images\nnames: [cat]\n")
    (folder / "images" / "a.jpg").rename(folder / "images" / f"a{suffix}")
    dataset, _ = settle(yolo_splits(folder)["train"]())
    assert [dataset.file(index).name for index in range(len(dataset))] == [f"a{suffix}"]


def test_a_list_may_count_from_the_yaml(yolo: Write) -> None:
    folder = yolo({"images/a": BOX, "lists/images/b": BOX}, "train: lists/train.txt\nnames: [fish, shark]\n")
    (folder / "lists/train.txt").write_text("images/a.jpg\nimages/b.jpg\nimages/c.jpg\n")
    draft = yolo_splits(folder)["train"]()
    places = ("images/a.jpg", "lists/images/b.jpg", "lists/images/c.jpg")
    assert draft.files == [str(folder / place) for place in places]


def test_a_list_may_count_from_the_path_of_the_yaml(yolo: Write, tmp_path: Path) -> None:
    folder = yolo({"far/images/a": BOX}, "path: far\ntrain: ../lists/train.txt\nnames: [fish, shark]\n")
    (folder / "lists").mkdir()
    (folder / "lists/train.txt").write_text("images/a.jpg\n")
    assert yolo_splits(folder)["train"]().files == [str(folder / "far/images/a.jpg")]


def test_numbers_of_names_may_be_in_quotes(yolo: Write) -> None:
    folder = yolo({"train/images/a": BOX}, "train: train/images\nnames: {'0': fish, '1': shark}\n")
    assert yolo_splits(folder)["train"]().classes == ("fish", "shark")


def test_a_number_in_quotes_and_without_is_refused(yolo: Write) -> None:
    with pytest.raises(InputError, match="a number of a class is there twice"):
        yolo_splits(yolo({"train/images/a": BOX}, "train: train/images\nnames: {'0': fish, 0: shark}\n"))
