"""The multibox loss: softmax over the classes of positives and mined negatives, smooth L1 on the deltas of positives.

Shapes: `B` images, `A` anchors, `G` padded ground-truth boxes, `C` classes.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from vedette.ops.boxes import exact
from vedette.parts.box_coder import BoxCoder, Coder
from vedette.parts.matching import NEGATIVE
from vedette.structures import HeadOutput


class Step(Protocol):
    """What a batch is a part of: of several batches, in several processes, it is train/together.py's."""

    def total(self, number: Tensor, /) -> Tensor: ...
    def gather(self, values: Tensor, /) -> Tensor: ...


class OneBatch:
    """A step that is a single batch."""

    def total(self, number: Tensor) -> Tensor:
        """What a loss is divided by, from this batch's number of what is counted."""
        return number.clamp(min=1)

    def gather(self, values: Tensor) -> Tensor:
        """(N,) of this process → those of all, one after the other."""
        return values


current_step: list[Step] = [OneBatch()]  # the last of them is


def total_of(number: Tensor) -> Tensor:
    """N of a loss, at least 1, from this batch's; where a step is more than a batch, that of the whole step."""
    return current_step[-1].total(number)


def multibox_loss(
    output: HeadOutput,
    anchors: Tensor,
    boxes: Tensor,
    labels: Tensor,
    matched: Tensor,
    minable: Tensor | None = None,
    *,
    coder: BoxCoder,
    negative_ratio: float,
    min_negatives: int,
) -> tuple[Tensor, Tensor]:
    """Classification and box loss of a head's output, each a scalar divided by the step's positives N (SSD, eq. 1).

    anchors (A, 4) or (B, A, 4); boxes (B, G, 4); labels (B, G) as indices of the logits, 1..C; matched (B, A) from
    `match`; minable (B, A) bool: negatives outside it are not mined, None: all may; N counts as 1 if nothing matched.
    """
    positive = matched >= 0
    number = positive.sum(1)  # (B,)
    loss = class_loss(output.logits, gather_labels(labels, matched))  # (B, A)
    negative = matched == NEGATIVE
    negative = negative if minable is None else negative & minable
    negative = mine_hard_negatives(loss, negative, number, negative_ratio, min_negatives)
    chosen = torch.where(positive | negative, loss, 0.0)
    total = total_of(number.sum())
    return chosen.sum() / total, box_loss(output.deltas, anchors, boxes, matched, coder) / total


def mine_hard_negatives(
    loss: Tensor, candidates: Tensor, positives: Tensor, ratio: float = 3.0, min_negatives: int = 0
) -> Tensor:
    """The negatives of highest loss, `ratio` for each positive of their image (SSD, section 2.2).

    loss (B, A), no gradient needed; candidates (B, A) bool: which anchors may be mined; positives (B,) their number in
    each image. An image gets at least `min_negatives`: with the ratio alone one without objects would teach nothing.
    → (B, A) bool; ties go to whichever the sort puts first, the count is exact.
    """
    wanted = (positives * ratio).long().clamp(min=min_negatives)  # (B,)
    order = loss.detach().masked_fill(~candidates, -torch.inf).argsort(1, descending=True)
    rank = torch.arange(loss.shape[1], device=loss.device)
    hardest = torch.zeros_like(candidates).scatter(1, order, rank < wanted[:, None])
    return hardest & candidates


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """(B, A, C + 1) logits, (B, A) labels → (B, A) softmax cross-entropy, in float32 or better."""
    loss = F.cross_entropy(exact(logits).flatten(0, 1), labels.flatten(), reduction="none")
    return loss.view(labels.shape)


def box_loss(
    deltas: Tensor, anchors: Tensor, boxes: Tensor, matched: Tensor, coder: Coder, beta: float = 1.0
) -> Tensor:
    """Sum of smooth L1 over the positives' four deltas; no boolean indexing, so nothing waits for the host.

    beta: from which difference on it is linear.
    """
    if boxes.shape[1] == 0:
        return exact(deltas[:, :0]).sum()
    positive = (matched >= 0)[..., None]
    own = boxes.gather(1, matched.clamp(min=0)[..., None].expand(-1, -1, 4))
    wanted = torch.where(positive, coder.encode(own, anchors), 0.0)  # a NaN of a negative would be one of the gradient
    loss = F.smooth_l1_loss(exact(deltas), wanted, reduction="none", beta=beta)
    return torch.where(positive, loss, 0.0).sum()


def gather_labels(labels: Tensor, matched: Tensor) -> Tensor:
    """(B, G) labels 1..C, (B, A) matches → (B, A) class to learn, 0 (background) where nothing matched."""
    if labels.shape[1] == 0:
        return torch.zeros_like(matched)
    return labels.gather(1, matched.clamp(min=0)) * (matched >= 0)
