"""Outlines and keypoints beside boxes: no detector here learns from them, but who copies a data set keeps them.

They are read for that alone. The shape of a box is text, a JSON object in COCO's terms, "" where there is none:
`segmentation`, polygons [x1, y1, x2, y2, x3, y3, …] or a mask in runs {"counts", "size"}; `keypoints`, [x, y, v, …]
with v 0 (not labelled), 1 (hidden) or 2 (visible). Pixels of the image's frame. `P` points.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vedette.data.values import brief, counted, number

Shape = dict[str, Any]
Points = NDArray[np.float64]  # (P, 2)
Move = Callable[[Points], Points]
LARGEST = 2**31  # pixels: what lies beyond is on no picture
DIGITS = 6  # behind the point of what was reckoned: a millionth of a pixel


def shape_of(record: Shape) -> tuple[str, list[str]]:
    """The shape of a COCO annotation, and what of it cannot be understood."""
    shape, faults = Shape(), []
    outline, keypoints = record.get("segmentation"), record.get("keypoints")
    if outline and outline != [[]]:
        polygons = _polygons(outline)
        if polygons or _is_mask(outline):
            shape["segmentation"] = polygons or outline
        else:
            faults.append(f"segmentation {brief(outline)} is neither polygons nor a mask in runs")
    if keypoints:
        values = _numbers(keypoints)
        if values and len(values) % 3 == 0:
            shape["keypoints"] = values
        else:
            faults.append(f"keypoints {brief(keypoints)} are not x, y and a mark each")
    return written(shape), faults


def written(shape: Shape) -> str:
    """A shape as text."""
    return json.dumps(shape) if shape else ""


def read(text: str) -> Shape:
    """A text as a shape."""
    return json.loads(text) if text else Shape()


def polygons_of(shape: Shape) -> list[list[float]]:
    """The polygons; none of a mask."""
    outline = shape.get("segmentation")
    return outline if isinstance(outline, list) else []


def points_of(values: Iterable[float]) -> Points:
    """(P, 2) of x, y, x, y, …"""
    return np.array(list(values), dtype=np.float64).reshape(-1, 2)


def moved(text: str, move: Move) -> str:
    """With its points moved; a mask, which has none, stays. Keypoints at 0, 0 that are not labelled stay there."""
    shape = read(text)
    if polygons_of(shape):
        shape["segmentation"] = [_flat(move(points_of(polygon))) for polygon in shape["segmentation"]]
    if "keypoints" in shape:
        rows = np.array(shape["keypoints"], dtype=np.float64).reshape(-1, 3)
        there = rows.any(1)
        rows[there, :2] = move(rows[there, :2])
        shape["keypoints"] = _marked(rows)
    return written(shape)


def cut(text: str, width: float, height: float) -> str:
    """Cut to the frame as a box is: points of outlines are put on its border, keypoints beyond it are not labelled."""
    shape = read(text)
    frame = np.array([width, height], dtype=np.float64)
    if polygons_of(shape):
        cut_points = [np.clip(points_of(polygon), 0, frame) for polygon in shape["segmentation"]]
        shape["segmentation"] = [_flat(points) for points in cut_points]
    if "keypoints" in shape:
        rows = np.array(shape["keypoints"], dtype=np.float64).reshape(-1, 3)
        rows[((rows[:, :2] < 0) | (rows[:, :2] > frame)).any(1)] = 0
        shape["keypoints"] = _marked(rows)
    return written(shape)


def without_mask(text: str) -> str:
    """Without a mask in runs, which belongs to a picture of one size."""
    shape = read(text)
    if _is_mask(shape.get("segmentation")):
        del shape["segmentation"]
    return written(shape)


def count(texts: Iterable[str]) -> Counter[str]:
    """How many boxes have an "outline" of polygons, a "mask", a "set of keypoints"."""
    counts = Counter[str]()
    for shape in map(read, filter(None, texts)):
        if "segmentation" in shape:
            counts["outline" if polygons_of(shape) else "mask"] += 1
        counts["pose"] += "keypoints" in shape
    return +counts


def in_words(counts: Counter[str]) -> str:
    """3 outlines and 1 pose; "" of none."""
    return " and ".join(counted(counts[thing], thing) for thing in ("outline", "mask", "pose") if counts[thing])


def _polygons(outline: Any) -> list[list[float]] | None:
    if not isinstance(outline, list):
        return None
    polygons = [_numbers(polygon) for polygon in outline]
    good = [polygon for polygon in polygons if polygon and len(polygon) >= 6 and len(polygon) % 2 == 0]
    return good if len(good) == len(polygons) else None


def _is_mask(outline: Any) -> bool:
    return isinstance(outline, dict) and isinstance(outline.get("counts"), str | list) and "size" in outline


def _numbers(values: Any) -> list[float] | None:
    if not isinstance(values, list):
        return None
    found = [
        value if isinstance(value, int | float) else given for value in values if (given := number(value)) is not None
    ]
    return found if len(found) == len(values) and all(abs(value) < LARGEST for value in found) else None


def _marked(rows: NDArray[np.float64]) -> list[float]:
    """(P, 3) of x, y and the mark, a whole number unless it is a score."""
    return [
        value
        for x, y, mark in rows.round(DIGITS).tolist()
        for value in (x, y, int(mark) if mark.is_integer() else mark)
    ]


def _flat(points: Points) -> list[float]:
    flat: list[float] = points.round(DIGITS).ravel().tolist()
    return flat
