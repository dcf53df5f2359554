"""Boxes ↔ deltas against reference boxes (R-CNN, appendix C; the divisors are SSD's "variances")."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Protocol

import torch
from torch import Tensor

from vedette.ops.boxes import exact

LARGEST_GROWTH = log(1000 / 16)  # keeps exp() finite on wild predictions; no trained box comes near


class Coder(Protocol):
    """What turns boxes into deltas and back."""

    def encode(self, boxes: Tensor, references: Tensor, /) -> Tensor: ...
    def decode(self, deltas: Tensor, references: Tensor, /) -> Tensor: ...


@dataclass(frozen=True)
class BoxCoder:
    """encode: ((centre - reference centre) / reference size, log(size / reference size)) / std; decode: its inverse."""

    std: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)

    def encode(self, boxes: Tensor, references: Tensor) -> Tensor:
        """(..., 4) boxes and (..., 4) references in pixels → (..., 4) deltas. Both need an area."""
        (center, size), (reference_center, reference_size) = _center_and_size(boxes), _center_and_size(references)
        shift = (center - reference_center) / reference_size
        growth = torch.log(size / reference_size)
        return torch.cat([_by(torch.div, shift, *self.std[:2]), _by(torch.div, growth, *self.std[2:])], -1)

    def decode(self, deltas: Tensor, references: Tensor) -> Tensor:
        """(..., 4) deltas and (..., 4) references in pixels → (..., 4) boxes x1 y1 x2 y2, in float32 or better."""
        deltas = exact(deltas)
        shift = _by(torch.mul, deltas[..., :2], *self.std[:2])
        growth = _by(torch.mul, deltas[..., 2:], *self.std[2:])
        center, size = _center_and_size(references)
        center, half = center + shift * size, size * torch.exp(growth.clamp(max=LARGEST_GROWTH)) / 2
        return torch.cat([center - half, center + half], -1)

    def of(self, labels: Tensor) -> "BoxCoder":
        """The coder of boxes of these classes: the same for all of them."""
        return self


def _center_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low


def _by(operation: Callable[[Tensor, float], Tensor], pairs: Tensor, x: float, y: float) -> Tensor:
    """(..., 2) pairs times, or over, a number for each of the two: a tensor of them would be copied to the device."""
    if x == y:
        return pairs if x == 1 else operation(pairs, x)
    return torch.stack([operation(pairs[..., 0], x), operation(pairs[..., 1], y)], -1)
