"""Detectors that are given proposals, as graphs: what depends on how many there are is padded, and what is chosen by
the proposals' sizes is computed for all of them.

Shapes: `B` images, `P` proposals of each, padded; `N` = B * P of a batch.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import Looks
from vedette.infer.look import Look
from vedette.papers import fast_rcnn, rcnn
from vedette.papers.sppnet import DIVISOR, SPPNet, nearest_scale, pool_pyramid, project


class ProposalGraph(nn.Module):
    """As `OneGraph`, for a detector whose proposals come from outside."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look

    def forward(
        self, images: Tensor, score: Tensor, sizes: Tensor, proposals: Tensor, counts: Tensor
    ) -> tuple[Tensor, ...]:
        """proposals (B, P, 4) in pixels of the images, of which the first counts (B,) are real; the rest as there."""
        model: Any = self.look.model
        real = torch.arange(proposals.shape[1]) < counts[:, None]
        pixels = self.look.pixels(images, sizes)
        if isinstance(model, fast_rcnn.FastRCNN):
            predictions: Any = fast_rcnn.Predictions(model.backbone(pixels), proposals, real, sizes)
        else:
            predictions = _classified(model, pixels, sizes, proposals, real)
        return tuple(model.find(predictions, score).kept)


def _classified(
    model: rcnn.RegionClassifier, images: Tensor, sizes: Tensor, proposals: Tensor, real: Tensor
) -> rcnn.Predictions:
    """R-CNN and SPPNet: `config.chunk` proposals of each image at once, as many parts as that takes."""
    features = _all_scales if isinstance(model, SPPNet) else _warped
    chunk: int = model.config.chunk
    parts = [_judged(model, looks) for looks in features(model, images, sizes, torch.split(proposals, chunk, 1))]
    shape = (proposals.shape[0], -1)
    logits, margins, deltas = (
        torch.cat([part.unflatten(0, shape) for part in one], 1) for one in zip(*parts, strict=True)
    )
    return rcnn.Predictions(logits, margins, deltas, proposals, real, sizes)


def _judged(model: rcnn.RegionClassifier, looks: Looks) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (N, C + 1), margins (N, C) and deltas (N, C, 4)."""
    deltas = model.regressor(looks.pool5).unflatten(1, (model.config.num_classes, 4))
    return model.head(looks.fc7), model.svm(looks.fc7), deltas


def _warped(model: Any, images: Tensor, sizes: Tensor, parts: Any) -> list[Looks]:
    """R-CNN's windows through the whole network."""
    c = model.config
    return [model.backbone(warp_all(images, part, sizes, c.warp_size, c.context)) for part in parts]


def warp_all(images: Tensor, boxes: Tensor, sizes: Tensor, side: int, context: int) -> Tensor:
    """boxes (B, P, 4) → the windows (B * P, 3, S, S) that R-CNN warps."""
    return rcnn.warp(images, boxes.flatten(0, 1), _whose(boxes), sizes, side, context)


def _all_scales(model: Any, images: Tensor, sizes: Tensor, parts: Any) -> list[Looks]:
    """SPPNet's pyramids: each box pooled from the maps of every scale, that of its own taken."""
    c = model.config
    factors = [scale / c.scales[-1] for scale in c.scales]
    maps = [model.backbone(rescale(images, scale, c.scales[-1]))[0] for scale in c.scales]
    found = []
    for part in parts:
        boxes, whose = part.flatten(0, 1), _whose(part)
        chosen = nearest_scale(boxes, factors, c.window)[:, None]
        pool5 = images.new_zeros(())
        for number, (feature, factor) in enumerate(zip(maps, factors, strict=True)):
            cells = project(boxes * factor, model.backbone.strides[-1], c.offset, feature.shape[-2:])
            pool5 = torch.where(chosen == number, pool_pyramid(feature, cells, whose, c.levels), pool5)
        found.append(Looks(pool5, model.look(pool5)))
    return found


def _whose(boxes: Tensor) -> Tensor:
    """(B, P, 4) → (B * P,) int64, the image of each."""
    return torch.arange(boxes.shape[0])[:, None].expand(boxes.shape[:2]).flatten()


def rescale(images: Tensor, scale: int, largest: int) -> Tensor:
    """`sppnet.rescale` by scale / largest as two products of matrices: what ONNX, OpenVINO and torch.export resize with
    antialiasing differs, and rounds the factor to whole pixels.
    """
    height, width = images.shape[-2:]
    if scale != largest:
        down, across = (_triangles(side, scale, largest).to(images) for side in (height, width))
        images = down @ images @ across.T
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % DIVISOR, 0, -height % DIVISOR))


def _triangles(side: int, scale: int, largest: int) -> Tensor:
    """(side', side) how much each pixel counts in each of the smaller image's: a triangle, as wide as two of those."""
    pixels = (torch.arange(side) + 0.5) * (scale / largest)
    centers = torch.arange(side * scale // largest) + 0.5
    weights = (1 - (pixels - centers[:, None]).abs()).clamp(min=0)
    return weights / weights.sum(1, keepdim=True)
