"""What the glass box tells: a step's candidates with what became of each, and where an object was lost.

Shapes: `N` rows of a step. Everything is on the CPU, boxes are x1 y1 x2 y2 in the picture's pixels.
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor


class Reason(StrEnum):
    """What became of a candidate, or of an object."""

    KEPT = "kept"
    EASY = "filtered as easy"  # the ARM is sure that it is background
    SMALL = "too small"  # a side is below the least, or there is no area
    UNDER_FLOOR = "under the floor"  # its score is below the one asked for
    BEYOND_COUNT = "beyond the best that are picked"  # of its image, class or level
    SUPPRESSED = "suppressed"  # by a better one of its class that it overlaps
    WEAKENED = "weakened under the floor"  # Soft-NMS, the same
    BEYOND_KEEP = "beyond the best that are kept"
    OUTSIDE = "outside the picture"
    # of objects alone
    NO_ANCHOR = "no anchor or region reaches it"
    NOT_PROPOSED = "not proposed"
    MISPLACED = "badly placed"

    @property
    def code(self) -> int:
        """Its number in tensors and in JSON."""
        return _CODES[self]


REASONS = tuple(Reason)
_CODES = {reason: code for code, reason in enumerate(REASONS)}


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the way: what came in, what went on, and why the rest did not.

    A row is an anchor or a region where classes do not matter yet (label -1), else a pair of it and a class. Who is not
    among the rows was lost in an earlier step.
    """

    name: str
    boxes: Tensor  # (N, 4) as the step sees them
    scores: Tensor  # (N,) of being an object, then of the class
    kept: Tensor  # (N,) bool: goes on
    rows: Tensor  # (N,) int64 row among the anchors; behind the proposals, among these
    source: Tensor  # (N,) int64 index of the anchor, or of selective search's region
    labels: Tensor  # (N,) int64, -1 before there are classes
    reasons: Tensor  # (N,) uint8 codes: KEPT where it goes on
    by: Tensor  # (N,) int64 the row of this step that suppressed or weakened it, -1 nobody
    overlap: Tensor  # (N,) IoU with that one, else 0
    after: Tensor  # (N,) scores with which they go on: Soft-NMS weakens them
    look: int = 0  # which look at the picture

    def __len__(self) -> int:
        return len(self.scores)

    def reason(self, row: int) -> Reason:
        """What became of a row."""
        return REASONS[int(self.reasons[row])]

    def counts(self) -> dict[Reason, int]:
        """How many rows each reason has, those that it has."""
        numbers = torch.bincount(self.reasons.long(), minlength=len(REASONS)).tolist()
        return {reason: number for reason, number in zip(REASONS, numbers, strict=True) if number}

    def __str__(self) -> str:
        lost = ", ".join(f"{number} {reason}" for reason, number in self.counts().items() if reason != Reason.KEPT)
        return f"{self.name}: {len(self)} in, {int(self.kept.sum())} on{'; ' + lost if lost else ''}"
