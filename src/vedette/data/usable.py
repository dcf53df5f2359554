"""Which images of a data set can be carried over: those that are there, with all that is annotated on them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from vedette.data.annotations import Dataset
from vedette.data.files import composed
from vedette.data.findings import Finding, Kind, shown
from vedette.data.read_yolo import label_file
from vedette.data.values import counted
from vedette.errors import InputError

Splits = dict[str, Dataset]
OF_PICTURES: frozenset[Kind] = frozenset(
    ("missing file", "unreadable file", "truncated file", "width and height swapped", "wrong unit")
)
OF_ANNOTATIONS: frozenset[Kind] = frozenset(("missing file", "annotation unreadable", "name collision", "wrong unit"))


def usable(read: Mapping[str, tuple[Dataset, Sequence[Finding]]], path: str | Path) -> tuple[Splits, list[str]]:
    """The splits without images that are not there, or whose boxes are lost or would lie elsewhere; a line for each.

    In VOC and YOLO an annotation is a file of its own, and where it cannot be read as a whole its image is left out. In
    COCO's JSON only the one annotation is.

    Raises InputError where nothing is left.
    """
    splits, lost = dict[str, Dataset](), list[str]()
    for name, (dataset, findings) in read.items():
        good = _good(dataset, findings)
        if len(good) < len(dataset):
            share = f"{len(dataset) - len(good)} of {counted(len(dataset), 'image')}"
            lost.append(shown(f"left out: {share} of {name}, for what was found there"))
        if good and dataset.classes:
            splits[name] = dataset.part(good) if len(good) < len(dataset) else dataset
        else:
            lost.append(shown(f"left out: the split {name}, which has no {'classes' if good else 'images'}"))
    if not splits:
        why = next((f" ({finding})" for _, findings in read.values() for finding in findings), "")
        raise InputError(shown(f"{path}: there is nothing that could be written{why}"))
    return splits, lost


def _good(dataset: Dataset, findings: Sequence[Finding]) -> list[int]:
    pictures = {finding.file for finding in findings if finding.kind in OF_PICTURES}
    faulty = [Path(finding.file) for finding in findings if finding.kind in OF_ANNOTATIONS]
    labels = {_plain(file) for file in faulty}  # YOLO's, or a folder of them
    keys = {_voc_key(file) for file in faulty if file.suffix.lower() == ".xml"}

    def is_good(index: int) -> bool:
        text = label_file(dataset.file(index))
        lost = labels and (_plain(text) in labels or _plain(text.parent) in labels)
        return not lost and dataset.files[index] not in pictures and (not keys or dataset.image_id(index) not in keys)

    return [index for index in range(len(dataset)) if is_good(index)]


def _plain(file: Path) -> str:
    """The path of a file of labels without its suffix; that of a folder as it is."""
    path = composed(str(file))
    return path[: -len(file.suffix)] if file.suffix.lower() == ".txt" else path


def _voc_key(file: Path) -> str:
    """.../Annotations/sub/b.xml → sub/b, VOC's id of an image."""
    parts, plain = file.parts, [part.lower() for part in file.parts]
    start = len(parts) - plain[::-1].index("annotations") if "annotations" in plain else len(parts) - 1
    return composed(os.path.splitext(PurePath(*parts[start:]).as_posix())[0])
