"""What reading a data set asks of the system: which image files there are, how large they are, memory back."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from vedette.ops.images import ORIENTATION

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


def list_folder(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where there is no such folder."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


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


def measure(files: Sequence[str]) -> list[tuple[int, int] | str]:
    """Width and height of each image after EXIF rotation, from the files' heads; a reason where there is none."""
    with warnings.catch_warnings(), ThreadPoolExecutor(16) as pool:
        warnings.simplefilter("ignore")  # Pillow's, about EXIF that it half understands
        return list(pool.map(_measure_one, files))


def _measure_one(file: str) -> tuple[int, int] | str:
    try:
        with Image.open(file) as image:
            width, height = image.size
            sideways = image.getexif().get(ORIENTATION) in SIDEWAYS
            return (height, width) if sideways else (width, height)
    except UnidentifiedImageError:
        return "not an image in a format that can be read"
    except Exception as error:  # a decoder may raise anything on a damaged file
        return f"cannot be read ({error})"


def release_memory() -> None:
    """Gives memory that is free back to the system, where the C library must be told to (glibc).

    Reading a large data set leaves a hundred megabytes of holes behind, which every later process would inherit.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
