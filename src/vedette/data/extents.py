"""How large pictures are, from the heads of their files alone."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from vedette.data.decode import ORIENTATION, decode_image
from vedette.data.threads import in_threads
from vedette.errors import InputError

SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange width and height


@dataclass(frozen=True)
class Extent:
    """Width and height of a picture, as it is seen (turned as its EXIF says) and as it lies in the file."""

    seen: tuple[int, int]
    raw: tuple[int, int]


def measure(files: Sequence[str]) -> list[Extent | str]:
    """The extent of each image, from the files' heads; a reason where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about EXIF that it half understands
        return list(in_threads(_measure_one, files, 16))


def _measure_one(file: str) -> Extent | str:
    if os.path.exists(file) and not os.path.isfile(file):  # a pipe would be waited for
        return "not a file"
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
