"""YOLO txt from data sets: data.yaml, images/SPLIT and labels/SPLIT, an empty txt for an image without boxes.

YOLO has no place for difficult objects and crowds, nor for sizes: boxes are fractions of the picture as it is seen.
Where an annotation states the size of a picture as it lies in the file, they are turned with it as its EXIF says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml  # type: ignore[import-untyped]

from vedette.data.annotations import CROWD, DIFFICULT, Dataset
from vedette.data.picture_names import names_in_copy
from vedette.data.read_yolo import IMAGES, LABELS
from vedette.data.seen import seen_boxes
from vedette.data.values import counted
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
    if not what:
        return dict(splits), []
    if keep_ignored:
        return dict(splits), [f"now ordinary objects: {what}, which YOLO cannot mark"]
    left_out = f"left out: {what}, which YOLO cannot mark (--keep-ignored makes them ordinary objects)"
    return {split: one.with_boxes(one.all_flags == 0) for split, one in splits.items()}, [left_out]


def write_yolo(folder: Path, splits: Mapping[str, Dataset], data: Path) -> dict[Path, str]:
    """data.yaml and all labels; gives the places where the pictures of the source belong.

    data: where the source is.
    """
    classes = tuple(dict.fromkeys(name for dataset in splits.values() for name in dataset.classes))
    number_of = {name: number for number, name in enumerate(classes)}
    keys = {split: f"{split}_" if split in NOT_A_SPLIT else split for split in splits}
    pictures: dict[Path, str] = {}
    for split, dataset in splits.items():
        files = names_in_copy(dataset, data, split, by_stem=True)
        _write_labels(folder / LABELS / keys[split], dataset, list(files), number_of)
        pictures |= {folder / IMAGES / keys[split] / name: file for name, file in files.items()}
    _write_yaml(folder / "data.yaml", classes, list(keys.values()))
    return pictures


def _write_yaml(file: Path, classes: Sequence[str], splits: Sequence[str]) -> None:
    places = {split: f"{IMAGES}/{split}" for split in splits}
    content = {**places, "nc": len(classes), "names": dict(enumerate(classes))}
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _write_labels(folder: Path, dataset: Dataset, names: Sequence[str], number_of: Mapping[str, int]) -> None:
    """A txt for each image; number_of: the yaml's number of each class."""
    numbers = [number_of[name] for name in dataset.classes]
    for index, name in enumerate(names):
        rows = slice(*dataset.ends[index : index + 2].tolist())
        boxes, _ = seen_boxes(dataset, index)
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        labels = dataset.all_labels[rows].tolist()
        lines = [
            " ".join([str(numbers[label]), *map(_written, row)])
            for label, row in zip(labels, np.hstack([centres, sizes]).tolist(), strict=True)
        ]
        file = (folder / name).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _written(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")
