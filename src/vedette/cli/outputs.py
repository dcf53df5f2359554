"""What `vedette detect` writes into a folder: a name for each picture, and nothing over a file that is not its own.

`detect.json` there says how it was asked, and which files it wrote or was about to write, of earlier runs too.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from unicodedata import normalize

from vedette.cli.places import check_folder
from vedette.errors import InputError

RESULTS, ROWS, RECORD = "detections.json", "detections.jsonl", "detect.json"
LONGEST = 150  # bytes of a name, which may be 255 with all that is put around it


def name_pictures(files: Sequence[Path], given: dict[str, str]) -> list[str]:
    """The annotated picture's name of each file, no two the same: holiday/1.jpg is 1.jpg.

    Files whose names would be the same have their folder's name before it, then their suffix behind it, then a number.
    given: names of before by a file's real path, which stay.
    """
    ways: list[Callable[[Path], str]] = [
        lambda file: file.stem if file.stem.strip(".") else f"_{file.stem}",  # "..jpg" is a name without a suffix
        lambda file: f"{_folder_of(file)}_{file.stem}",
        lambda file: f"{_folder_of(file)}_{file.stem}_{file.suffix[1:]}",
    ]
    names = [[short(way(file)) for way in ways] for file in files]
    counts = [Counter(folded(of_file[way]) for of_file in names) for way in range(len(ways))]
    taken, found = {folded(name) for name in given.values()}, []
    for file, of_file in zip(files, names, strict=True):
        own = given.get(os.path.realpath(file))
        if own is None:
            alone = (name for name, count in zip(of_file, counts, strict=True) if count[folded(name)] == 1)
            own = _free(next(alone, of_file[-1]), taken)
            taken.add(folded(own))
        found.append(own)
    return found


def read_record(out: Path) -> dict[str, Any] | None:
    """What `detect.json` says, None where there is none; raises InputError for one that is something else."""
    try:
        content = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        content = None
    if not (isinstance(content, dict) and {"settings", "written"} <= content.keys()):
        raise InputError(f"--out {out}: {RECORD} there is not of this command; give another folder")
    return content


def check_places(out: Path, files: Iterable[Path], names: Iterable[str], own: Iterable[str], overwrite: bool) -> None:
    """Raises InputError for a folder of sources, and for files in the way that this command did not write.

    names: what is to be written; own: what was written by it before.
    """
    real = os.path.realpath  # of links that lead back, too
    if real(out) in {folder for file in files for folder in (os.path.dirname(real(file)), real(file.parent))}:
        raise InputError(
            f"--out {out}: images to detect in lie there and must not be written over; give another folder"
        )
    check_folder("--out", out, files=[RESULTS, ROWS, RECORD])
    mine = set(own)
    strange = [name for name in names if name not in mine and os.path.lexists(out / name)] if out.is_dir() else []
    if strange and not overwrite:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise InputError(
            f"--out {out}: {strange[0]}{more} there was not written by this command; give another folder, or write it "
            "over with --overwrite"
        )


def _folder_of(file: Path) -> str:
    return Path(os.path.abspath(file)).parent.name


def _free(name: str, taken: set[str]) -> str:
    """The name with .jpg, numbered from 2 on where another has it."""
    number, free = 2, f"{name}.jpg"
    while folded(free) in taken:
        number, free = number + 1, f"{name}-{number}.jpg"
    return free


def short(name: str) -> str:
    """Cut between letters where it is too long for a file's."""
    while len(os.fsencode(name)) > LONGEST:
        name = name[: min(len(name) - 1, LONGEST)]
    return name


def folded(name: str) -> str:
    """The same for names that some file systems do not tell apart: A and a, é as one sign or two."""
    return normalize("NFC", name).casefold()
