"""Several looks at a picture under glass: who saw what, what suppressed it among all looks, and whose votes count.

Shapes: `K` detections of all looks, one look after another, `N` kept of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vedette.glass.outcome import outcome_of
from vedette.glass.record import Reason, Step
from vedette.infer.multiscale import Suppresses, suppress_passes, votes
from vedette.structures import Detections


@dataclass(frozen=True, eq=False)
class Merge:
    """What became of the detections of all looks."""

    looks: Tensor  # (K,) int64 which look saw it
    suppress: Step  # of the K, boxes in the picture's pixels
    keep: Step
    votes: Tensor | None  # (N, K) how much each counts for where a kept one lies; None where nobody votes

    @property
    def steps(self) -> tuple[Step, Step]:
        """Both."""
        return self.suppress, self.keep

    def row_of(self, number: int) -> int:
        """The row among the K of the detection of that number."""
        best = torch.where(self.keep.kept, self.keep.after, -1.0).argsort(descending=True, stable=True)
        return int(self.keep.rows[best[number]])


def merge_of(looks: Sequence[Detections], model: nn.Module, score: float, vote: bool) -> Merge:
    """The record of what `infer.multiscale.merge` does with these."""
    config: Suppresses = model.config  # type: ignore[assignment]
    found = suppress_passes([[one] for one in looks], model, score)
    own = outcome_of(found, iou=config.nms_iou, method=config.nms, floor=score)
    boxes, scores, labels = (column[0] for column in found.candidates[:3])
    rows, source = torch.arange(len(scores)), torch.cat([one.source for one in looks])
    stays = (own.reasons == Reason.KEPT.code) | (own.reasons == Reason.BEYOND_KEEP.code)
    kept = own.reasons == Reason.KEPT.code
    nobody = torch.full_like(rows, -1)

    def step(name: str, here: Tensor, on: Tensor, by: Tensor, before: Tensor) -> Step:
        codes = torch.where(on, Reason.KEPT.code, own.reasons).to(torch.uint8)
        return Step(
            name=name,
            boxes=boxes[here],
            scores=before[here],
            kept=on[here],
            rows=rows[here],
            source=source[here],
            labels=labels[here],
            reasons=codes[here],
            by=by[here],
            overlap=torch.where(by >= 0, own.overlap, 0.0)[here],
            after=own.after[here],
        )

    return Merge(
        looks=torch.cat([torch.full((len(one),), look) for look, one in enumerate(looks)]),
        suppress=step("merge suppress", torch.ones_like(stays), stays, own.by, scores),
        keep=step("merge keep", stays, kept, nobody, own.after),
        votes=votes(found.kept, found.candidates)[0][found.kept.scores[0] > 0] if vote else None,
    )
