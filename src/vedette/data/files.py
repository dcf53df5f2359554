"""What reading a data set asks of the system: which image files there are, how large they are, memory back."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from vedette.data.decode import ORIENTATION, decode_image
from vedette.errors import InputError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


def list_folder(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where there is no such folder."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def file_in(folder: Path, name: str) -> Path:
    """The file of a name in an annotation: with / for Windows's \\ where there is none of the name as it stands."""
    path = folder / name
    return path if "\\" not in name or path.exists() else folder / name.replace("\\", "/")


def missing(files: Sequence[str]) -> list[int]:
    """Indices of the files that do not exist: one listing a folder, not a question a file."""
    listings: dict[str, set[str]] = {}
    absent = []
    for index, file in enumerate(files):
        folder, name = os.path.split(file)
        if folder not in listings:
            listings[folder] = set(list_folder(Path(folder or ".")))
        if name not in listings[folder]:
            absent.append(index)
    return absent


@dataclass(frozen=True)
class Extent:
    """Width and height of a picture, as it is seen (turned as its EXIF says) and as it lies in the file."""

    seen: tuple[int, int]
    raw: tuple[int, int]


def measure(files: Sequence[str]) -> list[Extent | str]:
    """The extent of each image, from the files' heads; a reason where there is none."""
    with warnings.catch_warnings(), ThreadPoolExecutor(16) as pool:
        warnings.simplefilter("ignore")  # Pillow's, about EXIF that it half understands
        return list(pool.map(_measure_one, files))


def _measure_one(file: str) -> Extent | str:
    try:
        with Image.open(file) as image:
            size = image.size
            return Extent(size[::-1] if orientation_of(image) in SIDEWAYS else size, size)
    except Exception:  # a decoder may raise anything on a damaged file
        return _reason(file)


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 where none is stated."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken EXIF does not make a picture unreadable
        return 1


def _reason(file: str) -> str:
    """Why a file is no image, in the words of training."""
    try:
        decode_image(file)
    except InputError as error:
        return str(error).removeprefix(f"{file}: ")
    return "not an image"


def release_memory() -> None:
    """Gives memory that is free back to the system, where the C library must be told to (glibc).

    Reading a large data set leaves a hundred megabytes of holes behind, which every later process would inherit.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
