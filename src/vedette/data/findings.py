"""What can be wrong with a data set, and what each fault does to a training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from vedette.errors import InputError

LONGEST_LINE, LONGEST_NAME = 600, 60  # letters of a line, and of a class's name in one, on a terminal

Kind = Literal[
    "image without boxes",
    "picture not annotated",
    "picture in two splits",
    "degenerate box",
    "corners exchanged",
    "box outside image",
    "box clipped",
    "duplicate box",
    "image size differs",
    "width and height swapped",
    "wrong unit",
    "unknown class",
    "class left out",
    "class ids numbered",
    "class names alike",
    "several pictures in a file",
    "name collision",
    "missing file",
    "unreadable file",
    "truncated file",
    "rotated by EXIF",
    "annotation unreadable",
    "outline unreadable",
]
STOPS: frozenset[Kind] = frozenset(
    (
        *("unknown class", "missing file", "unreadable file", "truncated file", "annotation unreadable"),
        *("width and height swapped", "wrong unit", "name collision"),
    )
)
CHANGES: dict[Kind, tuple[str, str]] = {  # what is said of one, of several
    "degenerate box": ("degenerate box left out", "degenerate boxes left out"),
    "corners exchanged": (
        "box whose right or lower side came first: its corners are put in order",
        "boxes whose right or lower sides came first: their corners are put in order",
    ),
    "box outside image": ("box outside its image left out", "boxes outside their images left out"),
    "box clipped": ("box clipped to its image", "boxes clipped to their images"),
    "image size differs": (
        "image of another size than annotated: its boxes are scaled with it",
        "images of other sizes than annotated: their boxes are scaled with them",
    ),
}
TOLD: dict[Kind, tuple[str, str]] = {  # read as it is meant; said all the same
    "class left out": ("class left out", "classes left out"),
    "class names alike": (
        "pair of classes whose names differ in capitals or blanks alone: two classes",
        "pairs of classes whose names differ in capitals or blanks alone: two classes each",
    ),
    "class ids numbered": ("file whose class ids are words: numbered", "files whose class ids are words: numbered"),
}


@dataclass(frozen=True)
class Finding:
    """One fault: its kind, the file to look at, and what is the matter."""

    kind: Kind
    file: str
    detail: str

    def __str__(self) -> str:
        return f"{shown(self.file)}: {shown(self.detail)}"


def is_harmful(findings: Iterable[Finding]) -> bool:
    """Whether one of them would change or stop a training."""
    return any(finding.kind in STOPS or finding.kind in CHANGES for finding in findings)


def shown(text: str, most: int = LONGEST_LINE) -> str:
    """A text as one line that any terminal takes: names may hold line breaks, bytes that are no letters, or a novel.

    Of what has more letters than `most`, the beginning and the end, and how many letters are between.
    """
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    if len(line) <= most:
        return line
    head, tail = line[: most * 2 // 3], line[-(most // 3) :]
    return f"{head}… ({len(line) - len(head) - len(tail)} more letters) …{tail}"


def refuse_faults(findings: Iterable[Finding]) -> None:
    """Raises InputError for the first finding that stops a training, with the number of others of its kind."""
    stopping = [finding for finding in findings if finding.kind in STOPS]
    if not stopping:
        return
    first = stopping[0]
    more = sum(finding.kind == first.kind for finding in stopping) - 1
    rest = f" (and {more} more; see vedette data check)" if more else ""
    raise InputError(f"{first}{rest}")


def notes_of(findings: Iterable[Finding], clipped: bool = True) -> tuple[str, ...]:
    """One line for each kind of change that occurs: how often, and where first; clipping unless not `clipped`."""
    found = list(findings)
    notes = []
    for kind, phrases in (CHANGES | TOLD).items():
        these = [finding for finding in found if finding.kind == kind]
        if these and (clipped or kind != "box clipped"):
            first = f"{shown(these[0].file)}, {shown(these[0].detail)}"
            notes.append(f"{len(these)} {phrases[len(these) > 1]} (first: {first})")
    return tuple(notes)
