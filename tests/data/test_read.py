"""PATH[:SPLIT] to a data set: formats, splits, what is clipped, left out and refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vedette.data.read import find_splits, parse_source, read_dataset, read_datasets, validation_source
from vedette.errors import InputError

Write = Callable[..., Path]


def test_a_source_is_a_path_and_a_split(tmp_path: Path) -> None:
    (tmp_path / "a:b").mkdir()
    assert parse_source(f"{tmp_path}:train") == (tmp_path, "train")
    assert parse_source(f"{tmp_path}") == (tmp_path, None)
    assert parse_source(f"{tmp_path}/a:b") == (tmp_path / "a:b", None)
    assert parse_source(f"{tmp_path}/a:b:val") == (tmp_path / "a:b", "val")
    assert parse_source("C:/photos") == (Path("C:/photos"), None)
    assert parse_source("C:\\photos") == (Path("C:\\photos"), None)
    assert parse_source("C") == (Path("C"), None)
    with pytest.raises(InputError, match="an empty path is no data set"):
        parse_source("")


def test_formats_are_recognised(coco: Write, voc: Write, yolo: Write) -> None:
    folder = coco()
    assert list(find_splits(folder)) == ["train"]
    assert list(find_splits(folder / "train.json")) == ["train"]
    voc({"a": []}, trainval="a", test="a")
    assert list(find_splits(folder)) == ["test", "trainval"]
    yolo({"images/train/a": None}, "train: images/train\nnames: [fish]\n")
    assert list(find_splits(folder / "data.yaml")) == ["train"]


@pytest.mark.parametrize(
    ("there", "train", "evaluate"),
    [
        ("train val test", "train", "val"),
        ("train test valid", "train", "valid"),
        ("train test", "train", "test"),
        ("instances_train2017 instances_val2017", "instances_train2017", "instances_val2017"),
        ("whatever", "whatever", "whatever"),
    ],
)
def test_default_splits(voc: Write, there: str, train: str, evaluate: str) -> None:
    names = there.split()
    folder = voc({name: [] for name in names}, **{name: name for name in names})
    assert read_dataset(folder, purpose="train").image_id(0) == train
    assert read_dataset(folder, purpose="evaluate").image_id(0) == evaluate


def test_a_split_that_is_not_there_is_refused(voc: Write) -> None:
    folder = voc({"a": []}, left="a", right="a")
    for split in ("train", None):
        with pytest.raises(InputError, match=r"no split .*; there is left, right"):
            read_dataset(folder, split)


def test_training_clips_and_evaluating_does_not(coco: Write) -> None:
    folder = coco([[-4, 5, 10, 10], [30, 20, 20, 9], [0, 0, 40.04, 30]])
    trained, evaluated = read_dataset(folder), read_dataset(folder, purpose="evaluate")
    assert trained.boxes(0).tolist() == [[0, 5, 6, 15], [30, 20, 40, 29], [0, 0, 40, 30]]
    assert evaluated.boxes(0)[:2].tolist() == [[-4, 5, 6, 15], [30, 20, 50, 29]]
    (note,) = trained.notes
    assert note.startswith("2 boxes clipped to their images (first: ")
    assert note.endswith("a.jpg, annotation 100: dog at (-4, 5, 6, 15))")
    assert evaluated.notes == ()


def test_boxes_without_area_are_left_out_and_told(coco: Write) -> None:
    folder = coco([[4, 5, 10, 10], [4, 5, 0, 10], [4, 5, -9, 0], [50, 5, 10, 10], [4, -20, 9, 20]])
    for purpose in ("train", "evaluate"):
        found = read_dataset(folder, purpose=purpose)
        assert found.boxes(0).tolist() == [[4, 5, 14, 15]]
        assert [note.split(" (")[0] for note in found.notes] == [
            "2 degenerate boxes left out",
            "2 boxes outside their images left out",
        ]


def test_corners_in_another_order_are_put_in_order_and_told(coco: Write) -> None:
    folder = coco([[14, 5, -10, 10], [4, 15, 10, -10], [14, 15, -10, -10], [4, 5, 10, 10]])
    for purpose in ("train", "evaluate"):
        found = read_dataset(folder, purpose=purpose)
        assert found.boxes(0).tolist() == [[4, 5, 14, 15]] * 4
        assert found.area(0).tolist() == [100] * 4
        assert found.notes[0].startswith("3 boxes whose right or lower sides came first: their corners are put in")


def test_images_without_boxes_are_taken(coco: Write) -> None:
    found = read_dataset(coco([]))
    assert (len(found), found.boxes(0).shape, found.notes) == (2, (0, 4), ())


def test_faults_are_refused_by_name_and_number(coco: Write) -> None:
    folder = coco([[1, 2, 3], [1, 2], [4, 5, 10, 10]])
    with pytest.raises(
        InputError, match=r"train.json: annotation 100: bbox .* \(and 1 more; see vedette data check\)$"
    ):
        read_dataset(folder)


def test_missing_images_are_refused(coco: Write) -> None:
    folder = coco()
    for name in ("a.jpg", "b.jpg"):
        (folder / "images" / name).unlink()
    (folder / "images").rmdir()
    with pytest.raises(InputError, match=r"a.jpg: no such image file \(and 1 more"):
        read_dataset(folder)


@pytest.mark.parametrize("name", ["nowhere", "empty", "text.txt"])
def test_what_is_no_data_set_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(InputError, match=name):
        read_dataset(tmp_path / name)


def test_a_split_without_images_is_refused(coco: Write) -> None:
    folder = coco([], change=lambda content: content["images"].clear())
    with pytest.raises(InputError, match="the split train has no images"):
        read_dataset(folder)


def test_sources_are_united(voc: Write) -> None:
    folder = voc({"a": [("axe", 1, 1, 9, 9)], "b": []}, train="a", val="b")
    both = read_datasets([f"{folder}:train", f"{folder}:val"])
    assert [both.file(index).stem for index in range(2)] == ["a", "b"]
    with pytest.raises(InputError, match="no data"):
        read_datasets([])


@pytest.mark.parametrize(
    ("there", "trained", "found"),
    [
        ("train val test", "", ":val"),
        ("train val test", ":train", ":val"),
        ("train test", "", ":test"),
        ("train val test trainval", ":trainval", ":test"),
        ("train val", ":val", None),
        ("train", "", None),
        ("val", "", None),
    ],
)
def test_a_data_set_may_bring_its_validation(voc: Write, there: str, trained: str, found: str | None) -> None:
    folder = voc({name: [] for name in there.split()}, **{name: name for name in there.split()})
    assert validation_source(f"{folder}{trained}") == (found and f"{folder}{found}")


def test_the_development_data(data_root: Path) -> None:
    with pytest.raises(InputError, match=r'no split "test"; there is train, val'):
        read_dataset(data_root / "aquarium", "test")
    (note,) = read_dataset(data_root / "bccd").notes
    assert note.startswith("1 degenerate box left out (first: ")
