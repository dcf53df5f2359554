"""Pictures of a data set with their boxes on one sheet. No torch here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vedette.data.annotations import CROWD, Dataset, union
from vedette.data.findings import Finding
from vedette.data.read import read_splits
from vedette.errors import InputError, likely
from vedette.pages.boxes import draw_boxes
from vedette.pages.fonts import legible
from vedette.pages.sheet import contact_sheet, titled

SIDE = 320  # pixels of a picture's longer side on the sheet


@dataclass(frozen=True, eq=False)
class Sheet:
    """The sheet, and what is on it."""

    picture: Image.Image
    files: tuple[str, ...]
    unreadable: tuple[str, ...]  # a line for each that should be on it and cannot be read


def show(
    path: str | Path,
    split: str | None = None,
    count: int = 30,
    classes: Sequence[str] = (),
    seed: int = 0,
    columns: int | None = None,
    faults: bool = False,
    watch: Callable[[list[int]], Iterable[int]] | None = None,
) -> Sheet:
    """Up to `count` pictures drawn by the seed, with their boxes and names; difficult objects and crowds are dashed.

    classes: pictures with these alone, and their boxes alone. faults: first those that something was found about, with
    what it is. watch: is given the indices of the pictures as they are taken up. One picture at a time is held in full
    size.

    Raises InputError for a class that there is not, and where no picture is left.
    """
    read = read_splits(path, split)
    dataset = union([one for one, _ in read.values()])
    found = _by_file(finding for _, findings in read.values() for finding in findings)
    chosen = _chosen(dataset, classes, seed, found if faults else {})
    drawn, files, unreadable = list[Image.Image](), list[str](), list[str]()
    order = chosen[:count]
    for index in watch(order) if watch else order:
        try:
            picture = _draw(dataset, index, classes)
        except InputError as error:
            unreadable.append(str(error))
            continue
        file = dataset.files[index]
        drawn.append(titled(picture, ": ".join([Path(file).name, *_kinds(found, file, faults)])))
        files.append(file)
    if not drawn:
        raise InputError(f"{path}: no picture to show" + (f" ({unreadable[0]})" if unreadable else ""))
    return Sheet(contact_sheet(drawn, columns), tuple(files), tuple(unreadable))


def _chosen(dataset: Dataset, classes: Sequence[str], seed: int, first: Mapping[str, object]) -> list[int]:
    """The images in the order in which they are shown: those in `first` before others, each file once."""
    unknown = [name for name in classes if name not in dataset.classes]
    if unknown:
        meant = likely(unknown[0], dataset.classes) or f"; there is {', '.join(dataset.classes)}"
        raise InputError(f"--classes {unknown[0]}: there is no such class{meant}")
    wanted = {label for label, name in enumerate(dataset.classes) if name in classes}
    labels, ends = dataset.all_labels.tolist(), dataset.ends.tolist()
    order = np.random.default_rng(seed).permutation(len(dataset)).tolist()
    with_them = [i for i in order if not wanted or not wanted.isdisjoint(labels[ends[i] : ends[i + 1]])]
    once = {os.path.realpath(dataset.files[index]): index for index in reversed(with_them)}
    return sorted(reversed(once.values()), key=lambda index: dataset.files[index] not in first)


def _draw(dataset: Dataset, index: int, classes: Sequence[str]) -> Image.Image:
    picture = dataset.image(index)
    scale = SIDE / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    width, height = dataset.size(index)
    every = range(*dataset.ends[index : index + 2].tolist())
    rows = [row for row in every if not classes or dataset.classes[dataset.all_labels[row]] in classes]
    boxes = dataset.all_boxes[rows] * np.tile([size[0] / width, size[1] / height], 2)
    labels, flags = dataset.all_labels[rows].tolist(), dataset.all_flags[rows].tolist()
    marks = [" (crowd)" if flag & CROWD else " (difficult)" if flag else "" for flag in flags]
    spelled = legible(dataset.classes)
    names = [spelled[label] + mark for label, mark in zip(labels, marks, strict=True)]
    small = picture.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    return draw_boxes(small, boxes.tolist(), names, labels, dashed=[flag != 0 for flag in flags])


def _by_file(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """The kinds of what was found, each once, by the picture's file."""
    kinds: dict[str, dict[str, None]] = {}
    for finding in findings:
        if finding.kind != "image without boxes":  # which can be seen, and is no fault
            kinds.setdefault(finding.file, {})[finding.kind] = None
    return {file: list(own) for file, own in kinds.items()}


def _kinds(found: Mapping[str, list[str]], file: str, faults: bool) -> list[str]:
    return [", ".join(found[file])] if faults and file in found else []
