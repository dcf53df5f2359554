"""Where an object was lost: the first step after which nothing is left that would have found it.

What could have found it are the rows whose box reaches it, IoU ≥ 0.5, at some step of their way: as an anchor or
region, after the first move, or at the end, cut at the picture. The object is lost where the last of them is; a box
that ends below 0.5, or nearer to another object of the class, is lost where it is decoded, as it does not find this one
from there on.

Shapes: `A` rows of a stage (anchors, or regions).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.glass.merge import Merge
from vedette.glass.record import REASONS, Reason
from vedette.glass.stage import STEPS, Stage
from vedette.ops.boxes import clip, iou
from vedette.structures import Detections

REACHES = 0.5  # IoU from which on a box is the object's, in VOC's measure
REFINE, FLOOR, DECODE, SUPPRESS, FOUND = (*(STEPS.index(name) for name in ("refine", "floor", "decode", "suppress")), 7)


@dataclass(frozen=True, eq=False)
class Lost:
    """The step that lost an object, and the best candidate for it there; reason KEPT: it was found."""

    reason: Reason
    step: str
    box: Tensor  # (4,) of the best candidate at that step, in the picture's pixels
    iou: float  # of that box with the object
    score: float  # of that candidate: of its class, before there are classes of being an object
    source: int  # its anchor, or selective search's region
    won: int  # the other class of highest score on boxes that reach the object, -1 before there are classes
    won_score: float
    by: Tensor | None  # (4,) what suppressed the candidate
    overlap: float  # IoU of the two
    above: str  # the last step at which that candidate reached the object; "" where it never did
    look: int = 0

    def __str__(self) -> str:
        if self.reason == Reason.KEPT:
            return f"found with IoU {self.iou:.2f} and score {self.score:.2f}"
        return f"{self.step}: {self.reason} (best IoU {self.iou:.2f}, score {self.score:.2f})"


class Reach(NamedTuple):
    """IoU of the rows with the object along their way, each (A,)."""

    first: Tensor  # as anchors or regions
    moved: Tensor  # after the first move
    final: Tensor  # as boxes of its class, cut at the picture
    nearest: Tensor  # (A,) bool: of the objects of its class, the final box overlaps this one most

    @property
    def best(self) -> Tensor:
        """(A,) the highest of them."""
        return torch.stack((self.first, self.moved, self.final)).amax(0)

    @property
    def finds(self) -> Tensor:
        """(A,) bool: rows that would find the object if they were kept."""
        return (self.final >= REACHES) & self.nearest


def check_object(box: Tensor | Sequence[float], label: int, classes: int) -> Tensor:
    """(1, 4) the box of an object; raises InputError for one without area, or a label that there is not."""
    given = torch.as_tensor(box, dtype=torch.float32).cpu()
    if given.shape != (4,) or not bool((given[2:] > given[:2]).all()):
        raise InputError(f"box is {given.tolist()}: give x1, y1, x2, y2 in pixels, x1 < x2 and y1 < y2")
    if not 0 <= label < classes:
        raise InputError(f"label is {label}: this detector has 0 to {classes - 1}")
    return given[None]


def lost_in_stages(stages: Sequence[Stage], box: Tensor, label: int, others: Tensor | None = None) -> Lost:
    """Where the stages of one look lost the object in the box (1, 4).

    others (N, 4): the other objects of its class; a box that overlaps one of them more is that one's.
    """
    last = stages[-1]
    reach = reach_of(last, box, label, others)
    if len(stages) == 1 or bool((reach.best >= REACHES).any()):
        return _lost_in(last, reach, label)
    return _lost_in(stages[0], reach_of(stages[0], box, 0), 0)


def lost_in_merge(merge: Merge, detections: Detections, box: Tensor, label: int, seen: Lost) -> Lost:
    """Where several looks' merging lost the object in the box (1, 4) that one of them had `seen`."""
    step = merge.suppress
    reaches = iou(step.boxes, box)[:, 0] * (step.labels == label)
    final = iou(detections.boxes, box)[:, 0] * (detections.labels == label)
    if bool((final >= REACHES).any()):
        row = int(final.argmax())
        score, box = float(detections.scores[row]), detections.boxes[row]
        return replace(seen, step=merge.keep.name, iou=float(final[row]), score=score, box=box)
    near = torch.where(reaches >= REACHES, step.after, -1.0)
    row = int(near.argmax())
    by, last = int(step.by[row]), merge.keep.rows == row
    if bool(step.kept[row]):
        reason = REASONS[int(merge.keep.reasons[last][0])]
        name = merge.keep.name if reason != Reason.KEPT else "vote"
        return replace(seen, step=name, reason=Reason.MISPLACED if reason == Reason.KEPT else reason)
    return replace(
        seen,
        reason=step.reason(row),
        step=step.name,
        box=step.boxes[row],
        iou=float(reaches[row]),
        score=float(step.scores[row]),
        source=int(step.source[row]),
        by=None if by < 0 else step.boxes[by],
        overlap=float(step.overlap[row]),
        look=int(merge.looks[row]),
    )


def reach_of(stage: Stage, box: Tensor, column: int, others: Tensor | None = None) -> Reach:
    """How near the rows of a stage come to the box (1, 4) on their way; others (N, 4): of objects of its class."""
    boxes = clip(stage.boxes_of(column), *stage.frame.size.tolist())
    final = iou(boxes, box)[:, 0]
    beside = torch.zeros_like(final) if others is None or not len(others) else iou(boxes, others).amax(1)
    first = iou(stage.frame.boxes(stage.references), box)[:, 0]
    moved = first if stage.moved is None else iou(stage.frame.boxes(stage.moved), box)[:, 0]
    return Reach(first, moved, final, final >= beside)


def _lost_in(stage: Stage, reach: Reach, column: int) -> Lost:
    reaching = reach.best >= REACHES
    if not bool(reaching.any()):
        return _unreached(stage, reach)
    depth = stage.lost_in[:, column].long()
    ends_apart = (depth > DECODE) & ~reach.finds
    depth = torch.where(ends_apart, DECODE, depth)
    deepest = int(depth[reaching].max())
    here = reaching & (depth == deepest)
    measure = {REFINE: stage.objectness, FLOOR: stage.scores[:, column]}.get(deepest, reach.final)
    row = int(torch.where(here, measure, -1.0).argmax())
    reason = Reason.MISPLACED if bool(ends_apart[row]) else REASONS[int(stage.fates[row, column])]
    return _told(stage, reach, row, column, deepest, reason)


def _unreached(stage: Stage, reach: Reach) -> Lost:
    """No anchor, or region, comes near."""
    row = int(reach.first.argmax()) if len(reach.first) else -1
    nothing = row < 0
    return Lost(
        reason=Reason.NO_ANCHOR,
        step=stage.enter,
        box=torch.zeros(4) if nothing else stage.frame.boxes(stage.references[row : row + 1])[0],
        iou=0.0 if nothing else float(reach.first[row]),
        score=0.0 if nothing else float(stage.objectness[row]),
        source=-1 if nothing else int(stage.source[row]),
        won=-1,
        won_score=0.0,
        by=None,
        overlap=0.0,
        above="",
    )


def _told(stage: Stage, reach: Reach, row: int, column: int, depth: int, reason: Reason) -> Lost:
    """The best candidate for the object at the step of that depth, as a record."""
    early = depth == REFINE and stage.moved is not None
    boxes = stage.frame.boxes(stage.moved[row : row + 1]) if early and stage.moved is not None else None
    own = stage.boxes_of(column)[row : row + 1] if boxes is None else boxes
    won, won_score = _winner(stage, reach, column)
    by, overlap = _suppressor(stage, row, column) if depth == SUPPRESS else (None, 0.0)
    return Lost(
        reason=reason if stage.last or reason == Reason.MISPLACED else Reason.NOT_PROPOSED,
        step=stage.name + STEPS[min(depth, len(STEPS) - 1)],
        box=own[0],
        iou=float((reach.moved if early else reach.final)[row]),
        score=float(stage.objectness[row] if early else stage.scores[row, column]),
        source=int(stage.source[row]),
        won=won,
        won_score=won_score,
        by=by,
        overlap=overlap,
        above=_last_above(stage, reach, row),
    )


def _winner(stage: Stage, reach: Reach, column: int) -> tuple[int, float]:
    """The other class of highest score on the rows that reach the object, and that score."""
    if not stage.last or stage.scores.shape[1] < 2:
        return -1, 0.0
    scores = stage.scores[reach.best >= REACHES].index_fill(1, torch.tensor([column]), -1.0).amax(0)
    return int(scores.argmax()), float(scores.max())


def _suppressor(stage: Stage, row: int, column: int) -> tuple[Tensor | None, float]:
    """The box that suppressed a pair, in the picture's pixels, and their IoU."""
    r = stage.rivals
    place = int(((r.rows == row) & (r.columns == column)).nonzero()[0])
    by = int(r.by[place])
    return (None, 0.0) if by < 0 else (stage.frame.boxes(r.boxes[by : by + 1])[0], float(r.overlap[place]))


def _last_above(stage: Stage, reach: Reach, row: int) -> str:
    if reach.final[row] >= REACHES:
        return stage.name + "decode"
    if stage.moved is not None and reach.moved[row] >= REACHES:
        return stage.name + "refine"
    return stage.enter if reach.first[row] >= REACHES else ""
