"""What the verbs on data have in common: faults as lines, and a bar over the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from vedette.cli.progress import Progress

if TYPE_CHECKING:
    from vedette.data.findings import Finding

SHOWN = 5  # findings of a kind on the screen; --json has all

KEPT = "written are boxes, classes, flags, outlines and keypoints; other fields of the source are not"
BOXES_ALONE = "written are boxes, classes and flags; outlines, keypoints and other fields of the source are not"


def finding_lines(findings: Sequence[Finding]) -> Iterable[str]:
    """A heading for each kind that occurs, and the first findings under it."""
    for kind in dict.fromkeys(finding.kind for finding in findings):
        these = [finding for finding in findings if finding.kind == kind]
        yield f"{kind}: {len(these)}"
        for finding in these[:SHOWN]:
            yield f"  {finding}"
        if len(these) > SHOWN:
            yield f"  and {len(these) - SHOWN} more (--json FILE lists all)"


def watched(files: list[str]) -> Iterator[str]:
    """The files again, with a bar on a terminal's stderr."""
    with Progress(len(files), "images") as bar:
        for file in files:
            yield file
            bar.advance()
