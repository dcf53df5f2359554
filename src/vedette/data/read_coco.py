"""COCO JSON: `images`, `annotations` with `bbox` [x, y, width, height], `categories`; optionally `difficult` 0/1.

Layouts: train.json and val.json; annotations/instances_train2017.json; train/_annotations.coco.json. The images lie
in a folder of the split's name, in `images/`, or beside the JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from vedette.data.draft import Draft, number
from vedette.data.files import list_folder, missing
from vedette.data.findings import Finding

HEAVY = ("segmentation", "keypoints", "segments_info")  # what detection does not need
EXPORTED = "_annotations.coco"  # the stem of one common exporter's file, a folder a split


def coco_splits(folder: Path) -> dict[str, Callable[[], Draft]]:
    """The splits of a folder by name, none if it holds no COCO JSON; each a call that reads it."""
    files = [folder / name for name in list_folder(folder)]
    files += [folder / "annotations" / name for name in list_folder(folder / "annotations")]
    files += [folder / name / f"{EXPORTED}.json" for name in list_folder(folder) if "." not in name]
    found = [file for file in files if file.suffix == ".json" and file.is_file() and not _is_list(file)]
    instances = [file for file in found if file.stem.startswith("instances_")]
    return {_split_name(file): partial(parse_coco, file) for file in instances or found}


def parse_coco(file: Path) -> Draft:
    """What a COCO JSON says, faults included; labels go by ascending category id."""
    draft = Draft((), (), unit="annotation")
    content = _load(file, draft)
    categories = _categories(content, file, draft)
    ordered = sorted(categories)
    draft.category_ids, draft.classes = tuple(ordered), tuple(categories[key] for key in ordered)
    indices = _add_images(content, file, draft)
    labels = {category: label for label, category in enumerate(ordered)}
    for place, record in enumerate(content.get("annotations", [])):
        _add_annotation(record, place, indices, labels, file, draft)
    return draft


def _is_list(file: Path) -> bool:
    """Whether a JSON is a list, as files of results are."""
    with file.open("rb") as stream:
        return stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _split_name(file: Path) -> str:
    return file.parent.name if file.stem == EXPORTED else file.stem


def _load(file: Path, draft: Draft) -> dict[str, Any]:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            content = json.load(stream, object_hook=_lighten)
    except json.JSONDecodeError as error:
        draft.find("annotation unreadable", file, f"line {error.lineno}, column {error.colno}: not JSON ({error.msg})")
        return {}
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        draft.find("annotation unreadable", file, f"cannot be read ({error})")
        return {}
    if not isinstance(content, dict):
        draft.find("annotation unreadable", file, "not a COCO data set: the JSON is not an object")
        return {}
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            draft.find("annotation unreadable", file, f'not a COCO data set: it has no list "{key}"')
            content[key] = []
    return content


def _lighten(record: dict[str, Any]) -> dict[str, Any]:
    """Drops outlines while the file is read: they are nine tenths of its memory."""
    for key in HEAVY:
        record.pop(key, None)
    return record


def _categories(content: dict[str, Any], file: Path, draft: Draft) -> dict[int, str]:
    """Names by id."""
    names: dict[int, str] = {}
    for place, record in enumerate(content.get("categories", [])):
        key, name = (record.get("id"), record.get("name")) if isinstance(record, dict) else (None, None)
        if not isinstance(key, int) or isinstance(key, bool) or not isinstance(name, str):
            draft.find("annotation unreadable", file, f"category {place} has no whole-number id and name")
        elif key in names or name in names.values():
            draft.find("annotation unreadable", file, f"category {key}, {name}: this id or name is there twice")
        else:
            names[key] = name
    return names


def _add_images(content: dict[str, Any], file: Path, draft: Draft) -> dict[int | str, int]:
    """Adds the images; gives their indices by id."""
    indices: dict[int | str, int] = {}
    records: list[dict[str, Any]] = []
    for place, record in enumerate(content.get("images", [])):
        fault = _image_fault(record, indices)
        if fault:
            draft.find("annotation unreadable", file, f"image {place}: {fault}")
            continue
        indices[record["id"]] = len(records)
        records.append(record)
    folder = _image_folder(file, [record["file_name"] for record in records])
    for record in records:
        width, height = (int(number(record.get(side)) or 0) for side in ("width", "height"))
        size = (width, height) if width > 0 and height > 0 else (0, 0)
        draft.add_image(folder / record["file_name"], record["id"], size)
    return indices


def _image_fault(record: Any, known: dict[int | str, int]) -> str | None:
    if not isinstance(record, dict) or not isinstance(record.get("file_name"), str) or not record["file_name"]:
        return 'it has no "file_name"'
    if not _is_int(record.get("id")) and not isinstance(record.get("id"), str):
        return f'{record["file_name"]} has no "id"'
    if record["id"] in known:
        return f"{record['file_name']}: the id {record['id']} is there twice"
    return None


def _image_folder(file: Path, names: list[str]) -> Path:
    """The folder in which most of the images are; the first of those that are likely where none has any."""
    split = re.sub(r"^instances_", "", file.stem)
    roots = [file.parent, file.parent.parent] if file.parent.name in ("annotations", split) else [file.parent]
    inner = [Path(split), Path("images") / split, Path("images"), Path("JPEGImages"), Path()]
    likely = [root / path for root in roots for path in inner if (root / path).is_dir()]
    absent = {}
    for folder in likely:
        absent[folder] = len(missing([str(folder / name) for name in names]))
        if absent[folder] == 0:
            return folder
    return min(likely, key=absent.__getitem__)


def _add_annotation(
    record: Any, place: int, indices: dict[int | str, int], labels: dict[int, int], file: Path, draft: Draft
) -> None:
    if not isinstance(record, dict):
        draft.find("annotation unreadable", file, f"annotation at place {place} is not an object")
        return
    key = record["id"] if _is_int(record.get("id")) else place
    image = _looked_up(record.get("image_id"), indices)
    label = _looked_up(record.get("category_id"), labels)
    box = _box(record.get("bbox"))
    if image is None:
        fault = f"image_id {record.get('image_id')!r} is not among the images"
        draft.find("annotation unreadable", file, f"annotation {key}: {fault}")
    elif box is None:
        fault = f"bbox {record.get('bbox')!r} is not four numbers"
        draft.find("annotation unreadable", file, f"annotation {key}: {fault}")
    elif label is None:
        fault = f"category_id {record.get('category_id')!r} is not among the categories"
        draft.findings.append(Finding("unknown class", str(file), f"annotation {key}, {draft.files[image]}: {fault}"))
    else:
        area = number(record.get("area"))
        crowd, difficult = bool(record.get("iscrowd")), bool(record.get("difficult"))
        draft.add_box(image, box, label, key, float("nan") if area is None else area, difficult, crowd)


def _looked_up(key: Any, table: dict[Any, int]) -> int | None:
    return table.get(key) if isinstance(key, int | str) else None


def _box(values: Any) -> tuple[float, float, float, float] | None:
    """x, y, width, height → x1 y1 x2 y2."""
    if not isinstance(values, list) or len(values) != 4:
        return None
    x, y, width, height = (number(value) for value in values)
    if x is None or y is None or width is None or height is None:
        return None
    return x, y, x + width, y + height


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
