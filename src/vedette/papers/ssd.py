"""SSD: a detector in one pass, its anchors on maps of falling size."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vedette.parts.box_coder import BoxCoder
from vedette.parts.detection import Candidates, best_of_each_class, suppress
from vedette.parts.losses import multibox_loss
from vedette.parts.matching import match
from vedette.parts.targets import check_targets, pad_targets
from vedette.structures import Step, Target


class Predictions(NamedTuple):
    """What the network says of every anchor."""

    logits: Tensor  # (B, A, C + 1), background at index 0
    deltas: Tensor  # (B, A, 4), against the anchors
    anchors: Tensor  # (A, 4) of this input's size


def multibox_objective(
    predictions: Predictions,
    targets: Sequence[Target],
    *,
    coder: BoxCoder,
    match_iou: float,
    negative_ratio: float,
    min_negatives: int,
) -> dict[str, Tensor]:
    """Eq. 1, its two parts weighed alike: (L_conf + L_loc) / N, as "class" and "box".

    L_conf is the softmax loss of positives and mined negatives, L_loc is smooth L1; N counts the positives.

    Raises ValueError for targets that do not fit the predictions.
    """
    logits, deltas, anchors = predictions
    check_targets(targets, len(logits), logits.shape[2] - 1)
    boxes, labels, valid, ignore = pad_targets(targets, anchors.device)
    matched = match(anchors, boxes, valid, ignore, match_iou)
    class_loss, box_loss = multibox_loss(
        Step(logits, deltas),
        anchors,
        boxes,
        labels + 1,
        matched,
        torch.ones_like(matched, dtype=torch.bool),
        coder=coder,
        negative_ratio=negative_ratio,
        min_negatives=min_negatives,
    )
    return {"class": class_loss, "box": box_loss}


def find_per_class(
    predictions: Predictions,
    *,
    coder: BoxCoder,
    floor: float,
    candidates: int,
    iou: float,
    keep: int,
    method: Literal["hard", "linear", "gaussian"] = "hard",
) -> Candidates:
    """Section 2.2, "Inference": the best `candidates` of each class into its NMS, the best `keep` of an image."""
    logits, deltas, anchors = predictions

    def decode(source: Tensor) -> Tensor:
        return coder.decode(deltas.gather(1, source[..., None].expand(-1, -1, 4)), anchors[source])

    scores = logits.float().softmax(-1)[..., 1:]
    best = best_of_each_class(scores, decode, floor=floor, count=candidates)
    return suppress(best, iou=iou, keep=keep, floor=floor, method=method)
