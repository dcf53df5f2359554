"""Which outlines or keypoints YOLO's labels can hold: a data set's lines are boxes, or outlines, or poses.

A line of outlines has one polygon, and its box is that around it; a line of poses has as many keypoints as the yaml's
`kpt_shape` says. What does not fit is a box there, and said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import starmap

import numpy as np

from vedette.data.annotations import Dataset, Texts
from vedette.data.shapes import Shape, count, points_of, polygons_of, read, written
from vedette.data.values import counted

NEAR, SAME = 1.0, 0.1  # pixels between a box and the one around its outline: read as one object; not worth a word
MANY_PARTS, ELSEWHERE = (
    "outlines of several parts, of which a line has one",
    "outlines that are not where their boxes are",
)
MASK, NEARBY = "masks in runs, which are no polygons", "boxes beside their outlines"


def fit_shapes(splits: Mapping[str, Dataset]) -> tuple[dict[str, Dataset], list[str]]:
    """The splits with the outlines, or with the keypoints, that YOLO's files can hold; and a line for what is lost."""
    numbers = {len(shape["keypoints"]) // 3 for shape in _all(splits) if "keypoints" in shape}
    if len(numbers) == 1:
        return _poses(splits, next(iter(numbers)))
    lost = [f"left out: keypoints, {_either(numbers)} an object, where YOLO has one number of them"] if numbers else []
    whys = Counter[str]()
    fitting = {split: _outlined(dataset, whys) for split, dataset in splits.items()}
    moved = whys.pop(NEARBY, 0)
    lost += [f"left out: {why}; the boxes are written: {number}" for why, number in whys.items()]
    if moved:
        lost.append(f"now the box around its outline, up to a pixel away: {counted(moved, 'box')}")
    plain = sum(not shape for shape in _all(fitting))
    if plain and any(_all(fitting)):
        lost.append(f"now an outline of four corners: {counted(plain, 'box')}, for all lines are outlines or none is")
    return fitting, lost


def kpt_shape(splits: Mapping[str, Dataset]) -> tuple[int, int] | None:
    """The yaml's word on poses, None where there are none."""
    numbers = {len(shape["keypoints"]) // 3 for shape in _all(splits) if "keypoints" in shape}
    return (max(numbers), 3) if numbers else None


def _poses(splits: Mapping[str, Dataset], number: int) -> tuple[dict[str, Dataset], list[str]]:
    counts = Counter[str]()
    for dataset in splits.values():
        counts += count(dataset.shapes or ())
    outlines = counts["outline"] + counts["mask"]
    lost = [f"left out: {counted(outlines, 'outline')}, for lines with keypoints have none"] if outlines else []
    without = sum(not shape.get("keypoints") for shape in _all(splits))
    if without:
        lost.append(f"now with {number} keypoints that are not labelled: {counted(without, 'box')} without any")
    if any(_are_names(read(text)) for dataset in splits.values() for text in dataset.skeletons):
        lost.append("left out: what keypoints are called and which are joined, which data.yaml has no place for")
    return {split: _keypoints_alone(dataset) for split, dataset in splits.items()}, lost


def _keypoints_alone(dataset: Dataset) -> Dataset:
    shapes = map(read, dataset.shapes or ())
    kept = ({key: value for key, value in shape.items() if key == "keypoints"} for shape in shapes)
    return replace(dataset, shapes=Texts.of(map(written, kept)))


def _outlined(dataset: Dataset, whys: Counter[str]) -> Dataset:
    """With the outlines alone that a line can hold; counts why others are none."""
    if dataset.shapes is None:
        return dataset

    def fit(text: str, x1: float, y1: float, x2: float, y2: float) -> str:
        shape = read(text)
        if "segmentation" not in shape:
            return ""
        polygons = polygons_of(shape)
        if len(polygons) != 1:
            whys[MANY_PARTS if polygons else MASK] += 1
            return ""
        points = points_of(polygons[0])
        away = float(np.abs(np.concatenate([points.min(0), points.max(0)]) - (x1, y1, x2, y2)).max())
        if away > NEAR:
            whys[ELSEWHERE] += 1
            return ""
        whys[NEARBY] += away > SAME
        return written({"segmentation": polygons})

    rows = zip(dataset.shapes, *dataset.all_boxes.astype(np.float64).T.tolist(), strict=True)
    return replace(dataset, shapes=Texts.of(starmap(fit, rows)))


def _are_names(skeleton: Shape) -> bool:
    """Whether keypoints are called otherwise than by their numbers."""
    names = skeleton.get("keypoints", [])
    return "skeleton" in skeleton or names != [str(number) for number in range(1, len(names) + 1)]


def _all(splits: Mapping[str, Dataset]) -> list[Shape]:
    return [read(text) for dataset in splits.values() for text in dataset.shapes or ()]


def _either(numbers: set[int]) -> str:
    return " or ".join(map(str, sorted(numbers)))
