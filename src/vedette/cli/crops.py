"""The objects that were found, each cut out of its picture: PICTURE/CLASS_NUMBER.jpg, the best of a class first.

`.written` in the folder lists them, each before it is written: what else lies there is somebody's own and stays. A
null byte, which no name can hold, ends each of its names; one that was not written to its end is none.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

from vedette.cli.outputs import folded, short
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.structures import Detections

LIST = ".written"
QUALITY = 92


class Crops:
    """The folder. Raises InputError for one that is there and is not of this command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.own = set(map(os.fsdecode, (folder / LIST).read_bytes().split(b"\0")[:-1]))
        except FileNotFoundError:
            self.own = set()
            if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
                raise InputError(
                    f"--save crops: {folder} was not written by this command; give another --out, or move it away"
                ) from None
        except OSError as error:
            raise InputError(f"--save crops: {folder} cannot be read ({error.strerror}); give another --out") from None

    def begin(self, resume: bool) -> None:
        """Makes the folder; those of a run before go, unless it goes on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            for name in self.own:
                (self.folder / name).unlink(missing_ok=True)
            self.own = set()
        self._list(sorted(self.own), "wb")

    def add(self, found: Detections, picture: str) -> str | None:
        """Writes those of an annotated picture, into a folder of its name; a line where that cannot be."""
        assert found.image is not None
        stem = picture.removesuffix(".jpg")
        stem = picture if stem.startswith(".") else stem  # "..", and the list's name, are no folders of ours
        names = [f"{stem}/{name}" for name in crop_names(found.names)]
        for name in names:
            if name not in self.own and os.path.lexists(self.folder / name):
                return f"{self.folder / name}: was not written by this command, so the crops of its picture are not"
        self.own |= set(names)
        try:
            self._list(names, "ab")
            if names:
                (self.folder / stem).mkdir(exist_ok=True)
            for name, (x1, y1, x2, y2) in zip(names, found.boxes.tolist(), strict=True):
                place = self.folder / name
                place.unlink(missing_ok=True)  # whether a symbolic or a hard link, what it leads to stays
                whole = (math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
                found.image.crop(whole).save(place, "JPEG", quality=QUALITY)
        except OSError as error:
            return f"{error.filename or self.folder}: cannot be written ({error.strerror or error})"
        return None

    def _list(self, names: list[str], mode: str) -> None:
        with (self.folder / LIST).open(mode) as file:
            file.writelines(os.fsencode(name) + b"\0" for name in names)


def crop_names(classes: list[str]) -> list[str]:
    """A file's name for each of a picture's detections; what no file's name may hold becomes _."""
    numbers, names = Counter[str](), []
    for name in classes:
        plain = "".join(sign if sign.isprintable() and sign not in '/\\:*?"<>|' else "_" for sign in name).strip(" .")
        plain = short(normalize("NFC", plain)) or "_"
        numbers[folded(plain)] += 1
        names.append(f"{plain}_{numbers[folded(plain)]}.jpg")
    return names
