"""One `find` under glass: what became of every pair of row and class, told from the record that it left.

Shapes: `A` rows (anchors, or regions), `C` classes, `K` candidates that were picked. Of one picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from vedette.glass.frame import Frame
from vedette.glass.outcome import outcome_of
from vedette.glass.record import Reason, Step
from vedette.parts.detection import Found, Search, at_least

STEPS = ("refine", "floor", "pick", "decode", "suppress", "keep", "frame")
LOST_IN = {  # which of them a pair is lost in; in the first, rows are lost as the stage says
    Reason.UNDER_FLOOR: 1,
    Reason.BEYOND_COUNT: 2,
    Reason.SMALL: 3,
    Reason.SUPPRESSED: 4,
    Reason.WEAKENED: 4,
    Reason.BEYOND_KEEP: 5,
    Reason.OUTSIDE: 6,
    Reason.KEPT: 7,
}


class Rivals(NamedTuple):
    """The picked candidates, and what suppression made of them."""

    rows: Tensor  # (K,) int64
    columns: Tensor  # (K,) int64, which of the C
    boxes: Tensor  # (K, 4) input pixels
    scores: Tensor  # (K,)
    after: Tensor  # (K,) what Soft-NMS leaves of them
    reasons: Tensor  # (K,) uint8
    by: Tensor  # (K,) int64, -1 nobody
    overlap: Tensor  # (K,) IoU with that one


@dataclass(frozen=True, eq=False)
class Stage:
    """The rows that went into a `find`, what it said of them, and its record."""

    enter: str  # the name of its first step: anchors, or regions
    name: str  # what the names of its other steps begin with
    found: Found
    frame: Frame
    references: Tensor  # (A, 4) input pixels: anchors or proposals
    moved: Tensor | None  # (A, 4) input pixels: after the first move, where there is one
    objectness: Tensor  # (A,) of being an object; 1 where nobody was asked
    scores: Tensor  # (A, C) before any row is barred
    source: Tensor  # (A,) int64 index of the anchor or of selective search's region
    emptiness: Tensor | None = None  # (A,) RefineDet: of being background, says the ARM; rows above theta are barred
    theta: float | None = None
    barred_as: Reason = Reason.EASY  # why rows are left out before the scores count
    last: bool = True  # what it keeps are detections

    @property
    def search(self) -> Search:
        """What `find` was given."""
        if self.found.search is None:
            raise ValueError("this find left no record: it was compiled")
        return self.found.search

    @cached_property
    def barred(self) -> Tensor:
        """(A,) bool: rows that `find` was given with scores of 0, though they have others."""
        given = self.search.scores[0, : len(self.scores)].float().cpu()
        return ((given <= 0) & (self.scores > 0)).any(1)

    @cached_property
    def rivals(self) -> Rivals:
        """What was picked, and what suppression made of it."""
        s, candidates = self.search, self.found.candidates
        outcome = outcome_of(self.found, iou=s.iou, method=s.method, floor=s.floor)
        there = (s.picked.scores > 0)[0].cpu()
        number = there.cumsum(0) - 1  # of each candidate without the padding
        boxes, scores, rows, groups = (
            x[0].cpu()[there] for x in (candidates.boxes, s.picked.scores, s.picked.rows, s.picked.labels)
        )
        after, reasons, by, overlap = (x[there] for x in outcome)
        if self.last:
            gone = (reasons == Reason.KEPT.code) & ~self.frame.visible(boxes)
            reasons[gone] = Reason.OUTSIDE.code
        after = torch.where(reasons == Reason.SMALL.code, scores.float(), after)
        by = torch.where(by >= 0, number[by.clamp(min=0)], -1)
        columns = groups if self.scores.shape[1] > 1 else torch.zeros_like(groups)
        return Rivals(rows, columns, boxes.float(), scores.float(), after, reasons, by, overlap)

    @cached_property
    def fates(self) -> Tensor:
        """(A, C) uint8: the reason of every pair of row and class."""
        given = self.search.scores[0, : len(self.scores)].nan_to_num(0.0).cpu()
        above = at_least(given, self.search.floor) > 0
        fates = torch.where(above, Reason.BEYOND_COUNT.code, Reason.UNDER_FLOOR.code).to(torch.uint8)
        fates[self.barred] = self.barred_as.code
        fates[self.rivals.rows, self.rivals.columns] = self.rivals.reasons
        return fates

    @cached_property
    def lost_in(self) -> Tensor:
        """(A, C) uint8: which of STEPS each pair was lost in, as many as there are where it was kept."""
        table = torch.zeros(len(Reason), dtype=torch.uint8)
        for reason, step in LOST_IN.items():
            table[reason.code] = step
        return torch.where(self.barred[:, None], 0, table[self.fates.long()])

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """How many rows each level has, where candidates are picked by levels; else ()."""
        pick = self.search.pick
        return tuple(pick.keywords.get("levels", ())) if isinstance(pick, partial) else ()

    def level_of(self, rows: Tensor) -> Tensor:
        """(N,) the level of rows, where candidates are picked by levels; else 0."""
        if not self.level_sizes:
            return torch.zeros_like(rows)
        return torch.bucketize(rows, torch.tensor([*accumulate(self.level_sizes)]), right=True)

    def boxes_at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(N, 4) the final boxes of pairs, in the input's pixels, by the model's own function."""
        device = self.search.scores.device
        with torch.inference_mode():
            return self.search.boxes_at(rows[None].to(device), columns[None].to(device))[0].float().cpu()

    def boxes_of(self, column: int) -> Tensor:
        """(A, 4) the final boxes of all rows for one class, in the picture's pixels."""
        rows = torch.arange(len(self.scores))
        return self.frame.boxes(self.boxes_at(rows, torch.full_like(rows, column)))

    @property
    def names(self) -> list[str]:
        """Of its steps, those that only some detectors have among them."""
        return [self.enter, *(self.name + step for step in STEPS)]

    def steps(self) -> Iterator[Step]:
        """From the anchors or regions to what is kept of them."""
        rows = torch.arange(len(self.scores))
        yield plain_step(self.enter, self.frame.boxes(self.references), self.objectness, rows, self.source)
        if self.moved is not None:
            yield self._refine(self.moved)
        for number, name in enumerate(STEPS[1 : 7 if self.last else 6], 1):
            if number > 2:
                yield self._of_rivals(number, self.name + name)
            elif number > 1 or self.last or bool((self.lost_in == number).any()):  # the RPN has no floor
                yield self._of_pairs(number, self.name + name)

    def _refine(self, moved: Tensor) -> Step:
        rows = torch.arange(len(moved))
        reasons = torch.where(self.barred, self.barred_as.code, Reason.KEPT.code).to(torch.uint8)
        return plain_step(self.name + "refine", self.frame.boxes(moved), self.objectness, rows, self.source, reasons)

    def _of_pairs(self, number: int, name: str) -> Step:
        """A step before boxes are decoded: all pairs that came so far."""
        rows, columns = (self.lost_in >= number).nonzero(as_tuple=True)
        reasons = torch.where(self.lost_in[rows, columns] > number, Reason.KEPT.code, self.fates[rows, columns])
        boxes, scores = self.frame.boxes(self.boxes_at(rows, columns)), self.scores[rows, columns]
        labels = columns if self.last else torch.full_like(columns, -1)
        return plain_step(name, boxes, scores, rows, self.source[rows], reasons, labels)

    def _of_rivals(self, number: int, name: str) -> Step:
        """A step of the picked ones."""
        r = self.rivals
        lost_in = self.lost_in[r.rows, r.columns]
        here = lost_in >= number
        place = torch.where(here, here.cumsum(0) - 1, -1)
        acted = here & (r.by >= 0) & (number == STEPS.index("suppress"))
        by, overlap = torch.where(acted, place[r.by.clamp(min=0)], -1), torch.where(acted, r.overlap, 0.0)
        before, after = (r.scores, r.after) if number <= 4 else (r.after, r.after)
        return Step(
            name=name,
            boxes=self.frame.boxes(r.boxes[here]),
            scores=before[here],
            kept=(lost_in > number)[here],
            rows=r.rows[here],
            source=self.source[r.rows[here]],
            labels=r.columns[here] if self.last else torch.full_like(r.columns[here], -1),
            reasons=torch.where(lost_in > number, Reason.KEPT.code, r.reasons)[here].to(torch.uint8),
            by=by[here],
            overlap=overlap[here],
            after=(after if number >= 4 else before)[here],
        )


def plain_step(
    name: str,
    boxes: Tensor,
    scores: Tensor,
    rows: Tensor,
    source: Tensor,
    reasons: Tensor | None = None,
    labels: Tensor | None = None,
) -> Step:
    """A step in which nobody is lost by another; without reasons all go on."""
    codes = torch.full_like(rows, Reason.KEPT.code, dtype=torch.uint8) if reasons is None else reasons.to(torch.uint8)
    nobody = torch.full_like(rows, -1)
    return Step(
        name=name,
        boxes=boxes,
        scores=scores,
        kept=codes == Reason.KEPT.code,
        rows=rows,
        source=source,
        labels=nobody if labels is None else labels,
        reasons=codes,
        by=nobody,
        overlap=torch.zeros(len(rows)),
        after=scores,
    )
