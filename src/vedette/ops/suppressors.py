"""Who suppressed whom in `nms` and `soft_nms`, asked afterwards: detection itself pays nothing for it.

Shapes: `B` images, `K` candidates of each, as there.
"""

import torch
from torch import Tensor

from vedette.ops.boxes import iou as pairwise_iou


def suppressors(boxes: Tensor, scores: Tensor, groups: Tensor, keep: Tensor, iou: float) -> Tensor:
    """Who dropped whom: for each candidate that `nms` dropped, the best that stays of its group with IoU > `iou`.

    boxes, scores, groups and iou as they were given to `nms`, keep as it gave it. → (B, K) int64 positions; a candidate
    that stays has its own, padding and what nobody overlaps so much (beyond `enough`) -1.
    """
    exact = boxes.double() if boxes.device.type == "cpu" else boxes.float()  # as in `nms`
    dropped_by = torch.full_like(groups, -1)
    for image, stay in enumerate(row.nonzero().flatten() for row in keep):  # those that stay are few
        if len(stay):
            same = groups[image, stay, None] == groups[image]
            drops = (pairwise_iou(exact[image, stay], exact[image]) > iou) & same
            best, position = torch.where(drops, scores[image, stay, None], 0.0).max(0)  # ties: the first
            dropped_by[image] = torch.where((best > 0) & (scores[image] > 0), stay[position], -1)
            dropped_by[image, stay] = stay
    return dropped_by


def weakeners(boxes: Tensor, scores: Tensor, softened: Tensor, groups: Tensor, rise: float = 0.0) -> Tensor:
    """Who weakened whom most: for each candidate that `soft_nms` weakened, the one before it that overlaps it most.

    boxes, scores and groups as they were given to `soft_nms`, softened as it gave them: a candidate has its turn with
    the score that it ends with, so those with a higher one came before it (ties: the first); rise: from which IoU on
    they weaken. → (B, K) int64 positions; who was not weakened has -1.
    """
    weakest = torch.full_like(groups, -1)
    for image, real in enumerate(scores > 0):
        for group in set(groups[image, real].tolist()):
            own = (real & (groups[image] == group)).nonzero().flatten()
            end, place = softened[image, own], torch.arange(len(own), device=own.device)
            before = (end[:, None] > end) | ((end[:, None] == end) & (place[:, None] < place))
            exact = boxes[image, own].double()
            most, position = torch.where(before, pairwise_iou(exact, exact), 0.0).max(0)
            weakened = (most > 0) & (most >= rise) & (end < scores[image, own])
            weakest[image, own] = torch.where(weakened, own[position], -1)
    return weakest
