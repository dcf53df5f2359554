"""COCO JSON: `images`, `annotations` with `bbox` [x, y, width, height], `categories`; optionally `difficult` 0/1.

Layouts: train.json and val.json; annotations/instances_train2017.json; train/_annotations.coco.json. The images lie
in a folder of the split's name, in `images/`, or beside the JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from vedette.data.draft import Draft, fits_int64, number, truth
from vedette.data.files import file_in, list_folder, missing
from vedette.data.json_lists import read_lists

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
    return _Reader(file).read()


def _is_list(file: Path) -> bool:
    """Whether a JSON is a list, as files of results are."""
    with file.open("rb") as stream:
        return stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")


def _split_name(file: Path) -> str:
    return file.parent.name if file.stem == EXPORTED else file.stem


class _Reader:
    """Takes the records of one JSON in whatever order its lists come.

    Until all are read, the owner and the label of a box are the numbers of its image_id and category_id here.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.draft = Draft((), (), unit="annotation")
        self.images: dict[int | str, tuple[str, int, int]] = {}  # file name, width, height
        self.names: set[str] = set()  # of the image files
        self.categories: dict[int, str] = {}
        self.image_numbers: dict[Any, int] = {}
        self.category_numbers: dict[Any, int] = {}

    def read(self) -> Draft:
        """The whole file."""
        takers = {"images": self.take_image, "annotations": self.take_annotation, "categories": self.take_category}
        try:
            found = read_lists(self.file.read_bytes().decode("utf-8-sig"), takers)
            for key in takers.keys() - found:
                self.fault(f'not a COCO data set: it has no list "{key}"')
        except JSONDecodeError as error:
            self.fault(f"line {error.lineno}, column {error.colno}: not a JSON object ({error.msg})")
        except (OSError, UnicodeDecodeError, RecursionError) as error:
            self.fault(f"cannot be read ({error})")
        self.resolve()
        return self.draft

    def fault(self, detail: str) -> None:
        """Writes down what cannot be understood."""
        self.draft.find("annotation unreadable", self.file, detail)

    def take_category(self, place: int, record: Any) -> None:
        """One of `categories`."""
        key, name = (record.get("id"), record.get("name")) if isinstance(record, dict) else (None, None)
        key = _whole(key)
        if not isinstance(key, int) or isinstance(key, bool) or not isinstance(name, str):
            self.fault(f"category at place {place} has no whole-number id and name")
        elif key in self.categories or name in self.categories.values():
            self.fault(f"category {key}, {name}: this id or name is there twice")
        else:
            self.categories[key] = name

    def take_image(self, place: int, record: Any) -> None:
        """One of `images`."""
        name, key = (record.get("file_name"), record.get("id")) if isinstance(record, dict) else (None, None)
        key = _whole(key)
        if not isinstance(name, str) or not name:
            self.fault(f'image at place {place} has no "file_name"')
        elif not isinstance(key, int | str) or isinstance(key, bool):
            self.fault(f'image at place {place}, {name}, has no "id"')
        elif key in self.images:
            self.fault(f"image at place {place}, {name}: the id {key} is there twice")
        else:
            if name in self.names:
                self.fault(f"image at place {place}, {name}: image listed twice")
            self.names.add(name)
            width, height = (int(number(record.get(side)) or 0) for side in ("width", "height"))
            self.images[key] = (name, width, height) if width > 0 and height > 0 else (name, 0, 0)

    def take_annotation(self, place: int, record: Any) -> None:
        """One of `annotations`."""
        if not isinstance(record, dict):
            self.fault(f"annotation at place {place} is not an object")
            return
        given = _whole(record.get("id"))
        key = given if isinstance(given, int) and fits_int64(given) else place
        box = _box(record.get("bbox"))
        if box is None:
            self.fault(f"annotation {key}: bbox {record.get('bbox')!r} is not four numbers")
            return
        area = number(record.get("area"))
        self.draft.add_box(
            _numbered(record.get("image_id"), self.image_numbers),
            box,
            _numbered(record.get("category_id"), self.category_numbers),
            key,
            area=float("nan") if area is None else area,
            difficult=self.mark(record, "difficult", key),
            crowd=self.mark(record, "iscrowd", key),
        )

    def mark(self, record: dict[str, Any], name: str, key: int) -> bool:
        """Whether an annotation is marked so."""
        marked = truth(record.get(name))
        if marked is None:
            self.fault(f"annotation {key}: {name} is {record[name]!r}, not 0 or 1")
        return bool(marked)

    def resolve(self) -> None:
        """Adds the images and classes, and gives the boxes their images and labels."""
        draft = self.draft
        ordered = sorted(self.categories)
        draft.category_ids, draft.classes = tuple(ordered), tuple(self.categories[key] for key in ordered)
        folder = _image_folder(self.file, [name for name, _, _ in self.images.values()])
        images = {
            key: draft.add_image(file_in(folder, name), key, (width, height))
            for key, (name, width, height) in self.images.items()
        }
        labels = {key: label for label, key in enumerate(ordered)}
        image_ids, category_ids = list(self.image_numbers), list(self.category_numbers)
        owner_of, label_of = [images.get(key, -1) for key in image_ids], [labels.get(key, -1) for key in category_ids]
        for box_number, owner, label in draft.renumber(owner_of, label_of):
            self.fault_of_box(f"annotation {box_number}", image_ids[owner], category_ids[label])

    def fault_of_box(self, where: str, image_id: Any, category_id: Any) -> None:
        """Writes down an annotation whose image or class is not there."""
        if image_id not in self.images:
            self.fault(f"{where}: image_id {image_id!r} is not among the images")
        else:
            name = self.images[image_id][0]
            detail = f"{where}, {name}: category_id {category_id!r} is not among the categories"
            self.draft.find("unknown class", self.file, detail)


def _image_folder(file: Path, names: list[str]) -> Path:
    """The folder in which most of the images are; the first of those that are likely where none has any."""
    split = re.sub(r"^instances_", "", file.stem)
    roots = [file.parent, file.parent.parent] if file.parent.name in ("annotations", split) else [file.parent]
    inner = [Path(split), Path("images") / split, Path("images"), Path("JPEGImages"), Path()]
    likely = [root / path for root in roots for path in inner if (root / path).is_dir()]
    absent = {}
    for folder in likely:
        absent[folder] = len(missing([str(file_in(folder, name)) for name in names]))
        if absent[folder] == 0:
            return folder
    return min(likely, key=absent.__getitem__)


@dataclass(frozen=True, repr=False)
class _NoId:
    """What is given for an id and cannot be one."""

    text: str

    def __repr__(self) -> str:
        return self.text


def _numbered(key: Any, numbers: dict[Any, int]) -> int:
    """The number of an id, a new one for a new id."""
    key = _whole(key)
    valid = isinstance(key, int | str) and not isinstance(key, bool)
    return numbers.setdefault(key if valid else _NoId(repr(key)), len(numbers))


def _whole(key: Any) -> Any:
    """An id that is a whole number written as a float, as an int; any other as it is."""
    return int(key) if isinstance(key, float) and key.is_integer() else key


def _box(values: Any) -> tuple[float, float, float, float] | None:
    """x, y, width, height → x1 y1 x2 y2."""
    if not isinstance(values, list) or len(values) != 4:
        return None
    x, y, width, height = (number(value) for value in values)
    if x is None or y is None or width is None or height is None:
        return None
    return x, y, x + width, y + height
