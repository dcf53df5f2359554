"""The compact form of a data set: what it costs, and what it gives back."""

import multiprocessing
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from vedette.data.annotations import Dataset, Texts, union
from vedette.data.draft import Draft, settle

Picture = Callable[..., Path]


def dataset(tmp_path: Path, images: int = 3, boxes: int = 2, classes: tuple[str, ...] = ("cat", "dog")) -> Dataset:
    """`boxes` boxes on every image; files that need not exist."""
    draft = Draft(classes, tuple(range(10, 10 + len(classes))), unit="annotation")
    for place in range(images):
        image = draft.add_image(tmp_path / f"{place:012}.jpg", place + 100, (640, 480))
        for box in range(boxes):
            draft.add_box(
                image, (place % 9, box, place % 9 + 50.0, box + 60.0), box % len(classes), box, 7.0 * (box + 1)
            )
    return settle(draft)[0]


def test_a_large_coco_costs_less_than_150_megabytes(tmp_path: Path) -> None:
    small = dataset(tmp_path / "coco" / "train2017", images=1180, boxes=8)  # a hundredth of 118 thousand
    assert len(small.all_boxes) == 9440
    assert small.nbytes * 100 < 150e6 / 2


def test_nbytes_counts_every_array(tmp_path: Path) -> None:
    small = dataset(tmp_path, images=1000)
    assert 0 <= len(pickle.dumps(small)) - small.nbytes < 5000


def test_there_is_no_object_an_image(tmp_path: Path) -> None:
    small = dataset(tmp_path, images=50)
    for field in fields(small):
        value = getattr(small, field.name)
        assert isinstance(value, np.ndarray | Texts | None) or (
            isinstance(value, tuple) and len(value) <= len(small.classes)
        )


def test_each_image_has_its_own_boxes(tmp_path: Path) -> None:
    found = dataset(tmp_path)
    assert len(found) == 3
    assert found.file(1) == tmp_path / "000000000001.jpg"
    assert found.image_id(1) == 101
    assert found.size(1) == (640, 480)
    assert found.boxes(1).tolist() == [[1, 0, 51, 60], [1, 1, 51, 61]]
    assert found.boxes(1).dtype == torch.float32
    assert found.labels(2).tolist() == [0, 1]
    assert found.labels(2).dtype == torch.int64
    assert found.area(2).tolist() == [7, 14]


def test_boxes_may_be_written_to(tmp_path: Path) -> None:
    found = dataset(tmp_path)
    found.boxes(1).zero_()
    found.area(1).zero_()
    assert found.boxes(1).sum() > 0
    assert found.area(1).sum() > 0


def test_boxes_in_any_order_come_to_their_images(tmp_path: Path) -> None:
    draft = Draft(("cat", "dog"), (1, 2), unit="annotation")
    for name in "abc":
        draft.add_image(tmp_path / name, name, (100, 100))
    for number, image in enumerate([2, 0, 2, 0]):
        draft.add_box(image, (number, 0, 50, 50), number % 3 % 2, number, difficult=number == 1, crowd=number == 2)
    found, _ = settle(draft)
    assert [found.boxes(index)[:, 0].tolist() for index in range(3)] == [[1, 3], [], [0, 2]]
    assert [found.labels(index).tolist() for index in range(3)] == [[1, 0], [], [0, 0]]
    assert [found.difficult(index).tolist() for index in range(3)] == [[True, False], [], [False, False]]
    assert [found.crowd(index).tolist() for index in range(3)] == [[False, False], [], [False, True]]
    assert found.boxes(1).shape == (0, 4)
    assert [found.image_id(index) for index in range(3)] == ["a", "b", "c"]


def test_an_area_that_is_not_stated_is_the_boxs(tmp_path: Path) -> None:
    draft = Draft(("cat",), (1,), unit="annotation")
    draft.add_box(draft.add_image("a", 1, (100, 100)), (10, 10, 30, 40), 0, 1)
    assert settle(draft)[0].area(0).tolist() == [600]


@pytest.mark.parametrize("texts", [[], [""], ["a", "", "Größe/猫.jpg", "z"]])
def test_texts_come_back(texts: list[str]) -> None:
    packed = Texts.of(texts)
    assert len(packed) == len(texts)
    assert [packed[index] for index in range(len(packed))] == texts


def test_a_union_unites_classes_by_name(tmp_path: Path) -> None:
    first = replace(dataset(tmp_path / "a", 2), notes=("one",))
    second = replace(dataset(tmp_path / "b", 1, 3, ("dog", "bird", "cat")), notes=("two",))
    both = union([first, second])
    assert both.classes == ("cat", "dog", "bird")
    assert both.category_ids == (1, 2, 3)
    assert [both.classes[label] for label in both.labels(2)] == ["dog", "bird", "cat"]
    assert both.boxes(2).tolist() == second.boxes(0).tolist()
    assert both.boxes(1).tolist() == first.boxes(1).tolist()
    assert [both.file(index) for index in range(3)] == [first.file(0), first.file(1), second.file(0)]
    assert [both.image_id(index) for index in range(3)] == [0, 1, 2]
    assert both.notes == ("one", "two")


def test_a_union_of_one_is_that_one(tmp_path: Path) -> None:
    found = dataset(tmp_path)
    assert union([found]) is found


def turned(
    tmp_path: Path, picture: Picture, size: tuple[int, int], stated: tuple[int, int], orientation: int
) -> Dataset:
    draft = Draft(("cat",), (1,), unit="annotation")
    draft.add_image(picture(tmp_path / "a.png", size, orientation), 1, stated)
    return settle(draft)[0]


@pytest.mark.parametrize(
    ("size", "stated", "orientation", "seen", "red_at"),
    [
        ((40, 30), (40, 30), 6, (40, 30), (0, 0)),  # stated as it lies in the file
        ((40, 30), (30, 40), 6, (30, 40), (29, 0)),  # stated as it is seen
        ((40, 30), (0, 0), 6, (30, 40), (29, 0)),  # not stated
        ((40, 30), (80, 60), 6, (30, 40), (29, 0)),  # neither
        ((40, 40), (40, 40), 6, (40, 40), (39, 0)),  # square
        ((40, 30), (40, 30), 3, (40, 30), (39, 29)),  # upside down: both have that size
        ((40, 30), (30, 40), 3, (40, 30), (39, 29)),  # upside down: neither has
        ((40, 30), (40, 30), 1, (40, 30), (0, 0)),
    ],
)
def test_an_image_is_in_the_frame_of_its_boxes(
    tmp_path: Path,
    picture: Picture,
    size: tuple[int, int],
    stated: tuple[int, int],
    orientation: int,
    seen: tuple[int, int],
    red_at: tuple[int, int],
) -> None:
    image = turned(tmp_path, picture, size, stated, orientation).image(0)
    assert image.mode == "RGB"
    assert image.size == seen
    assert image.getpixel(red_at) == (255, 0, 0)


def test_a_size_that_is_not_stated_is_measured_after_rotation(tmp_path: Path, picture: Picture) -> None:
    assert turned(tmp_path, picture, (40, 30), (0, 0), 6).size(0) == (30, 40)
    assert turned(tmp_path, picture, (40, 30), (0, 0), 3).size(0) == (40, 30)
    assert turned(tmp_path, picture, (40, 30), (10, 20), 6).size(0) == (10, 20)


def test_numbers_beyond_float32_are_findings_and_not_warnings() -> None:
    draft = Draft(("cat",), (1,), unit="annotation")
    image = draft.add_image("a.jpg", 1, (40, 30))
    draft.add_box(image, (1e300, 1e300, 1.5e308, 1.5e308), 0, 1)
    draft.add_box(image, (0, 0, 1e300, 1e300), 0, 2)
    dataset, findings = settle(draft)
    assert [f.kind for f in findings if f.kind != "missing file"] == ["degenerate box", "box clipped"]
    assert dataset.boxes(0).tolist() == [[0, 0, 40, 30]]


class Touched(TorchDataset[int]):
    """A number of each image, after its annotations were read."""

    def __init__(self, images: int, read: Callable[[int], int]) -> None:
        self.images, self.read = images, read

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, index: int) -> int:
        return self.read(index)


def growth(samples: Touched) -> int:
    """By how many bytes the private memory of a worker grows from its first batches to the end of an epoch."""
    loader = DataLoader(samples, batch_size=64, shuffle=True, num_workers=1, collate_fn=sum)
    sizes = []
    for number, _ in enumerate(loader):
        if number in (2, len(loader) - 1):
            (worker,) = multiprocessing.active_children()
            lines = Path(f"/proc/{worker.pid}/smaps_rollup").read_text().splitlines()[1:]
            sizes.append(sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_")))
    return sizes[1] - sizes[0]


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells private memory")
def test_annotations_do_not_grow_in_a_worker(tmp_path: Path) -> None:
    found = dataset(tmp_path, images=12_000, boxes=20)
    rows = [found.boxes(index).tolist() for index in range(len(found))]
    tensors = growth(Touched(len(found), lambda index: int(found.boxes(index).sum()) + len(str(found.file(index)))))
    objects = growth(Touched(len(rows), lambda index: int(sum(map(sum, rows[index])))))
    assert objects > 30e6  # each page that holds an object is copied when the object is looked at
    assert tensors < objects / 3  # what the interpreter itself costs
