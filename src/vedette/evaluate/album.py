"""The pictures of a report: each saved once, however often it is shown, with the boxes that it is shown for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol
from urllib.parse import unquote

import numpy as np
from PIL import Image

from vedette.evaluate.matching import Floats, Ints
from vedette.pages.marks import Mark, draw_marks

FOLDER = "pictures"
LONGEST_STEM = 60  # letters; with them and what stands before it no file's name is too long
Marks = Callable[[int], list[Mark]]  # what is drawn on the image of an index
Progress = Callable[[int, int], None]  # hears of pictures done, and of all


class Pictures(Protocol):
    """What is asked of a data set: `vedette.data.annotations.Dataset` has it."""

    def file(self, index: int, /) -> Path: ...
    def size(self, index: int, /) -> tuple[int, int]: ...
    def image(self, index: int, /) -> Image.Image: ...


@dataclass(frozen=True)
class Picture:
    """One that is saved: its file, from the report's folder on, and the frame of its boxes."""

    index: int
    file: str
    name: str  # as in the data
    width: int
    height: int


@dataclass(frozen=True)
class Gallery:
    """What one number of the report counts: detections or annotated boxes, those of a few images to be seen."""

    id: str  # of the place on the page
    title: str
    total: int
    images: int  # in which these are
    shown: tuple[tuple[int, tuple[tuple[float, ...], ...]], ...]  # (image, boxes of it)


def gallery(id: str, title: str, rows: Ints, image: Ints, boxes: Floats, most: int) -> Gallery:
    """Of the rows of boxes (N, 4) in images (N,), the first images in the rows' order, `most` of them."""
    images = list(dict.fromkeys(image[rows].tolist()))
    shown = tuple((one, tuple(map(tuple, boxes[rows[image[rows] == one]].tolist()))) for one in images[:most])
    return Gallery(id, title, len(rows), len(images), shown)


def save_pictures(
    folder: Path,
    dataset: Pictures,
    indices: Iterable[int],
    marks: Marks,
    progress: Progress | None = None,
    tag: str = "",
) -> dict[int, Picture]:
    """Saves the images of these indices with their marks; by index what the page has to know of each.

    tag: part of the files' names, where a report shows one image in several ways.
    """
    wanted, saved = sorted(set(indices)), {}
    for number, index in enumerate(wanted, 1):
        saved[index] = _save(folder, dataset, index, marks(index), tag)
        if progress is not None:
            progress(number, len(wanted))
    return saved


def framed(dataset: Pictures, index: int) -> Image.Image:
    """The image of an index in the width and height that its annotation states."""
    picture, (width, height) = dataset.image(index), dataset.size(index)
    return picture.resize((width, height)) if width and height and (width, height) != picture.size else picture


def _save(folder: Path, dataset: Pictures, index: int, marks: list[Mark], tag: str) -> Picture:
    """The picture with its marks, which are in the pixels of the annotation's frame."""
    picture, file = framed(dataset, index), dataset.file(index)
    stem = re.sub(r"[^\w.-]+", "-", file.stem)[:LONGEST_STEM]
    path = folder / FOLDER / f"{index:05d}-{tag}{stem}.jpg"
    path.parent.mkdir(exist_ok=True)
    draw_marks(picture, marks).save(path, quality=88)
    return Picture(index, f"{FOLDER}/{path.name}", file.name, *picture.size)


@contextmanager
def new_pictures(folder: Path, pages: Sequence[str]) -> Iterator[Path]:
    """A folder to save pictures into, which go into `folder` at the end, instead of those that its pages show.

    Where that is not reached, all is as it was. `folder` is made.
    """
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(dir=folder, prefix=f".{FOLDER}-") as made:
            yield Path(made)
            remove_pictures(folder, pages)
            (folder / FOLDER).mkdir(exist_ok=True)
            for picture in Path(made).glob(f"{FOLDER}/*"):
                picture.replace(folder / FOLDER / picture.name)
    finally:
        if not was_there:
            with suppress(OSError):  # something is in it
                folder.rmdir()


def remove_pictures(folder: Path, pages: Sequence[str]) -> None:
    """Removes the pictures that the pages of an earlier report show, and no other file."""
    for page in pages:
        path = folder / page
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        for shown in map(unquote, re.findall(r'<img src="([^"]+)"', text)):
            if re.fullmatch(rf"{FOLDER}/\d{{5,}}-[^/]*\.jpg", shown):
                (folder / shown).unlink(missing_ok=True)


def by_area(boxes: Floats, rows: Ints) -> Ints:
    """The rows, the largest box first."""
    sides = boxes[rows, 2:] - boxes[rows, :2]
    order: Ints = rows[np.argsort(-sides.prod(1), kind="stable")]
    return order
