"""From the scores of all anchors to the detections of a batch, with static shapes all the way.

Shapes: `B` images, `A` anchors, `C` classes, `K` candidates an image, `N` detections of one image.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.ops.nms import nms, soft_nms
from vedette.structures import Detections


class Candidates(NamedTuple):
    """The best of an image, padded: a score of 0 means there is none."""

    boxes: Tensor  # (B, K, 4)
    scores: Tensor  # (B, K)
    labels: Tensor  # (B, K) int64
    source: Tensor  # (B, K) int64, index of the anchor

    def take(self, order: Tensor) -> "Candidates":
        """The candidates at (B, N) positions."""
        boxes = self.boxes.gather(1, order[..., None].expand(-1, -1, 4))
        scores, labels, source = (t.gather(1, order) for t in (self.scores, self.labels, self.source))
        return Candidates(boxes, scores, labels, source)


def check_score(score: float) -> None:
    """Raises InputError (a ValueError) for a least score that is not from 0 to 1."""
    if not isinstance(score, int | float) or not 0 <= score <= 1:  # NaN is not either
        raise InputError(f"score is {score!r}: give a number from 0 to 1")


def best_candidates(scores: Tensor, decode: Callable[[Tensor], Tensor], *, floor: float, count: int) -> Candidates:
    """The `count` best pairs of anchor and class above `floor` in each image.

    scores (B, A, C) without background; decode turns (B, K) anchor indices into (B, K, 4) boxes, so that only boxes
    that can be found are decoded.
    """
    num_classes = scores.shape[2]
    count = min(count, scores.shape[1] * num_classes)
    best, pair = torch.where(scores > floor, scores, 0.0).flatten(1).topk(count)
    source = pair // num_classes
    return Candidates(decode(source), best, pair % num_classes, source)


def best_of_each_class(scores: Tensor, decode: Callable[[Tensor], Tensor], *, floor: float, count: int) -> Candidates:
    """The `count` best anchors above `floor` of each class in each image, class by class: K is C × `count`.

    scores and decode as in `best_candidates`.
    """
    anchors, num_classes = scores.shape[1:]
    by_class = torch.where(scores > floor, scores, 0.0).transpose(1, 2).contiguous()  # topk is far slower on strides
    best, source = by_class.topk(min(count, anchors))  # (B, C, count)
    labels = torch.arange(num_classes, device=scores.device)[:, None].expand_as(source)
    boxes = decode(source.flatten(1))
    return Candidates(boxes, best.flatten(1), labels.flatten(1), source.flatten(1))


def suppress(
    candidates: Candidates,
    *,
    iou: float,
    keep: int,
    floor: float,
    method: Literal["hard", "linear", "gaussian"] = "hard",
) -> Candidates:
    """Per-class NMS, hard or soft, and the `keep` best of what stays, in descending order of score."""
    boxes, scores, labels, _ = candidates
    if method == "hard":
        scores = torch.where(nms(boxes, scores, labels, iou, enough=keep), scores, 0.0)
    else:
        softened = soft_nms(boxes, scores, labels, method=method, iou=iou)
        scores = torch.where(softened > floor, softened, 0.0)
    best, order = scores.topk(min(keep, scores.shape[1]))
    return candidates.take(order)._replace(scores=best)


def unpad(candidates: Candidates) -> list[Detections]:
    """Each image's detections without the padding."""
    counts: list[int] = (candidates.scores > 0).sum(1).tolist()
    return [
        Detections(boxes=boxes[:n].float(), scores=scores[:n].float(), labels=labels[:n], source=source[:n])
        for n, boxes, scores, labels, source in zip(counts, *candidates, strict=True)
    ]
