"""A training step as one module, so that data parallelism, compilation and accelerate wrap one thing."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vedette.ops.images import normalize
from vedette.structures import InputSpec, Target


class TrainStep(nn.Module):
    """Images as they were loaded → losses."""

    def __init__(self, model: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.model = model
        self.spec = spec

    def forward(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """(B, 3, H, W) uint8 and B targets → the model's losses, each a scalar."""
        pixels = normalize(images, self.spec).contiguous(memory_format=torch.channels_last)
        losses: dict[str, Tensor] = self.model.loss(self.model(pixels), targets)  # type: ignore[operator]
        return losses
