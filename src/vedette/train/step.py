"""A training step as one module, so that data parallelism, compilation and accelerate wrap one thing."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vedette.ops.images import normalize
from vedette.structures import InputSpec, Target


class TrainStep(nn.Module):
    """Images as they were loaded → losses."""

    def __init__(self, model: nn.Module, spec: InputSpec, bf16: bool = False) -> None:
        super().__init__()
        self.model = model
        self.spec = spec
        self.bf16 = bf16

    def forward(self, images: Tensor, targets: Sequence[Target]) -> dict[str, Tensor]:
        """(B, 3, H, W) uint8 and B targets → the model's losses, each a float32 scalar.

        bf16: under autocast here, for accelerate's precision belongs to the whole process and cannot change in it.
        """
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            pixels = normalize(images, self.spec).contiguous(memory_format=torch.channels_last)
            losses: dict[str, Tensor] = self.model.loss(self.model(pixels), targets)  # type: ignore[operator]
        return {name: value.float() for name, value in losses.items()}
