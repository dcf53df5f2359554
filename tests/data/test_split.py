"""Parts of a data set on disk: everything once, groups together, copies together, the same for the same seed."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from vedette.data.annotations import CROWD, DIFFICULT
from vedette.data.groups import group_images
from vedette.data.read import read_dataset
from vedette.data.split import read_whole, split_dataset
from vedette.errors import InputError

HALVES = {"train": 0.5, "val": 0.5}


def write(folder: Path, names: list[str], shuffle: int | None = None) -> Path:
    """A COCO data set; of the images every third shows a dog, the others a cat; each picture is another."""
    images = []
    for at, name in enumerate(names):
        file = folder / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (at % 256, at // 256, 0)).save(file)
        images.append({"id": 100 + at, "file_name": name, "width": 20, "height": 20})
    boxes = [
        {"id": at, "image_id": 100 + at, "category_id": 5 if at % 3 else 9, "bbox": [1, 2, 3.3, 4]}
        | ({"difficult": 1} if at == 1 else {"iscrowd": 1} if at == 2 else {})
        for at in range(len(names))
    ]
    if shuffle is not None:
        random.Random(shuffle).shuffle(images)
    categories = [{"id": 5, "name": "cat"}, {"id": 9, "name": "dog"}]
    content = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "data.json").write_text(json.dumps(content))
    return folder


def names_of(folder: Path) -> dict[str, set[str]]:
    contents = {file.stem: json.loads(file.read_text()) for file in folder.glob("*.json")}
    return {part: {Path(image["file_name"]).name for image in one["images"]} for part, one in contents.items()}


def test_everything_is_in_one_part_and_can_be_trained_on(tmp_path: Path) -> None:
    source = write(tmp_path / "s", [f"{at}.png" for at in range(30)])
    parted = split_dataset(source, {"train": 0.8, "val": 0.2}, tmp_path / "out")
    parts = names_of(tmp_path / "out")
    assert {part: len(names) for part, names in parts.items()} == {"train": 24, "val": 6}
    assert len(parts["train"] | parts["val"]) == 30
    assert parted.groups == 30
    train, val = (read_dataset(tmp_path / "out", part, "evaluate") for part in ("train", "val"))
    assert (train.classes, train.category_ids) == (("cat", "dog"), (5, 9))
    assert sorted([*train.image_ids.tolist(), *val.image_ids.tolist()]) == list(range(100, 130))
    assert sorted([*train.all_flags.tolist(), *val.all_flags.tolist()])[-3:] == [0, DIFFICULT, CROWD]
    assert train.image(0).size == (20, 20)
    assert (val.all_labels == 1).sum() == 2  # 10 dogs, a fifth of them


def test_the_same_seed_is_the_same_split_wherever_and_in_whatever_order(tmp_path: Path) -> None:
    names = [f"{at}.png" for at in range(40)]
    source = write(tmp_path / "s", names)
    split_dataset(source, HALVES, tmp_path / "a", seed=3)
    shutil.copytree(source, tmp_path / "elsewhere" / "moved")
    write(tmp_path / "elsewhere" / "moved", names, shuffle=1)
    split_dataset(tmp_path / "elsewhere" / "moved", HALVES, tmp_path / "b", seed=3)
    split_dataset(source, HALVES, tmp_path / "c", seed=4)
    assert names_of(tmp_path / "a") == names_of(tmp_path / "b") != names_of(tmp_path / "c")


@pytest.mark.parametrize(("by", "key"), [("folder", 0), (r"^v(\d+)_", 1)])
def test_groups_stay_together(tmp_path: Path, by: str, key: int) -> None:
    names = [
        f"{folder}/v{folder}{video}_{frame}.png" for folder in range(6) for video in range(3) for frame in range(4)
    ]
    parted = split_dataset(write(tmp_path / "s", names), HALVES, tmp_path / "out", group_by=by)
    assert parted.groups == (6, 18)[key]
    parts = names_of(tmp_path / "out")
    groups = [{name[1:2] if by == "folder" else name.split("_")[0] for name in part} for part in parts.values()]
    assert not groups[0] & groups[1]
    assert sum(map(len, parts.values())) == len(names)


def test_copies_of_a_picture_stay_together(tmp_path: Path) -> None:
    source = write(tmp_path / "s", [f"{at}.png" for at in range(20)])
    for at in range(10):
        shutil.copyfile(source / "images" / f"{at}.png", source / "images" / f"{at + 10}.png")
    parted = split_dataset(source, HALVES, tmp_path / "out")
    parts = names_of(tmp_path / "out")
    assert parted.groups == 10
    assert all((f"{at}.png" in parts["train"]) == (f"{at + 10}.png" in parts["train"]) for at in range(10))


def test_copies_join_the_groups_that_they_are_in(tmp_path: Path) -> None:
    for name, content in {"a_1": b"x", "a_2": b"yy", "b_1": b"zzz", "b_2": b"yy", "c": b"w"}.items():
        (tmp_path / name).write_bytes(content)
    groups, ungrouped = group_images([str(tmp_path / n) for n in ("a_1", "a_2", "b_1", "b_2", "c")], r"^(.)_")
    assert groups.tolist() == [0, 0, 0, 0, 1]
    assert ungrouped == 1


def test_an_image_of_several_splits_is_once(voc, tmp_path: Path) -> None:
    source = voc({name: [("cat", 1, 2, 30, 20)] for name in "abcd"}, train="a b", val="c d", trainval="a b c d")
    for at, name in enumerate("abcd"):
        Image.new("RGB", (40, 30), (at, 0, 0)).save(source / "JPEGImages" / f"{name}.jpg", quality=100)
    split_dataset(source, HALVES, tmp_path / "out")
    assert sorted(name for part in names_of(tmp_path / "out").values() for name in part) == [f"{n}.jpg" for n in "abcd"]
    assert sum(len(read_dataset(tmp_path / "out", part, "evaluate")) for part in HALVES) == 4


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"parts": {"train": 0.99, "val": 0.01}}, "the part val would have no image: 4 images"),
        ({"group_by": "("}, "not a regular expression"),
        ({"group_by": "x"}, "put what images of a group share in brackets"),
        ({"group_by": "(x)"}, "is found in no file's name, such as 0.png"),
        ({"split": "gone"}, 'no split "gone"'),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, arguments: dict, why: str) -> None:
    source = write(tmp_path / "s", [f"{at}.png" for at in range(4)])
    with pytest.raises(InputError, match=why.replace("(", r"\(")):
        split_dataset(source, **({"parts": HALVES, "out": tmp_path / "out"} | arguments))
    assert not (tmp_path / "out").exists()


def test_an_image_that_splits_annotate_differently_is_said(coco: Callable[..., Path]) -> None:
    source = coco()
    content = json.loads((source / "train.json").read_text())
    (source / "val.json").write_text(json.dumps(content))
    assert read_whole(source).notes == ()
    content["annotations"][0]["bbox"] = [1, 1, 5, 5]
    (source / "val.json").write_text(json.dumps(content))
    whole = read_whole(source)
    assert len(whole) == 2
    assert whole.notes == ("annotated otherwise in another split: 1 image; the first split's boxes are taken",)
