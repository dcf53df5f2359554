"""Which image files a person means by a file, a folder, a glob or `-`, and what is passed over on the way."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from glob import escape, glob, has_magic
from pathlib import Path

import typer

from vedette.data.files import walk
from vedette.data.findings import LONGEST_NAME, shown
from vedette.data.values import counted
from vedette.errors import InputError
from vedette.infer.video_names import SUFFIXES as VIDEOS
from vedette.infer.video_names import is_address, is_camera, is_video

STDIN, SEPARATORS = "-", tuple({"/", os.sep})
# Formats that Pillow knows by name alone, or opens with the help of other programs
NOT_DECODED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"})
KINDS = 8  # suffixes that a note names
FOLDER, SPECIAL = "folder", "special file"  # what is passed over and has no suffix


@dataclass
class Sources:
    """The files behind all sources, each once, in order; a line for each source that has none, and notes."""

    files: list[Path] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)  # cameras and streams too, where they are asked for
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_images(sources: Sequence[str], videos: bool = False) -> Sources:
    """What all sources stand for; `-` for the names on stdin, one a line.

    videos: those that are named or that a glob matches, cameras and streams are looked for too; a folder's are not.
    """
    found, seen = Sources(), set[str]()
    for source in (name for one in sources for name in (_names_on_stdin() if one == STDIN else [one])):
        if videos and (is_address(source) or is_camera(source)):
            found.videos += [source] if source not in seen else []
            seen.add(source)
            continue
        try:
            files, passed = expand(source, videos)
        except InputError as error:
            found.faults.append(str(error))
            continue
        except (OSError, ValueError) as error:  # a name too long, or with a null byte
            found.faults.append(
                f"{shown(source, LONGEST_NAME)}: cannot be read ({getattr(error, 'strerror', None) or error})"
            )
            continue
        found.notes += [f"{source}: {passed}"] if passed else []
        for file in files:
            real = os.path.realpath(file)
            if real not in seen and videos and is_video(str(file)):
                found.videos.append(str(file))
            elif real not in seen:
                found.files.append(file)
            seen.add(real)
    return found


def expand(source: str, videos: bool = False) -> tuple[list[Path], str]:
    """The images that a source stands for, and what of it was passed over, in words.

    A file is itself, whatever its name; a folder or a glob stands for its images, a folder's subfolders left out.
    videos: a glob stands for its videos too.
    Raises InputError where there is nothing.
    """
    if not source:
        raise InputError("an empty name is no image: give a file, a folder or a glob")
    path = Path(source)
    if path.is_dir():
        found, passed = _images(path.iterdir())
        if not found:
            advice = f"{passed}; give them by name" if passed else "it is empty"
            raise InputError(f"{source}: no images in this folder ({advice})")
        return found, passed
    if os.path.lexists(path):
        return [path], ""
    if not has_magic(source):
        raise InputError(f"{source}: no such file or folder; {_advice(path)}")
    matches = map(Path, _matches(source))
    looked_into = "**" in source
    found, passed = _images((one for one in matches if not (looked_into and one.is_dir())), videos)
    if not found:
        raise InputError(f"{source}: matches no images{f' ({passed})' if passed else ''}; check the pattern")
    return found, passed


def _matches(pattern: str) -> Iterable[str]:
    """What a pattern matches. `**` stands for every folder below, each real one once: linked loops end."""
    head, stars, tail = pattern.partition("**")
    if not stars or (head and not head.endswith(SEPARATORS)) or (tail and not tail.startswith(SEPARATORS)):
        yield from glob(pattern)
        return
    for top in glob(head) if head else ["."]:
        for folder, _ in walk(top):
            yield from _matches(os.path.join(escape(str(folder)), tail.lstrip("".join(SEPARATORS)) or "*"))


def _images(files: Iterable[Path], videos: bool = False) -> tuple[list[Path], str]:
    """The pictures (and videos) among them, sorted, and what the others are, in words."""
    found, others = [], Counter[str]()
    wanted = suffixes() | (VIDEOS - {".ts"} if videos else set())  # TypeScript's suffix, too
    for file in files:
        if file.is_dir():
            others[FOLDER] += 1
        elif file.exists() and not file.is_file():
            others[SPECIAL] += 1  # a pipe or device; a link to nothing is a fault, not this
        elif file.name.startswith("."):
            left_by_macos = file.name.startswith("._")
            others["hidden"] += file.suffix.lower() in suffixes() and not left_by_macos
        elif file.suffix.lower() in wanted or (not file.suffix and _looks_like_one(file)):
            found.append(file)
        else:
            others[file.suffix.lower() or "without a suffix"] += 1
    others += Counter()  # without those that there are none of
    if not others:
        return sorted(found), ""
    named = others.most_common(KINDS)
    kinds = [counted(count, kind) if kind in (FOLDER, SPECIAL) else f"{count} {kind}" for kind, count in named]
    rest = others.total() - sum(count for _, count in named)
    return sorted(found), f"passed over {', '.join([*kinds, counted(rest, 'other')] if rest else kinds)}"


@cache
def suffixes() -> frozenset[str]:
    """What names of pictures end with that can be decoded, in small letters."""
    from PIL import Image

    registered = Image.registered_extensions().items()
    opened = {*Image.OPEN, "MPO"} - NOT_DECODED  # the last are JPEGs, and opened as these
    return frozenset(suffix for suffix, form in registered if form in opened)


def _looks_like_one(file: Path) -> bool:
    """Whether the head of a file is that of a picture."""
    from PIL import Image

    if not file.is_file():
        return False
    try:
        with Image.open(file) as image:
            return image.format not in NOT_DECODED
    except Exception:  # a decoder may raise anything
        return False


def _names_on_stdin() -> list[str]:
    """One a line, or with null bytes between them, as `find -print0` writes them."""
    if sys.stdin.isatty():
        typer.echo("names of pictures, one a line; Ctrl-D ends them:", err=True)
    text = os.fsdecode(sys.stdin.buffer.read())
    if "\ufffd" in text[:100] or text.startswith(("\x89PNG", "\udcff\udcd8", "GIF8", "RIFF", "BM")):
        raise InputError("-: a picture stands on stdin, where names of pictures are read; write it to a file first")
    names = text.split("\0") if "\0" in text else text.replace("\r\n", "\n").split("\n")
    if not any(names):
        raise InputError("-: no names of pictures on stdin; write one a line")
    return [name for name in names if name]


def _advice(path: Path) -> str:
    """The name that was meant, perhaps."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return "check the path"
    near = get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f"did you mean {path.parent / near[0]}?" if near else "check the path"
