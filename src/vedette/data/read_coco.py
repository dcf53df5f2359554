"""COCO JSON: `images`, `annotations` with `bbox` [x, y, width, height] or polygons, `categories`.

Marks, 0 or 1: `iscrowd`; `difficult`, or `ignore` where it is no crowd, as converters write VOC's difficult objects.
Layouts: train.json and val.json; annotations/instances_train2017.json; train/_annotations.coco.json; labels.json beside
data/. The images lie in a folder of the split's name, in `images/` or `data/`, or beside the JSON.

A category that nobody annotated and that is the `supercategory` of another is none that is to be learned: exporters
write the project's name so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from json import JSONDecodeError
from os.path import normpath
from pathlib import Path
from typing import Any

from vedette.data.coco_folders import coco_files, image_folder
from vedette.data.coco_values import Numbers, box_of, category_key, is_id, whole
from vedette.data.draft import Draft
from vedette.data.files import Unreadable, file_in, located, read_text
from vedette.data.json_lists import read_lists
from vedette.data.shapes import shape_of, written
from vedette.data.values import brief, fits_int64, number, truth

SKELETON = ("keypoints", "skeleton")  # of a category: names, and which are joined


def coco_splits(folder: Path, shapes: bool = False) -> dict[str, Callable[[], Draft]]:
    """The splits of a folder by name, none if it holds no COCO JSON; each a call that reads it."""
    return {name: partial(parse_coco, file, shapes) for name, file in coco_files(folder).items()}


def parse_coco(file: Path, shapes: bool = False) -> Draft:
    """What a COCO JSON says, faults included; labels go by ascending category id.

    shapes: outlines and keypoints too.
    """
    return _Reader(file, shapes).read()


class _Reader:
    """Takes the records of one JSON in whatever order its lists come.

    Until all are read, the owner and the label of a box are the numbers of its image_id and category_id here.
    """

    def __init__(self, file: Path, shapes: bool) -> None:
        self.file = file
        self.draft = Draft((), (), unit="annotation", with_shapes=shapes)
        self.images: dict[int | str, tuple[str, int, int]] = {}  # file name, width, height
        self.names: set[str] = set()  # of the image files
        self.categories: dict[int | str, str] = {}
        self.skeletons: dict[int | str, str] = {}  # what categories say of their keypoints, JSON
        self.parents: set[str] = set()  # names of categories that another is one of
        self.image_numbers = Numbers()
        self.category_numbers = Numbers()

    def read(self) -> Draft:
        """The whole file."""
        takers = {"images": self.take_image, "annotations": self.take_annotation, "categories": self.take_category}
        try:
            found = read_lists(read_text(self.file), takers)
            for key in [key for key in takers if key not in found]:
                self.fault(f'not a COCO data set: it has no list "{key}"')
        except JSONDecodeError as error:
            self.fault(f"line {error.lineno}, column {error.colno}: not a JSON object ({error.msg})")
        except Unreadable as error:
            self.fault(str(error))
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
            self.fault(f"cannot be read ({error})")
        self.resolve()
        return self.draft

    def fault(self, detail: str) -> None:
        """Writes down what cannot be understood."""
        self.draft.find("annotation unreadable", self.file, detail)

    def take_category(self, place: int, record: Any) -> None:
        """One of `categories`."""
        key, name = (record.get("id"), record.get("name")) if isinstance(record, dict) else (None, None)
        key = category_key(key)
        if not is_id(key) or not isinstance(name, str) or not name.strip():
            self.fault(f"category at place {place} has no id (a whole number or a word) and name")
        elif key in self.categories or name in self.categories.values():
            self.fault(f"category {key}, {name[:60]}: this id or name is there twice")
        else:
            self.categories[key] = name
            if self.draft.with_shapes:
                self.skeletons[key] = written({one: record[one] for one in SKELETON if record.get(one)})
            parent = record.get("supercategory")
            if isinstance(parent, str) and parent != name:
                self.parents.add(parent)

    def take_image(self, place: int, record: Any) -> None:
        """One of `images`."""
        name, key = (record.get("file_name"), record.get("id")) if isinstance(record, dict) else (None, None)
        key = whole(key)
        if not isinstance(name, str) or not name:
            self.fault(f'image at place {place} has no "file_name"')
        elif not is_id(key):
            self.fault(f'image at place {place}, {name}, has no "id"')
        elif key in self.images:
            self.fault(f"image at place {place}, {name}: the id {key} is there twice")
        else:
            plain = normpath(name.replace("\\", "/"))
            if plain in self.names:
                self.fault(f"image at place {place}, {name}: image listed twice")
            self.names.add(plain)
            width, height = (int(number(record.get(side)) or 0) for side in ("width", "height"))
            self.images[key] = (name, width, height) if width > 0 and height > 0 else (name, 0, 0)

    def take_annotation(self, place: int, record: Any) -> None:
        """One of `annotations`."""
        if not isinstance(record, dict):
            self.fault(f"annotation at place {place} is not an object")
            return
        given = whole(record.get("id"))
        key = given if isinstance(given, int) and fits_int64(given) else place
        box = box_of(record)
        if isinstance(box, str):
            self.fault(f"annotation {key}: {box}")
            return
        area = number(record.get("area"))
        crowd, ignored = self.mark(record, "iscrowd", key), self.mark(record, "ignore", key)
        self.draft.add_box(
            self.image_numbers.of(whole(record.get("image_id"))),
            box,
            self.category_numbers.of(category_key(record.get("category_id"))),
            key,
            area=area if area is not None and area > 0 else float("nan"),  # 0 where a tool reckons none
            difficult=self.mark(record, "difficult", key) or (ignored and not crowd),
            crowd=crowd,
            shape=self.shape(record, key) if self.draft.with_shapes else "",
        )

    def shape(self, record: dict[str, Any], key: int) -> str:
        """The outline and the keypoints of an annotation."""
        shape, faults = shape_of(record)
        for fault in faults:
            self.draft.find("outline unreadable", self.file, f"annotation {key}: {fault}")
        return shape

    def mark(self, record: dict[str, Any], name: str, key: int) -> bool:
        """Whether an annotation is marked so."""
        marked = truth(record.get(name))
        if marked is None:
            self.fault(f"annotation {key}: {name} is {brief(record[name])}, not 0 or 1")
        return bool(marked)

    def resolve(self) -> None:
        """Adds the images and classes, and gives the boxes their images and labels."""
        draft = self.draft
        labels = self.resolve_classes()
        names = [name for name, _, _ in self.images.values()]
        folder = image_folder(self.file, names)
        images = {
            key: draft.add_image(file_in(folder, name), key, (width, height))
            for key, (name, width, height) in self.images.items()
        }
        draft.files = located(draft.files)
        by_text = {str(key): index for key, index in images.items()}  # "7" in one list and 7 in the other
        image_ids, category_ids = self.image_numbers.keys, self.category_numbers.keys
        owner_of = [images.get(key, by_text.get(str(key), -1) if is_id(key) else -1) for key in image_ids]
        label_of = [labels.get(key, -1) for key in category_ids]
        for box_number, owner, label in draft.renumber(owner_of, label_of):
            name = names[owner_of[owner]] if owner_of[owner] >= 0 else None
            self.fault_of_box(box_number, name, image_ids[owner], category_ids[label])

    def resolve_classes(self) -> dict[int | str, int]:
        """Gives the draft its classes and the ids that are theirs; gives the label of every id."""
        kept = {key: name for key, name in self.categories.items() if not self.is_root(key, name)}
        for key, name in [(key, name) for key, name in self.categories.items() if key not in kept]:
            detail = f"category {key}, {name[:60]}: nobody annotated it, and it is only the parent of others"
            self.draft.find("class left out", self.file, detail)
        words = [key for key in kept if isinstance(key, str)]
        numbers = sorted(key for key in kept if isinstance(key, int))
        after = max([0, *numbers]) + 1
        ids = {key: key for key in numbers} | {key: after + place for place, key in enumerate(words)}
        if words:
            detail = ", ".join(f"{key} is {ids[key]}" for key in words)
            self.draft.find("class ids numbered", self.file, f"category {detail}")
        self.draft.category_ids, self.draft.classes = tuple(ids.values()), tuple(kept[key] for key in ids)
        self.draft.skeletons = tuple(self.skeletons.get(key, "") for key in ids)
        return {key: label for label, key in enumerate(ids)}

    def is_root(self, key: int | str, name: str) -> bool:
        """Whether a category is the parent of others and no class of objects."""
        return name in self.parents and key not in self.category_numbers

    def fault_of_box(self, number: int, name: str | None, image_id: Any, category_id: Any) -> None:
        """Writes down an annotation whose image (of that file name) or class is not there."""
        if name is None:
            self.fault(f"annotation {number}: image_id {brief(image_id)} is not among the images")
        else:
            detail = f"annotation {number}, {name}: category_id {brief(category_id)} is not among the categories"
            self.draft.find("unknown class", self.file, detail)
