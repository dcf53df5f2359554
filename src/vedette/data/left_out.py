"""What a data set says that another format has no place for, whatever its boxes are: ids, areas, outlines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from vedette.data.annotations import Dataset, Texts
from vedette.data.findings import LONGEST_NAME, shown
from vedette.data.shapes import count, in_words
from vedette.data.values import counted

CALLED = {"coco": "COCO", "voc": "VOC", "yolo": "YOLO", "huggingface": "a metadata.jsonl"}
OF_OUTLINE = 0.01  # share by which an area must differ from the box's to be another thing's


def left_out(splits: Mapping[str, Dataset], to: str) -> Iterator[str]:
    """A line for each kind of loss on the way to a format. What a format's boxes lose, its own file says."""
    if to == "coco":
        return
    yield from _lost_ids(splits, to)
    areas = sum(map(_areas_of_outlines, splits.values())) if to != "huggingface" else 0
    if areas:
        yield f"left out: {counted(areas, 'area')} other than the box's, which {CALLED[to]} has no place for"
    shapes = in_words(sum((count(one.shapes or ()) for one in splits.values()), Counter[str]()))
    if shapes and to != "yolo":
        yield f"left out: {shapes}, which {CALLED[to]} has no place for"


def _lost_ids(splits: Mapping[str, Dataset], to: str) -> Iterator[str]:
    """Ids of classes; those of images too, where they are not the pictures' names."""
    first = next(iter(splits.values()))
    numbered = [one for one in splits.values() if not isinstance(one.image_ids, Texts)]
    made_up = (*range(1, len(first.classes) + 1),)  # by readers of formats that have none
    if (
        to == "yolo"
        and first.category_ids != (*range(len(first.classes)),)
        and (numbered or first.category_ids != made_up)
    ):
        example = f"{shown(first.classes[0], LONGEST_NAME)} is 0, was {first.category_ids[0]}"
        yield f"left out: ids of classes, which YOLO numbers from 0 on ({example})"
    elif to != "yolo" and (numbered or first.category_ids != made_up):
        yield f"left out: ids of classes, which {CALLED[to]} has no place for: classes go by name"
    if numbered and to != "huggingface":
        yield f"left out: ids of images, which {CALLED[to]} has no place for: images go by the names of their files"


def _areas_of_outlines(dataset: Dataset) -> int:
    """How many areas are not those of their boxes."""
    width, height = (dataset.all_boxes[:, 2:] - dataset.all_boxes[:, :2]).astype(np.float64).T
    own = width * height
    return int((np.abs(dataset.all_areas - own) > OF_OUTLINE * own).sum())
