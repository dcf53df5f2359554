"""What suppression made of every candidate, and who did it: asked of the functions that suppress.

Shapes: `K` candidates of one picture, padded.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from vedette.glass.record import Reason
from vedette.ops.boxes import iou as pairwise_iou
from vedette.ops.nms import nms, soft_nms
from vedette.ops.suppressors import suppressors, weakeners
from vedette.parts.config import Suppression
from vedette.parts.detection import Found, at_least


class Outcome(NamedTuple):
    """Of each candidate, on the CPU."""

    after: Tensor  # (K,) float32 its score after Soft-NMS
    reasons: Tensor  # (K,) uint8
    by: Tensor  # (K,) int64 who suppressed or weakened it, -1 nobody
    overlap: Tensor  # (K,) IoU with that one, else 0


def outcome_of(found: Found, *, iou: float, method: Suppression, floor: float) -> Outcome:
    """Of the one picture of a record; NMS without its limit to what is wanted, so that nobody is left untold.

    Soft-NMS weakens a candidate many times: who overlaps it most is told.
    """
    boxes, scores, groups, _ = found.candidates
    if method == "hard":
        after, stays = scores, nms(boxes, scores, groups, iou)
        by = suppressors(boxes, scores, groups, stays, iou)
        out = Reason.SUPPRESSED
    else:
        after = soft_nms(boxes, scores, groups, method=method, iou=iou)
        stays = at_least(after, floor) > 0
        by = weakeners(boxes, scores, after, groups, iou if method == "linear" else 0.0)
        out = Reason.WEAKENED
    kept = torch.zeros_like(stays).scatter(1, found.places, found.kept.scores > 0)
    reasons = torch.full_like(by, Reason.KEPT.code, dtype=torch.uint8)
    reasons[~kept] = Reason.BEYOND_KEEP.code
    reasons[~stays] = out.code
    reasons[scores <= 0] = Reason.SMALL.code
    by = torch.where(by == torch.arange(by.shape[1], device=by.device), -1, by)[0].cpu()
    return Outcome(after[0].float().cpu(), reasons[0].cpu(), by, _overlap_with(boxes[0].cpu(), by))


def _overlap_with(boxes: Tensor, by: Tensor) -> Tensor:
    """(K,) IoU of each box (K, 4) with that one's, 0 for nobody's."""
    own = pairwise_iou(boxes[:, None].double(), boxes[by.clamp(min=0)][:, None].double())[:, 0, 0]
    return torch.where(by >= 0, own, 0.0).float()
