"""A training step as one module, so that data parallelism, compilation and accelerate wrap one thing."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vedette.ops.images import normalize_batch
from vedette.parts.calls import predict
from vedette.structures import InputSpec, Target


class TrainStep(nn.Module):
    """Images as they were loaded → losses."""

    def __init__(self, model: nn.Module, spec: InputSpec, bf16: bool = False) -> None:
        super().__init__()
        self.model = model
        self.spec = spec
        self.bf16 = bf16

    def forward(
        self,
        images: Tensor,
        targets: Sequence[Target],
        shapes: Tensor | None = None,
        proposals: Sequence[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """(B, 3, H, W) uint8 and B targets → the model's losses, each a float32 scalar.

        shapes (B, 2): height and width of each image inside a padded batch, by default the whole of it; proposals: B
        times (N_i, 4), for a model that needs them; one that draws few of them to learn from is given these alone.
        bf16: under autocast here, for accelerate's precision belongs to the whole process and cannot change in it.
        """
        if shapes is None:
            shapes = torch.tensor(images.shape[2:], device=images.device).expand(len(images), 2)
        if proposals is not None and hasattr(self.model, "draw_windows"):
            proposals = self.model.draw_windows(proposals, targets)  # type: ignore[operator]
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            pixels = normalize_batch(images, shapes, self.spec).contiguous(memory_format=torch.channels_last)
            predictions = predict(self.model, pixels, self.spec, shapes, proposals)
            losses: dict[str, Tensor] = self.model.loss(predictions, targets)  # type: ignore[operator]
        return {name: value.float() for name, value in losses.items()}
