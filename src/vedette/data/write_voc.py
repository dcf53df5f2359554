"""VOC XML from data sets: Annotations/ID.xml, JPEGImages/, and the ids of each split in ImageSets/Main/SPLIT.txt.

VOC has no ids of classes and images, no crowds, no areas, and no class without objects. `voc_xml` says how it counts
pixels: a box one pixel wide, or less, would be a line there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from vedette.data.annotations import CROWD, Dataset
from vedette.data.decimals import Corners, decimals, written
from vedette.data.findings import shown
from vedette.data.picture_names import distinct, names_below
from vedette.data.read_voc import VOC_CLASSES
from vedette.data.values import counted
from vedette.errors import InputError

PICTURES = "JPEGImages"
Content = tuple[str, tuple[int, int], tuple[str, ...], bytes, bytes]
NOT_IN_XML = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def fit_voc(splits: Mapping[str, Dataset]) -> tuple[dict[str, Dataset], list[str]]:
    """The splits with what VOC's files can hold, boxes of more than a pixel; and a line for each kind of loss.

    Raises InputError for a class whose name would be another one in an XML.
    """
    _check_classes(name for one in splits.values() for name in one.classes)
    broad = {split: _is_broad(one) for split, one in splits.items()}
    fitting = {split: one.with_boxes(broad[split]) for split, one in splits.items()}
    all_boxes = np.concatenate(list(broad.values()))
    narrow = int((~all_boxes).sum())
    crowds = sum(int((one.all_flags & CROWD != 0).sum()) for one in fitting.values())
    used = {one.classes[label] for one in fitting.values() for label in np.unique(one.all_labels).tolist()}
    unused = dict.fromkeys(name for one in fitting.values() for name in one.classes if name not in used)
    lost = []
    if narrow:
        share = f"{narrow} of {counted(len(all_boxes), 'box')}"
        lost.append(f"left out: {share}, a pixel wide or high, or less: in VOC's files they would be lines")
    if crowds:
        lost.append(f"now difficult objects: {counted(crowds, 'crowd')}, which VOC cannot mark otherwise")
    if unused and not used | set(unused) <= set(VOC_CLASSES):
        lost.append(shown(f"left out: classes without a box, which VOC has no place for: {', '.join(unused)}"))
    return fitting, lost


def _is_broad(dataset: Dataset) -> NDArray[np.bool_]:
    """(M,) which boxes are more than a pixel wide and high."""
    width, height = (dataset.all_boxes[:, 2:] - dataset.all_boxes[:, :2]).T
    return np.asarray((width > 1) & (height > 1))


def _check_classes(names: Iterable[str]) -> None:
    for name in names:
        if name != name.strip() or not name or NOT_IN_XML.search(name):
            raise InputError(f"class {name!r}: VOC's files cannot hold this name; rename it in the source first")


def write_voc(folder: Path, splits: Mapping[str, Dataset], data: Path) -> dict[Path, str]:
    """All XML files and lists; gives the places where the pictures of the source belong.

    An image that several splits have, with the same boxes, has one XML. data: where the source is.
    """
    keys = {split: [_content(dataset, index) for index in range(len(dataset))] for split, dataset in splits.items()}
    wanted: dict[Content, str] = {}
    for split in splits:
        for key, name in zip(keys[split], names_below([key[0] for key in keys[split]], data, split), strict=True):
            wanted.setdefault(key, name)
    names = dict(zip(wanted, distinct(list(wanted.values()), by_stem=True), strict=True))
    ids = {key: os.path.splitext(name)[0] for key, name in names.items()}
    done: set[Content] = set()
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, dataset in splits.items():
        for index, key in enumerate(keys[split]):
            if key not in done:
                _write_xml(folder / "Annotations" / f"{ids[key]}.xml", dataset, index, names[key])
                done.add(key)
        text = "".join(f"{ids[key]}\n" for key in keys[split])
        (lists / f"{_list_name(split, splits)}.txt").write_text(text, encoding="utf-8")
    return {folder / PICTURES / name: key[0] for key, name in names.items()}


def _content(dataset: Dataset, index: int) -> Content:
    """The image's file, and what its XML says."""
    rows = slice(*dataset.ends[index : index + 2].tolist())
    names = tuple(dataset.classes[label] for label in dataset.all_labels[rows].tolist())
    boxes, ignored = dataset.all_boxes[rows].tobytes(), (dataset.all_flags[rows] != 0).tobytes()
    return dataset.files[index], dataset.size(index), names, boxes, ignored


def _list_name(split: str, splits: Iterable[str]) -> str:
    """cat_train beside train would be a list of one class."""
    of_one_class = any(split.endswith(f"_{other}") for other in splits)
    return split.replace("_", "-") if of_one_class else split


def _write_xml(file: Path, dataset: Dataset, index: int, name: str) -> None:
    """One image's XML; name: its file's path in JPEGImages."""
    root = ElementTree.Element("annotation")
    _add(root, folder=PICTURES, filename=Path(name).name)
    width, height = dataset.size(index)
    _add(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    rows = slice(*dataset.ends[index : index + 2].tolist())
    labels, ignored = dataset.all_labels[rows].tolist(), (dataset.all_flags[rows] != 0).tolist()
    for box, label, difficult in zip(decimals(dataset.all_boxes[rows]), labels, ignored, strict=True):
        one = ElementTree.SubElement(root, "object")
        _add(one, name=dataset.classes[label], difficult=int(difficult))
        _add(ElementTree.SubElement(one, "bndbox"), **_pixels(box))
    ElementTree.indent(root)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(ElementTree.tostring(root, "utf-8") + b"\n")


def _pixels(box: Corners) -> dict[str, str]:
    """Edges → the numbers of pixels from 1 on, the last one counted in."""
    x1, y1, x2, y2 = map(written, (box[0] + 1, box[1] + 1, box[2], box[3]))
    return {"xmin": x1, "ymin": y1, "xmax": x2, "ymax": y2}


def _add(parent: ElementTree.Element, **values: object) -> None:
    for tag, value in values.items():
        ElementTree.SubElement(parent, tag).text = str(value)
