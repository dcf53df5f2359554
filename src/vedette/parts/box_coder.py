"""Boxes ↔ deltas against reference boxes (R-CNN, appendix C; the divisors are SSD's "variances")."""

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from vedette.ops.boxes import to_centers, to_corners

LARGEST_GROWTH = log(1000 / 16)  # keeps exp() finite on wild predictions; no trained box comes near


@dataclass(frozen=True)
class BoxCoder:
    """encode: ((centre - reference centre) / reference size, log(size / reference size)) / std; decode: its inverse."""

    std: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)

    def encode(self, boxes: Tensor, references: Tensor) -> Tensor:
        """(..., 4) boxes and (..., 4) references in pixels → (..., 4) deltas. Both need an area."""
        box, reference = to_centers(boxes), to_centers(references)
        shift = (box[..., :2] - reference[..., :2]) / reference[..., 2:]
        growth = torch.log(box[..., 2:] / reference[..., 2:])
        return torch.cat([shift, growth], -1) / boxes.new_tensor(self.std)

    def decode(self, deltas: Tensor, references: Tensor) -> Tensor:
        """(..., 4) deltas and (..., 4) references in pixels → (..., 4) boxes x1 y1 x2 y2, in float32 or better."""
        deltas = deltas.float() if deltas.dtype in (torch.bfloat16, torch.float16) else deltas
        scaled, reference = deltas * deltas.new_tensor(self.std), to_centers(references)
        center = reference[..., :2] + scaled[..., :2] * reference[..., 2:]
        size = reference[..., 2:] * torch.exp(scaled[..., 2:].clamp(max=LARGEST_GROWTH))
        return to_corners(torch.cat([center, size], -1))
