"""The way of one candidate: from its anchor or region through every move to its end.

    life = life_of(trace, 0)  # of the strongest detection

Boxes are x1 y1 x2 y2 in the picture's pixels.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vedette.glass.levels import Level, levels_of
from vedette.glass.record import REASONS, Reason
from vedette.glass.stage import Stage
from vedette.glass.trace import Pass, Trace
from vedette.ops.boxes import clip, iou, to_centers
from vedette.parts.anchors import Place


@dataclass(frozen=True, eq=False)
class Life:
    """A pair of row and class of a look's last stage."""

    look: Pass
    row: int
    label: int

    @property
    def stage(self) -> Stage:
        """The last one, which gives detections."""
        return self.look.stages[-1]

    @property
    def anchor(self) -> int:
        """Its anchor; selective search's region where there are no anchors."""
        return int(self.stage.source[self.row])

    @property
    def first(self) -> Stage:
        """The stage that it begins in."""
        return self.look.stages[0]

    @property
    def start(self) -> int:
        """Its row there."""
        return self.anchor if len(self.look.stages) > 1 else self.row

    @cached_property
    def place(self) -> tuple[Level, Place] | None:
        """The level and the cell of its anchor; None where regions are given."""
        if self.look.anchors is None:
            return None
        where = self.look.anchors.where(torch.tensor(self.anchor))
        return levels_of(self.look.anchors, self.look.padded)[int(where.level)], where

    @cached_property
    def boxes(self) -> dict[str, Tensor]:
        """(4,) each: where it lay after each of its steps, not cut at the picture before the end."""
        frame, given = self.look.frame, dict[str, Tensor]()
        given[self.first.enter] = frame.boxes(self.first.references[self.start][None])[0]
        if self.first.moved is not None:
            given[f"{self.first.name}refine"] = frame.boxes(self.first.moved[self.start][None])[0]
        own = self.stage.boxes_at(torch.tensor([self.row]), torch.tensor([self.label]))
        given["decode"] = frame.boxes(own)[0]
        return given

    @property
    def end(self) -> Tensor:
        """(4,) the box that it ends as, cut at the picture."""
        width, height = self.look.frame.size.tolist()
        return clip(self.boxes["decode"][None], width, height)[0]

    @property
    def score(self) -> float:
        """Of its class, before Soft-NMS."""
        return float(self.stage.scores[self.row, self.label])

    @property
    def objectness(self) -> float:
        """Of being any object, by whoever was asked first."""
        return float(self.first.objectness[self.start])

    @property
    def fate(self) -> Reason:
        """What became of it."""
        return REASONS[int(self.stage.fates[self.row, self.label])]

    @cached_property
    def others(self) -> list[tuple[int, float]]:
        """The row's other classes with their scores, the best first."""
        best = self.stage.scores[self.row].argsort(descending=True).tolist()
        return [(label, float(self.stage.scores[self.row, label])) for label in best if label != self.label]

    @property
    def rival(self) -> int:
        """Its place among the picked ones; -1 where it was not picked."""
        r = self.stage.rivals
        own = ((r.rows == self.row) & (r.columns == self.label)).nonzero().flatten().tolist()
        return own[0] if own else -1

    @property
    def victims(self) -> Tensor:
        """(N,) places among the picked ones of those that it suppressed or weakened, the best first."""
        r = self.stage.rivals
        own = (r.by == self.rival).nonzero().flatten() if self.rival >= 0 else torch.zeros(0, dtype=torch.int64)
        return own[r.scores[own].argsort(descending=True, stable=True)]


def life_of(trace: Trace, number: int) -> Life:
    """Of the detection of that number; among several looks, of the look that saw it."""
    detections = trace.detections
    if trace.merge is None:
        look, seen = trace.passes[0], (int(detections.source[number]), int(detections.labels[number]))
    else:
        step, row = trace.merge.suppress, trace.merge.row_of(number)
        look = trace.passes[int(trace.merge.looks[row])]
        seen = int(step.source[row]), int(step.labels[row])
    stage = look.stages[-1]
    r = stage.rivals
    source, label = seen
    own = (stage.source[r.rows] == source) & (r.columns == label) & (r.reasons == Reason.KEPT.code)
    return Life(look, int(r.rows[own][0]), label)


def strongest(trace: Trace) -> Life | None:
    """Of the pair of highest score in the first look, found or not; None where there are no rows."""
    scores = trace.passes[0].stages[-1].scores
    if not scores.numel():
        return None
    row, label = divmod(int(scores.argmax()), scores.shape[1])
    return Life(trace.passes[0], row, label)


def shift(before: Tensor, after: Tensor) -> tuple[float, float, float, float]:
    """From one box (4,) to another: pixels right and down, and how many times as wide and as high."""
    (x, y, width, height), (x2, y2, width2, height2) = to_centers(torch.stack([before, after])).tolist()
    return x2 - x, y2 - y, width2 / max(width, 1e-6), height2 / max(height, 1e-6)


def centers_of(boxes: Tensor) -> list[tuple[float, float]]:
    """x and y of the middles of boxes (N, 4)."""
    return [(x, y) for x, y in to_centers(boxes)[:, :2].tolist()]


def overlap(one: Tensor, other: Tensor) -> float:
    """IoU of two boxes (4,)."""
    return float(iou(one[None], other[None])[0, 0])
