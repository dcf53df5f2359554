"""Where a command writes: looked at before the work, that none is done in vain and nothing is written over."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import typer

from vedette.errors import InputError


def place(*names: str, **settings: Any) -> Any:
    """A typer.Option for a path to write to."""
    return typer.Option(*names, parser=_read_place, **settings)


def _read_place(text: str) -> Path:
    """A path to write to, as an option has it; raises InputError for an empty one, which would be this folder."""
    if not text:
        raise InputError("an empty path is no place to write to; give a name")
    return Path(text)


def check_file(option: str, file: Path | None, key: str) -> None:
    """Raises InputError for a file that cannot be written, and for one that another command, or a person, wrote.

    key: what the results of this command hold, so that these may be written over.
    """
    if file is None:
        return
    if file.is_dir():
        raise InputError(f"{option} {file}: is a folder; give a file's name")
    if file.exists() and not file.is_file():
        return  # a stream, as /dev/stdout
    check_writable(option, file, file.parent)
    if file.is_file() and not _holds(file, key):
        raise InputError(f"{option} {file}: exists, and is no result of this command; give another name")


def check_folder(option: str, folder: Path | None, files: Iterable[str] = (), folders: Iterable[str] = ()) -> None:
    """Raises InputError for a folder that cannot be made, or holds something else where `files` or `folders` go."""
    if folder is None:
        return
    check_writable(option, folder, folder)
    for name in files:
        if (folder / name).is_dir():
            raise InputError(f"{option} {folder}: {folder / name} is a folder, where a file is to be written")
    for name in folders:
        if (folder / name).is_file():
            raise InputError(f"{option} {folder}: {folder / name} is a file, where a folder is to be made")


def check_page(option: str, page: Path) -> None:
    """Raises InputError for a page that cannot be written, and for a file that is no page of ours."""
    from vedette.pages.render import is_our_page

    if page.is_dir():
        raise InputError(f"{option} {page}: is a folder; give a file's name")
    check_folder(option, page.parent)
    if page.is_file() and not is_our_page(page):
        raise InputError(f"{option} {page}: exists, and is no page of this command; give another name")


def check_pages(option: str, folder: Path | None, names: Iterable[str]) -> None:
    """Raises InputError where a page is to be written over one that no report of ours is."""
    from vedette.pages.render import is_our_page

    for page in [] if folder is None else [folder / name for name in names]:
        if page.is_file() and not is_our_page(page):
            raise InputError(f"{option} {folder}: {page} is no page of a report; give another folder")


def check_result_files(option: str, folder: Path | None) -> None:
    """Raises InputError for a folder in which a file has the name of one of results, and is none."""
    for file in [] if folder is None else [folder / "results.json", *sorted(folder.glob("comp4_det_*.txt"))]:
        if file.is_file() and not _is_result(file):
            raise InputError(f"{option} {folder}: {file.name} there holds no results; give another folder")


def _is_result(file: Path) -> bool:
    """COCO's list of detections, VOC's lines of them, or nothing."""
    with file.open(encoding="utf-8", errors="replace") as stream:
        beginning = stream.read(4096)
    if file.suffix == ".json":
        return re.match(r'\s*(\[\s*(\]|\{\s*"image_id")|$)', beginning) is not None
    return not beginning or re.match(r"\S+( -?[\d.e+-]+){5}\n", beginning) is not None


def check_apart(places: dict[str, Path | None]) -> None:
    """Raises InputError for two options that name one place."""
    seen: dict[str, str] = {}
    for option, place in places.items():
        if place is not None and (other := seen.setdefault(os.path.realpath(place), option)) != option:
            raise InputError(f"{option} {place}: is {other}'s place too; give each its own")


def check_outside(option: str, folder: Path | None, pictures: Iterable[str], data: Iterable[str]) -> None:
    """Raises InputError for a folder in or below which pictures of the data, PATH[:SPLIT] each, lie."""
    from vedette.data.files import lie_around
    from vedette.data.read import parse_source

    if folder is not None and lie_around(pictures, folder, [parse_source(one)[0] for one in data]):
        raise InputError(f"{option} {folder}: pictures of --data lie there; give another folder")


def check_writable(option: str, place: Path, folder: Path) -> None:
    """Raises InputError where a folder cannot be made, or nothing be written in it."""
    existing = next(one for one in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(one))
    if existing.is_symlink() and not existing.exists():
        raise InputError(f"{option} {place}: {existing} is a link that leads nowhere; give a place in a folder")
    if not existing.is_dir():
        raise InputError(f"{option} {place}: {existing} is a file; give a place in a folder")
    try:
        with TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InputError(f"{option} {place}: nothing can be written in {existing} ({error.strerror})") from None


def _holds(file: Path, key: str) -> bool:
    if file.stat().st_size == 0:
        return True
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and key in content
