"""What reading a data set asks of the system: which files there are, what stands in them, memory back.

What an annotation says of files may be anything: a name too long for the system or with a null byte in it is the name
of no file, not an error.
"""

from __future__ import annotations

import codecs
import ctypes
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from unicodedata import normalize

from vedette.errors import InputError

SUFFIXES = frozenset(
    {
        ".avif",
        ".bmp",
        ".gif",
        ".heic",
        ".heif",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".jpx",
        ".mpo",
        ".pbm",
    }
    | {".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)  # of pictures: what Pillow cannot open without help, as .heic, is a fault, and not passed over
LONGEST_PATH = 4096  # letters: no system takes more
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class Unreadable(Exception):
    """A file of text that cannot be read; says why."""


def list_folder(folder: str | Path) -> list[str]:
    """The names in a folder, sorted; none where there is no such folder.

    Raises InputError for one that may not be listed.
    """
    try:
        return sorted(os.listdir(folder))
    except PermissionError:
        raise InputError(f"{folder}: may not be read; check its permissions") from None
    except (OSError, ValueError):
        return []


def lie_around(pictures: Iterable[str], place: Path, roots: Iterable[Path]) -> bool:
    """Whether a place is a folder of pictures, or below one: what is written there would be data, too.

    roots: where the data are. Of pictures that lie in a root itself, as beside their JSON, folders below it are free.
    """
    held = {os.path.realpath(folder) for folder in {os.path.dirname(picture) for picture in pictures}}
    own = {os.path.realpath(root if root.is_dir() else root.parent) for root in roots}
    real = os.path.realpath(place)
    return real in held or not (held - own).isdisjoint(map(str, Path(real).parents))


def refuse_among(pictures: Iterable[str], place: Path, source: str | Path) -> None:
    """Raises InputError where a copy of a data set, or a sheet, would lie among the pictures of its source."""
    if lie_around(pictures, place, [Path(source)]):
        raise InputError(f"{place}: lies among the pictures of {source}; give a place outside them")


def visible(names: Iterable[str]) -> list[str]:
    """The names without the hidden ones, which tools and systems leave behind: .ipynb_checkpoints, ._a.jpg …"""
    return [name for name in names if not name.startswith(".") and name != "__MACOSX"]


def is_picture(name: str) -> bool:
    """Whether a name ends as those of pictures do."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def subfolders(folder: str | Path) -> dict[str, bool]:
    """The names of the visible folders in a folder, sorted, and whether each is a link to one."""
    try:
        with os.scandir(folder) as entries:
            kinds = {entry.name: entry.is_symlink() for entry in entries if entry.is_symlink() or entry.is_dir()}
    except (OSError, ValueError):
        return {}
    return {name: kinds[name] for name in sorted(visible(kinds)) if os.path.isdir(os.path.join(folder, name))}


def real_path(path: str | Path) -> str:
    """Where a path leads; itself where no path can be like that."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)


def is_root(folder: str | Path) -> bool:
    """Whether a folder is a whole disk, below which nobody wants anything looked for."""
    real = real_path(folder)
    return os.path.dirname(real) == real


def walk(folder: str | Path) -> Iterator[tuple[Path, list[str]]]:
    """A folder and those below it, hidden ones apart, each with the names of the visible files in it, sorted.

    Links to folders are followed, after the folders themselves; none is taken twice, so that loops end.
    """
    waiting, linked, seen = [str(folder)], list[str](), set[str]()
    while waiting or linked:
        here = waiting.pop() if waiting else linked.pop(0)
        real = real_path(here)
        if real in seen:
            continue
        seen.add(real)
        inner = subfolders(here)
        yield Path(here), [name for name in visible(list_folder(here)) if name not in inner]
        waiting += [os.path.join(here, name) for name in reversed(inner) if not inner[name]]
        linked += [os.path.join(here, name) for name in inner if inner[name]]


def read_bytes(file: str | Path) -> bytes:
    """The content of a file. Raises Unreadable for whatever is none, a pipe or a device too, which may have no end."""
    if os.path.exists(file) and not os.path.isfile(file):
        raise Unreadable("cannot be read (not a file)")
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        raise Unreadable(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def read_text(file: str | Path) -> str:
    """The text in a file: UTF-8, or what its byte order mark says. Raises Unreadable, with what to do."""
    data = read_bytes(file)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(f"cannot be read (byte {error.start} is not {encoding}; save it as UTF-8)") from None


def file_in(folder: Path, name: str) -> Path:
    """The file of a name in an annotation: with / for Windows's \\ where there is none of the name as it stands."""
    path = folder / name
    if "\\" not in name or os.path.exists(path):
        return path
    return folder / name.lstrip("\\").replace("\\", "/")  # the root of a disk there is none here


def missing(files: Sequence[str]) -> list[int]:
    """Indices of the files that do not exist: one listing a folder, not a question a file."""
    listings: dict[str, set[str]] = {}
    absent = []
    for index, file in enumerate(files):
        folder, name = os.path.split(file)
        if folder not in listings:
            listings[folder] = set(list_folder(folder or "."))
        if name not in listings[folder]:
            absent.append(index)
    return absent


def composed(name: str) -> str:
    """A name in the one form that letters with marks have in common: é may be one sign or two."""
    return name if name.isascii() else normalize("NFC", name)


def located(files: Sequence[str]) -> list[str]:
    """The files as the disk spells them, where it composes letters with marks otherwise than the annotation does."""

    @cache
    def spellings(folder: str) -> dict[str, str]:
        return {composed(name): name for name in list_folder(folder or ".")}

    def spell(path: str) -> str:
        here, steps = path, list[str]()
        while here and not os.path.exists(here):
            here, step = os.path.split(here.rstrip("/"))
            steps.append(step)
        while steps:
            exact = os.path.join(here, steps[-1])
            found = exact if os.path.exists(exact) else spellings(here).get(composed(steps[-1]))
            if found is None:
                return path
            here = os.path.join(here, found)
            steps.pop()
        return here

    return [file if file.isascii() or len(file) > LONGEST_PATH else spell(file) for file in files]


@cache
def _trim() -> ctypes._NamedFuncPointer | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def release_memory() -> None:
    """Gives memory that is free back to the system, where the C library must be told to (glibc).

    Reading a large data set leaves a hundred megabytes of holes behind, which every later process would inherit.
    """
    trim = _trim()
    if trim is not None:
        trim(0)
