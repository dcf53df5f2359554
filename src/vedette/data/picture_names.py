"""What pictures are called in a copy of their data set: by their path in the folder of pictures, no two alike."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from vedette.data.annotations import Dataset
from vedette.data.files import composed, is_picture

OF_PICTURES = ("images", "jpegimages")  # folders that every format makes anew


def names_below(files: Sequence[str], data: Path, split: str) -> list[str]:
    """The files' paths below the folder of a split's pictures, with / between folders, fit for every format.

    data: where the data set is, or its file. What readers pass over or cut away is written otherwise: hidden names,
    spaces at an end, what is no letter; a name without a picture's suffix is given one.
    """
    paths = [os.path.abspath(file) for file in files]
    if not paths:
        return []
    root = _root(os.path.commonpath([os.path.dirname(path) for path in paths]), data, split)
    return [_fit(os.path.relpath(path, root), path) for path in paths]


def names_in_copy(dataset: Dataset, data: Path, split: str, by_stem: bool = False) -> dict[str, str]:
    """What each of a split's pictures is called in a copy, in the split's order, and its file; see `names_below`.

    by_stem: see `distinct`.
    """
    files = [dataset.files[index] for index in range(len(dataset))]
    return dict(zip(distinct(names_below(files, data, split), by_stem), files, strict=True))


def distinct(names: Sequence[str], by_stem: bool) -> list[str]:
    """The names, those that came before with a number at their end.

    Names that differ in capitals, or in how letters with marks are composed, are alike, as many a disk has it. by_stem:
    suffixes do not tell names apart, where an annotation is called as its picture.
    """
    taken: set[str] = set()
    given = []
    for name in names:
        stem, suffix = os.path.splitext(name)
        number, candidate = 1, stem
        while (key := composed(candidate if by_stem else candidate + suffix).casefold()) in taken:
            number += 1
            candidate = f"{stem}_{number}"
        taken.add(key)
        given.append(candidate + suffix)
    return given


def _root(common: str, data: Path, split: str) -> str:
    """The folder of the pictures: the last called images in the data set, or that of the split in it; else `common`."""
    base = os.path.abspath(data if data.is_dir() else data.parent)
    parts = Path(common).parts
    if Path(base).parts != parts[: len(Path(base).parts)]:
        return common
    places = [at for at in range(len(Path(base).parts), len(parts)) if parts[at].lower() in OF_PICTURES]
    if not places:
        return common
    end = places[-1] + 1
    return str(Path(*parts[: end + (parts[end : end + 1] == (split,))]))


def _fit(path: str, file: str) -> str:
    steps = [step for step in Path(path).parts if step.lower() not in OF_PICTURES]
    name = "/".join(map(_plain, steps))
    stem = PurePosixPath(name).stem
    if stem != stem.strip():  # of the annotation that is called so
        name = str(PurePosixPath(name).with_stem(stem.strip() or "_"))
    return name if is_picture(name) else name + _suffix(file)


def _plain(step: str) -> str:
    """A folder's or file's name that no reader passes over or takes for another."""
    visible = "".join(sign if sign.isprintable() and sign != "\\" else "_" for sign in step).strip()
    if visible.startswith(".") or visible in ("__MACOSX", ""):
        return f"_{visible[1:]}"
    return visible


def _suffix(file: str) -> str:
    """One that suits the picture."""
    with Image.open(file) as image:
        suffix = f".{(image.format or '').lower()}"
    return suffix if is_picture(suffix) else ".jpg"
