"""One data set parted into several, as COCO JSONs that name the pictures where they are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette.data.annotations import Dataset, union
from vedette.data.atomic import refuse_filled, whole_folder
from vedette.data.files import refuse_among
from vedette.data.groups import group_images
from vedette.data.read import Purpose, find_splits, read_dataset
from vedette.data.stratify import stratify
from vedette.data.values import counted
from vedette.data.write_coco import write_json
from vedette.errors import InputError


@dataclass(frozen=True)
class Parted:
    """The parts, and what was heeded."""

    parts: dict[str, Dataset]
    groups: int  # of images that stay together; as many as images where each is alone
    ungrouped: int  # images that the way of grouping says nothing of
    notes: tuple[str, ...]  # of the reader


def split_dataset(
    path: str | Path,
    parts: Mapping[str, float],
    out: str | Path,
    split: str | None = None,
    seed: int = 0,
    group_by: str | None = None,
) -> Parted:
    """Writes PART.json for each part into the new folder `out`; the images of a split, or of all, each in one part.

    parts: the share of each. Every class has its share in each part as nearly as groups allow (`stratify`); groups, by
    `group_images`, stay together. The same seed gives the same parts, in whatever order the files come and wherever
    they lie. Pictures are named by their whole path and stay where they are.

    Raises InputError where the data cannot be read, a part would have no image, or `out` lies among the
    pictures.
    """
    refuse_filled(Path(out))
    dataset = read_whole(path, split, shapes=True)
    refuse_among(dataset.files, Path(out), path)
    order = _order(dataset)
    groups, ungrouped = group_images([dataset.files[index] for index in order], group_by)
    counts = _classes_shown(dataset)[order]
    summed = np.zeros((groups.max() + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(summed, groups, counts)
    part_of = np.empty(len(dataset), dtype=np.int64)
    part_of[order] = stratify(summed, np.bincount(groups), list(parts.values()), seed)[groups]
    parted = {name: dataset.part(np.flatnonzero(part_of == number).tolist()) for number, name in enumerate(parts)}
    for name, part in parted.items():
        if not len(part):
            raise InputError(
                f"the part {name} would have no image: {counted(len(dataset), 'image')} in "
                f"{counted(len(summed), 'group')} are too few for a share of {parts[name]:g}"
            )
    with whole_folder(Path(out)) as folder:
        for name, part in parted.items():
            write_json(folder / f"{name}.json", part, [os.path.abspath(part.file(i)) for i in range(len(part))])
    return Parted(parted, len(summed), ungrouped, dataset.notes)


def read_whole(
    path: str | Path, split: str | None = None, purpose: Purpose = "evaluate", shapes: bool = False
) -> Dataset:
    """A split, or all of them as one data set in which an image of several splits is once.

    Boxes are as annotated, or as trained on: cut to their image. shapes: with outlines and keypoints. Raises InputError
    for what cannot be right, as `read_dataset` does.
    """
    names = [split] if split is not None else list(find_splits(path))
    whole = union([read_dataset(path, name, purpose, shapes) for name in names])
    first = {os.path.realpath(whole.files[index]): index for index in reversed(range(len(whole)))}
    if len(first) == len(whole):
        return whole
    once = whole.part(sorted(first.values()))
    others = [(index, first[os.path.realpath(whole.files[index])]) for index in range(len(whole))]
    otherwise = sum(_annotated(whole, index) != _annotated(whole, other) for index, other in others)
    if not otherwise:
        return once
    note = f"annotated otherwise in another split: {counted(otherwise, 'image')}; the first split's boxes are taken"
    return replace(once, notes=(*once.notes, note))


def _annotated(dataset: Dataset, index: int) -> tuple[bytes, ...]:
    """What is said of an image, to be compared."""
    rows = slice(*dataset.ends[index : index + 2].tolist())
    return tuple(one[rows].tobytes() for one in (dataset.all_boxes, dataset.all_labels, dataset.all_flags))


def shown_classes(dataset: Dataset) -> NDArray[np.int64]:
    """(N, C) how many boxes of each class an image has that are neither difficult nor crowds."""
    counts = np.zeros((len(dataset), len(dataset.classes)), dtype=np.int64)
    owners = np.repeat(np.arange(len(dataset)), np.diff(dataset.ends))
    counted = dataset.all_flags == 0
    np.add.at(counts, (owners[counted], dataset.all_labels[counted]), 1)
    return counts


def _classes_shown(dataset: Dataset) -> NDArray[np.int64]:
    """(N, C + 1) 1 for each class that an image shows; the last column for images that show none."""
    shown = shown_classes(dataset) > 0
    return np.hstack([shown, ~shown.any(1, keepdims=True)]).astype(np.int64)


def _order(dataset: Dataset) -> Sequence[int]:
    """The images by their path in the folder that holds them all."""
    files = [os.path.abspath(dataset.files[index]) for index in range(len(dataset))]
    common = os.path.commonpath([os.path.dirname(file) for file in files])
    return sorted(range(len(files)), key=lambda index: os.path.relpath(files[index], common))
