"""YOLO txt from data sets: data.yaml, images/SPLIT and labels/SPLIT, an empty txt for an image without boxes.

YOLO has no place for difficult objects and crowds, nor for sizes: boxes are fractions of the picture as it is seen.
Where an annotation states the size of a picture as it lies in the file, they are turned with it as its EXIF says. Which
outlines and keypoints fit: `yolo_shapes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml  # type: ignore[import-untyped]

from vedette.data.annotations import CROWD, DIFFICULT, Dataset
from vedette.data.picture_names import names_in_copy
from vedette.data.read_yolo import IMAGES, LABELS
from vedette.data.seen import Floats, seen_from
from vedette.data.shapes import Points, Shape, points_of, polygons_of, read
from vedette.data.values import counted
from vedette.data.yolo_labels import may_be_keypoints
from vedette.data.yolo_shapes import fit_shapes, kpt_shape
from vedette.data.yolo_yaml import NOT_A_SPLIT

DIGITS = 10  # a millionth of a pixel in the largest pictures


def fit_yolo(splits: Mapping[str, Dataset], keep_ignored: bool) -> tuple[dict[str, Dataset], list[str]]:
    """The splits with what YOLO's files can say, and a line for what they cannot.

    keep_ignored: difficult objects and crowds become ordinary objects; else they are left out.
    """
    difficult, crowds = (
        sum(int((one.all_flags & bit != 0).sum()) for one in splits.values()) for bit in (DIFFICULT, CROWD)
    )
    marked = {"difficult object": difficult, "crowd": crowds}
    what = " and ".join(counted(count, name) for name, count in marked.items() if count)
    if keep_ignored or not what:
        marks = [f"now ordinary objects: {what}, which YOLO cannot mark"] if what else []
        left = dict(splits)
    else:
        marks = [f"left out: {what}, which YOLO cannot mark (--keep-ignored makes them ordinary objects)"]
        left = {split: one.with_boxes(one.all_flags == 0) for split, one in splits.items()}
    fitting, lost = fit_shapes(left)
    return fitting, marks + lost


def write_yolo(folder: Path, splits: Mapping[str, Dataset], data: Path) -> dict[Path, str]:
    """data.yaml and all labels; gives the places where the pictures of the source belong.

    data: where the source is.
    """
    classes = tuple(dict.fromkeys(name for dataset in splits.values() for name in dataset.classes))
    number_of = {name: number for number, name in enumerate(classes)}
    keys = {split: f"{split}_" if split in NOT_A_SPLIT else split for split in splits}
    keypoints = kpt_shape(splits)
    outlines = keypoints is None and any(any(dataset.shapes or ()) for dataset in splits.values())
    form = _Form(keypoints[0] if keypoints else 0, outlines)
    pictures: dict[Path, str] = {}
    for split, dataset in splits.items():
        files = names_in_copy(dataset, data, split, by_stem=True)
        _write_labels(folder / LABELS / keys[split], dataset, list(files), number_of, form)
        pictures |= {folder / IMAGES / keys[split] / name: file for name, file in files.items()}
    _write_yaml(folder / "data.yaml", classes, list(keys.values()), keypoints)
    return pictures


class _Form(NamedTuple):
    """What all lines are."""

    keypoints: int  # of an object; 0: lines are no poses
    outlines: bool


def _write_yaml(file: Path, classes: Sequence[str], splits: Sequence[str], keypoints: tuple[int, int] | None) -> None:
    places = {split: f"{IMAGES}/{split}" for split in splits}
    content = {**places, "nc": len(classes), "names": dict(enumerate(classes))}
    if keypoints:
        content["kpt_shape"] = list(keypoints)
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _write_labels(
    folder: Path, dataset: Dataset, names: Sequence[str], number_of: Mapping[str, int], form: _Form
) -> None:
    """A txt for each image; number_of: the yaml's number of each class."""
    numbers = [number_of[name] for name in dataset.classes]
    for index, name in enumerate(names):
        start, end = dataset.ends[index : index + 2].tolist()
        to_seen, _ = seen_from(dataset, index)
        lines = []
        for row in range(start, end):
            shape = read(dataset.shapes[row]) if dataset.shapes is not None else {}
            values = _values(dataset.all_boxes[row].astype(np.float64), shape, to_seen, form)
            lines.append(" ".join([str(numbers[dataset.all_labels[row]]), *map(_written, values)]))
        file = (folder / name).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _values(box: Floats, shape: Shape, to_seen: Callable[[Floats], Floats], form: _Form) -> list[float]:
    """What stands behind the class, in fractions: an outline, or centre and size, and keypoints if lines have them."""
    if form.outlines:
        x1, y1, x2, y2 = box.tolist()
        polygon = (polygons_of(shape) or [[x1, y1, x2, y1, x2, y2, x1, y2]])[0]
        values = _fractions(points_of(polygon), to_seen).ravel().tolist()
        return [*values, *values[:2]] if may_be_keypoints(values) else values
    x1, y1, x2, y2 = to_seen(box[None])[0].tolist()
    values = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
    if not form.keypoints:
        return values
    rows = np.array(shape.get("keypoints", [0] * 3 * form.keypoints), dtype=np.float64).reshape(-1, 3)
    there = rows.any(1)
    rows[there, :2] = _fractions(rows[there, :2], to_seen)
    return [*values, *rows.ravel().tolist()]


def _fractions(points: Points, to_seen: Callable[[Floats], Floats]) -> Points:
    """Points as boxes without a size."""
    return to_seen(np.hstack([points, points]))[:, :2]


def _written(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")
