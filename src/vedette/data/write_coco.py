"""COCO JSON from data sets: SPLIT.json, its pictures in images/SPLIT, or named by their paths.

Ids of images that are no whole numbers, as VOC's names, become 1, 2, …; annotations are numbered from 1. A difficult
object has `difficult` 1, a crowd `iscrowd` 1. Outlines and keypoints are written as they were read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from vedette.data.annotations import CROWD, DIFFICULT, Dataset, Texts
from vedette.data.atomic import write_text
from vedette.data.decimals import decimals
from vedette.data.picture_names import names_in_copy
from vedette.data.shapes import Shape, read

IMAGES = "images"
Record = dict[str, Any]


def write_coco(folder: Path, splits: Mapping[str, Dataset], data: Path) -> dict[Path, str]:
    """The JSONs of all splits; gives the places where the pictures of the source belong.

    data: where the source is.
    """
    pictures: dict[Path, str] = {}
    for split, dataset in splits.items():
        files = names_in_copy(dataset, data, split)
        write_json(folder / f"{split}.json", dataset, list(files))
        pictures |= {folder / IMAGES / split / name: file for name, file in files.items()}
    return pictures


def write_json(file: Path, dataset: Dataset, names: Sequence[str]) -> None:
    """One split as a JSON, a record a line; names: what it calls each image's file."""
    ids = range(1, len(dataset) + 1) if isinstance(dataset.image_ids, Texts) else dataset.image_ids.tolist()
    lists = {
        "images": _images(dataset, names, ids),
        "annotations": _annotations(dataset, ids),
        "categories": _categories(dataset),
    }
    parts = (f'"{key}": [\n' + ",\n".join(map(_line, records)) + "\n]" for key, records in lists.items())
    write_text(file, "{\n" + ",\n".join(parts) + "\n}\n")


def _images(dataset: Dataset, names: Sequence[str], ids: Sequence[int]) -> Iterator[Record]:
    for name, key, (width, height) in zip(names, ids, dataset.sizes.tolist(), strict=True):
        yield {"id": key, "file_name": name, "width": width, "height": height}


def _categories(dataset: Dataset) -> Iterator[Record]:
    said = dataset.skeletons or ("",) * len(dataset.classes)
    for key, name, skeleton in zip(dataset.category_ids, dataset.classes, said, strict=True):
        yield {"id": key, "name": name, **read(skeleton)}


def _annotations(dataset: Dataset, ids: Sequence[int]) -> Iterator[Record]:
    owners = (key for key, count in zip(ids, np.diff(dataset.ends).tolist(), strict=True) for _ in range(count))
    columns = dataset.all_labels.tolist(), dataset.all_areas.tolist(), dataset.all_flags.tolist()
    shapes = repeat("", len(dataset.all_labels)) if dataset.shapes is None else dataset.shapes
    rows = zip(owners, decimals(dataset.all_boxes), *columns, shapes, strict=True)
    for number, (owner, (x1, y1, x2, y2), label, area, flags, shape) in enumerate(rows, 1):
        yield {
            "id": number,
            "image_id": owner,
            "category_id": dataset.category_ids[label],
            "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
            "area": area,
            "iscrowd": int(flags & CROWD != 0),
            "difficult": int(flags & DIFFICULT != 0),
            **_drawn(read(shape)),
        }


def _drawn(shape: Shape) -> Shape:
    """Keypoints with how many of them are labelled, as COCO has it."""
    marks = shape.get("keypoints", [])[2::3]
    return shape | ({"num_keypoints": sum(mark > 0 for mark in marks)} if marks else {})


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False)
