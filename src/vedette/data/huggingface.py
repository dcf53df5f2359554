"""Data sets of Hugging Face's `datasets`, both ways, in the layout of its object detection.

Columns `image`, `image_id`, `width`, `height` and `objects`, a list each of `id`, `area`, `bbox` (x y width height in
pixels), `category`, and of `difficult` and `iscrowd`, which others do not have. `datasets` loads pictures turned as
their EXIF says: boxes are in those.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vedette.data.annotations import CROWD, DIFFICULT, Dataset, Texts
from vedette.data.atomic import write_whole
from vedette.data.draft import Draft, settle
from vedette.data.findings import notes_of, refuse_faults
from vedette.data.seen import seen_boxes
from vedette.errors import InputError

CATEGORY = ("category", "categories", "label", "labels")  # what others call it too


def to_huggingface(dataset: Dataset) -> Any:
    """As a `datasets.Dataset`, `category` as ClassLabel; the pictures are named, and loaded when they are asked for.

    Ids of images that are no whole numbers become 0..N-1; ids of categories have no place there.

    Raises ImportError without the package datasets.
    """
    package = _package("to_huggingface")
    import pyarrow  # which datasets needs

    number = package.Value("int64")
    objects = {
        "id": number,
        "area": package.Value("float64"),
        "bbox": package.Sequence(package.Value("float32"), length=4),
        "category": package.ClassLabel(names=list(dataset.classes)),
        "iscrowd": package.Value("bool"),
        "difficult": package.Value("bool"),
    }
    columns = {"image": package.Image(), "image_id": number, "width": number, "height": number}
    features = package.Features(columns | {"objects": package.Sequence(objects)})
    rows = [_with_picture(dataset, index) for index in range(len(dataset))]
    table = package.table.InMemoryTable(pyarrow.Table.from_pylist(rows, schema=features.arrow_schema))
    # With a fingerprint of ours none is computed of the table, which some versions of datasets and pyarrow fail at.
    return package.Dataset(table, package.DatasetInfo(features=features), fingerprint=dataset.fingerprint)


def _with_picture(dataset: Dataset, index: int) -> dict[str, Any]:
    return {"image": {"path": dataset.files[index], "bytes": None}, **row_of(dataset, index)}


def row_of(dataset: Dataset, index: int) -> dict[str, Any]:
    """What is said of an image, all but the picture; categories as labels 0..C-1."""
    start, end = dataset.ends[index : index + 2].tolist()
    fractions, size = seen_boxes(dataset, index)
    boxes = fractions * np.tile(size, 2)
    flags = dataset.all_flags[start:end]
    objects = {
        "id": list(range(start, end)),
        "area": dataset.all_areas[start:end].tolist(),
        "bbox": np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).round(4).tolist(),
        "category": dataset.all_labels[start:end].tolist(),
        "iscrowd": ((flags & CROWD) != 0).tolist(),
        "difficult": ((flags & DIFFICULT) != 0).tolist(),
    }
    key = index if isinstance(dataset.image_ids, Texts) else int(dataset.image_ids[index])
    return {"image_id": key, "width": size[0], "height": size[1], "objects": objects}


def from_huggingface(dataset: Any, folder: str | Path | None = None) -> Dataset:
    """A `datasets.Dataset` in that layout; category ids are 1..C.

    folder: where pictures are written that the data set holds in itself, as those of the hub's do; not needed where
    all are files. Names of categories are those of its ClassLabel, or the texts, sorted.

    Raises ImportError without the package datasets, InputError for another layout and for whatever cannot be right, as
    `read_dataset` does.
    """
    package = _package("from_huggingface")
    if not {"image", "objects"} <= set(dataset.column_names):
        raise InputError(f"columns {', '.join(dataset.column_names)}: there must be image and objects")
    rows = dataset.cast_column("image", package.Image(decode=False))
    key = next((key for key in CATEGORY if key in _fields(dataset.features["objects"])), None)
    if key is None:
        raise InputError(f"objects have no category: they have {', '.join(_fields(dataset.features['objects']))}")
    classes, label_of = _classes(dataset, key)
    draft = Draft(classes, tuple(range(1, len(classes) + 1)), unit="box")
    for number, row in enumerate(rows):
        file = _file(row["image"], number, folder)
        width, height = row.get("width") or 0, row.get("height") or 0
        image = draft.add_image(file, row.get("image_id", number), (width, height) if width and height else (0, 0))
        for place, one in enumerate(_objects(row["objects"]), 1):
            x, y, w, h = one["bbox"]
            area = one.get("area")
            draft.add_box(
                image,
                (x, y, x + w, y + h),
                label_of[one[key]],
                place,
                float("nan") if area is None else float(area),
                bool(one.get("difficult")),
                bool(one.get("iscrowd")),
            )
    settled, findings = settle(draft, clip=False)
    refuse_faults(findings)
    return replace(settled, notes=notes_of(findings, clipped=False))


def _fields(objects: Any) -> dict[str, Any]:
    """What an object has, by name: `objects` is lists by name, or a list of records."""
    inner = getattr(objects, "feature", objects)
    if isinstance(inner, list):
        inner = inner[0]
    return {name: getattr(one, "feature", one) for name, one in inner.items()} if isinstance(inner, dict) else {}


def _classes(dataset: Any, key: str) -> tuple[tuple[str, ...], dict[Any, int]]:
    """The names, and the label of each value that stands for a category."""
    names: Sequence[str] | None = getattr(_fields(dataset.features["objects"])[key], "names", None)
    if names is not None:
        return tuple(names), {number: number for number in range(len(names))}
    values = sorted({one[key] for row in dataset.select_columns("objects") for one in _objects(row["objects"])})
    return tuple(v if isinstance(v, str) else f"class {v}" for v in values), {v: n for n, v in enumerate(values)}


def _objects(objects: Any) -> Iterable[dict[str, Any]]:
    """The objects of an image, each a record."""
    if isinstance(objects, list):
        return objects
    return [dict(zip(objects, values, strict=True)) for values in zip(*objects.values(), strict=True)]


def _file(picture: dict[str, Any], number: int, folder: str | Path | None) -> str:
    """The picture's file, written where there is none."""
    path, content = picture.get("path"), picture.get("bytes")
    if path and os.path.isfile(path):
        return str(path)
    if content is None:
        raise InputError(f"image {number}: {path} is no file, and the data set does not hold the picture")
    if folder is None:
        raise InputError(f"image {number}: the data set holds the picture itself; give a folder to write it to")
    file = Path(folder) / f"{number:06}{os.path.splitext(path or '')[1] or '.jpg'}"
    write_whole(file, lambda stream: stream.write(content))
    return str(file)


def _package(caller: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ImportError(f"{caller}() needs the package datasets: pip install datasets") from error
    return datasets
