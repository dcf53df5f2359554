"""Deltas normalised by what was measured of each class (Fast R-CNN, section 2.3), not by fixed numbers.

Shapes: `C` classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vedette.parts.box_coder import BoxCoder

PLAIN = BoxCoder((1.0, 1.0, 1.0, 1.0))


class ClassCoder(nn.Module):
    """The mean of each class's deltas and their standard deviation, which a model's weight file holds."""

    mean: Tensor  # (C, 4)
    std: Tensor  # (C, 4)
    measured: Tensor  # () bool

    def __init__(self, num_classes: int, std: Sequence[float]) -> None:
        """std: what stands for the standard deviations until they are measured; the means are 0 then."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_classes, 4))
        self.register_buffer("std", torch.tensor(std).repeat(num_classes, 1))
        self.register_buffer("measured", torch.tensor(False))

    def of(self, labels: Tensor) -> "OwnCoder":
        """The coder of boxes of these classes (...)."""
        return OwnCoder(self.mean[labels], self.std[labels])


class OwnCoder(NamedTuple):
    """A coder that has numbers of its own for every box (...)."""

    mean: Tensor  # (..., 4)
    std: Tensor  # (..., 4)

    def encode(self, boxes: Tensor, references: Tensor) -> Tensor:
        """(..., 4) boxes and (..., 4) references in pixels → (..., 4) deltas, less the mean, over the deviation."""
        return (PLAIN.encode(boxes, references) - self.mean) / self.std

    def decode(self, deltas: Tensor, references: Tensor) -> Tensor:
        """The inverse of `encode`, in float32 or better."""
        return PLAIN.decode(deltas * self.std + self.mean, references)
