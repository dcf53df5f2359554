"""Non-maximum suppression of a whole batch at once, hard and soft.

Shapes: `B` images, `K` candidates an image. A candidate suppresses only candidates of its own image and group (its
class). Every function has static shapes: it returns a mask or new scores for the K candidates, never a shorter list.
"""

from typing import Literal

import torch
import torchvision.ops
from torch import Tensor

from vedette.ops.boxes import iou as pairwise_iou

CROWD = 1000  # candidates of one image from which on a call for each group is faster than one for all


def nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, enough: int | None = None) -> Tensor:
    """Greedy hard NMS: which candidates stay.

    boxes (B, K, 4) pixels; scores (B, K); groups (B, K) int64; candidates with a score of 0 or less are padding and
    never stay. One is dropped where a better one that stays (ties: the first), of the same group, overlaps it with
    IoU > `iou`. enough: how many of an image are wanted; beyond its best so many, some that stay may be missing.
    → (B, K) bool.
    """
    keep: Tensor = torch.ops.vedette.nms(boxes, scores, groups, iou, scores.shape[1] if enough is None else enough)
    return keep


@torch.library.custom_op("vedette::nms", mutates_args=())
def _nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, enough: int) -> Tensor:
    """torchvision's kernel behind a static shape, so that a compiled `detect` holds it as one opaque step."""
    keep = torch.zeros(scores.shape, dtype=torch.bool, device=boxes.device)
    if scores.numel() == 0:
        return keep
    if boxes.is_cuda:
        image = torch.arange(len(boxes), device=boxes.device)[:, None]
        apart = _move_apart(boxes, image * (groups.amax() + 1) + groups)
        keep.view(-1)[torchvision.ops.nms(apart.flatten(0, 1), scores.flatten().double(), iou)] = True
        return keep & (scores > 0)
    for row in range(len(boxes)):  # on the CPU the kernel compares all pairs: image by image is B times less work
        order = scores[row].argsort(descending=True, stable=True)
        order = order[scores[row, order] > 0]
        sorted_ = (boxes[row, order].double(), scores[row, order].double(), groups[row, order])
        keep[row, order[_best_that_stay(*sorted_, iou, enough)]] = True
    return keep


def _best_that_stay(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, enough: int) -> Tensor:
    """Positions of at least the best `enough` that stay, of one image's candidates from the best down.

    What stays of the first candidates does not depend on the rest, so more of them are taken until enough stay.
    """
    taken = 4 * enough
    while True:
        stay = _nms_of_image(boxes[:taken], scores[:taken], groups[:taken], iou)
        if len(stay) >= enough or taken >= len(scores):
            return stay
        taken *= 4


def _nms_of_image(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float) -> Tensor:
    """Positions of those that stay: in one call, or group by group where they are many."""
    if len(scores) < CROWD:
        stay: Tensor = torchvision.ops.nms(_move_apart(boxes, groups), scores, iou)
        return stay
    members = torch.split(groups.argsort(stable=True), groups.bincount().tolist())
    return torch.cat([own[torchvision.ops.nms(boxes[own], scores[own], iou)] for own in members])


@_nms.register_fake
def _(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, enough: int) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def _move_apart(boxes: Tensor, groups: Tensor) -> Tensor:
    """Boxes in float64, each group in a place of its own.

    In float64 the shift costs under 1e-9 of a pixel; in float32 it would move boxes of high groups by 0.1 pixel.
    """
    boxes = boxes.double()
    if boxes.numel() == 0:
        return boxes
    extent = boxes.max() - boxes.min() + 1
    return boxes + (groups * extent)[..., None]


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    *,
    method: Literal["linear", "gaussian"] = "linear",
    iou: float = 0.3,
    sigma: float = 0.5,
) -> Tensor:
    """Soft-NMS (Bodla et al., ICCV 2017): the scores after each candidate was weakened by the better ones.

    boxes (B, K, 4) pixels; scores (B, K); groups (B, K) int64. In the order of their current scores (ties: the first),
    each candidate multiplies the scores of those after it in its group: linear by 1 - IoU where IoU ≥ `iou`, Gaussian
    by exp(-IoU² / sigma). → (B, K) float scores, in the order of the input.
    """
    if method not in ("linear", "gaussian"):
        raise ValueError(f"soft_nms method must be 'linear' or 'gaussian', not {method!r}")
    weakened: Tensor = torch.ops.vedette.soft_nms(boxes, scores, groups, method == "linear", iou, sigma)
    return weakened


@torch.library.custom_op("vedette::soft_nms", mutates_args=())
def _soft_nms(boxes: Tensor, scores: Tensor, groups: Tensor, linear: bool, iou: float, sigma: float) -> Tensor:
    """K rounds over the whole batch: classes are independent, so each image's best candidate of any class goes next."""
    scores = scores.clone()
    rows = torch.arange(len(scores), device=scores.device)
    waiting = torch.ones_like(scores, dtype=torch.bool)
    for _ in range(scores.shape[1]):
        best = scores.masked_fill(~waiting, -torch.inf).argmax(1)
        waiting[rows, best] = False
        overlap = pairwise_iou(boxes[rows, best, None], boxes)[:, 0]  # (B, K)
        decay = torch.where(overlap >= iou, 1 - overlap, 1.0) if linear else torch.exp(-overlap.square() / sigma)
        affected = waiting & (groups == groups[rows, best, None])
        scores = torch.where(affected, (scores * decay).to(scores.dtype), scores)
    return scores


@_soft_nms.register_fake
def _(boxes: Tensor, scores: Tensor, groups: Tensor, linear: bool, iou: float, sigma: float) -> Tensor:
    return torch.empty_like(scores)
