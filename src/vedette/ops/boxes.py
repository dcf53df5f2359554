"""Boxes as tensors: convert, clip, area, IoU and GIoU, and how exact they are at least.

Shapes: a leading `...` is any batch. Boxes are x1 y1 x2 y2 in pixels, without + 1.
"""

import torch
from torch import Tensor


def to_centers(boxes: Tensor) -> Tensor:
    """(..., 4) x1 y1 x2 y2 → (..., 4) centre x, centre y, width, height."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(low + high) / 2, high - low], -1)


def to_corners(boxes: Tensor) -> Tensor:
    """(..., 4) centre x, centre y, width, height → (..., 4) x1 y1 x2 y2."""
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([center - half, center + half], -1)


def clip(boxes: Tensor, width: float, height: float) -> Tensor:
    """(..., 4) boxes cut at the borders of an image of `width` × `height` pixels."""
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack([x, y], -1).flatten(-2)


def clip_each(boxes: Tensor, sizes: Tensor) -> Tensor:
    """(B, N, 4) boxes of B images, each cut at the borders of its own image; sizes (B, 2) are heights and widths."""
    limit = sizes.to(boxes).flip(-1).repeat(1, 2)[:, None]  # (B, 1, 4)
    return torch.minimum(boxes.clamp(min=0), limit)


def inside(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Which boxes (N, 4) lie within each of B images whole: → (B, N) bool; sizes (B, 2) are heights and widths."""
    return (clip_each(boxes.expand(len(sizes), -1, 4), sizes) == boxes).all(-1)


def mirror(boxes: Tensor, width: float) -> Tensor:
    """(..., 4) boxes in an image of that width, in the image seen in a mirror."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], -1)


def area(boxes: Tensor) -> Tensor:
    """(..., 4) → (...) square pixels; 0 for a box turned inside out."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).unbind(-1)
    return width * height


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of every pair: (..., N, 4), (..., M, 4) → (..., N, M); 0 where both are empty."""
    intersection, union = _intersection_and_union(_columns(first), _columns(second))
    return intersection.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU of every pair (Rezatofighi et al., CVPR 2019): (..., N, 4), (..., M, 4) → (..., N, M) in -1..1.

    IoU less the share of the smallest enclosing box that neither box covers.
    """
    a, b = _columns(first), _columns(second)
    intersection, union = _intersection_and_union(a, b)
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a, b
    width = torch.maximum(ax2[..., :, None], bx2[..., None, :]) - torch.minimum(ax1[..., :, None], bx1[..., None, :])
    height = torch.maximum(ay2[..., :, None], by2[..., None, :]) - torch.minimum(ay1[..., :, None], by1[..., None, :])
    hull = width * height
    tiny = torch.finfo(union.dtype).tiny
    return intersection / union.clamp(min=tiny) - (hull - union) / hull.clamp(min=tiny)


def exact(x: Tensor) -> Tensor:
    """In float32 at least: half precision is too coarse for pixels, sums and logarithms."""
    return x if x.dtype == torch.float64 else x.float()


def _columns(boxes: Tensor) -> tuple[Tensor, ...]:
    """The four coordinates, each in memory of its own: pairwise arithmetic on strided columns is three times slower."""
    return tuple(boxes.movedim(-1, 0).contiguous().unbind(0))


def _intersection_and_union(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a, b
    width = torch.minimum(ax2[..., :, None], bx2[..., None, :]) - torch.maximum(ax1[..., :, None], bx1[..., None, :])
    height = torch.minimum(ay2[..., :, None], by2[..., None, :]) - torch.maximum(ay1[..., :, None], by1[..., None, :])
    intersection = width.clamp_(min=0) * height.clamp_(min=0)
    area_a = (ax2 - ax1).clamp(min=0) * (ay2 - ay1).clamp(min=0)
    area_b = (bx2 - bx1).clamp(min=0) * (by2 - by1).clamp(min=0)
    return intersection, area_a[..., :, None] + area_b[..., None, :] - intersection
