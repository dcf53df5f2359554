"""Whole images with their proposals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vedette.data.loader import Draw, UnreadableImage
from vedette.data.read import read_dataset
from vedette.data.whole_images import WholeImages
from vedette.structures import InputSpec

SPEC = InputSpec(size=60, resize="short side", max_side=90)
PROPOSALS = [torch.tensor([[0.0, 0.0, 20.0, 30.0]]), torch.zeros(0, 4)]


def test_image_boxes_and_proposals_have_one_scale(coco: Callable[..., Path]) -> None:
    seen = WholeImages(read_dataset(coco([[4, 5, 10, 10]])), SPEC, PROPOSALS)[0]
    assert seen.image.shape == (3, 60, 80)
    assert seen.image.dtype == torch.uint8
    assert seen.target.boxes.tolist() == [[8, 10, 28, 30]]
    assert seen.proposals.tolist() == [[0, 0, 40, 60]]
    assert (seen.index, Path(seen.file).name) == (0, "a.jpg")


def test_the_frame_of_the_annotation_need_not_be_the_pictures(coco: Callable[..., Path]) -> None:
    def double(content: dict[str, Any]) -> None:
        content["images"][0].update(width=80, height=60)

    seen = WholeImages(read_dataset(coco([[8, 10, 20, 20]], change=double)), SPEC, PROPOSALS)[0]
    assert seen.target.boxes.tolist() == [[8, 10, 28, 30]]
    assert seen.proposals.tolist() == [[0, 0, 20, 30]]


def test_odd_seeds_mirror_everything(coco: Callable[..., Path]) -> None:
    images = WholeImages(read_dataset(coco([[4, 5, 10, 10]])), SPEC, PROPOSALS)
    plain, even, odd = images[0], images[Draw(0, 4)], images[Draw(0, 5)]
    assert torch.equal(plain.image, even.image)
    assert torch.equal(plain.image.flip(-1), odd.image)
    assert odd.target.boxes.tolist() == [[52, 10, 72, 30]]
    assert odd.proposals.tolist() == [[40, 0, 80, 60]]


def test_an_image_without_anything_is_ordinary(coco: Callable[..., Path]) -> None:
    seen = WholeImages(read_dataset(coco()), SPEC, PROPOSALS)[1]
    assert seen.target.boxes.shape == (0, 4)
    assert seen.proposals.shape == (0, 4)


@pytest.mark.parametrize(("difficult", "ignored"), [("ignore", [False, True]), ("train", [False, False])])
def test_difficult_boxes(voc: Callable[..., Path], difficult: Any, ignored: list[bool]) -> None:
    folder = voc({"a": [("dog", 5, 5, 15, 15), ("dog", 20, 5, 30, 15, 1)]}, train="a")
    seen = WholeImages(read_dataset(folder), SPEC, PROPOSALS, difficult)[0]
    assert seen.target.ignore is not None
    assert seen.target.ignore.tolist() == ignored


def test_crowds_are_always_ignored(coco: Callable[..., Path]) -> None:
    dataset = read_dataset(coco(change=lambda content: content["annotations"][0].update(iscrowd=1)))
    for difficult in ("ignore", "train"):
        target = WholeImages(dataset, SPEC, PROPOSALS, difficult)[0].target
        assert target.ignore is not None
        assert target.ignore.tolist() == [True]


def test_an_unreadable_image_is_named(coco: Callable[..., Path]) -> None:
    dataset = read_dataset(coco())
    dataset.file(0).write_bytes(b"half")
    with pytest.raises(UnreadableImage, match=r"a\.jpg: "):
        WholeImages(dataset, SPEC, PROPOSALS)[0]
