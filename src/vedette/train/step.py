"""A training step as one module, so that data parallelism, compilation and accelerate wrap one thing."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from vedette.infer.look import Look
from vedette.parts.sizes import whole_sizes
from vedette.structures import InputSpec, Targets


class TrainStep(nn.Module):
    """Images as they were loaded → losses."""

    def __init__(self, model: nn.Module, spec: InputSpec, bf16: bool = False) -> None:
        """bf16: under autocast here, for accelerate's precision belongs to the whole process and cannot change."""
        super().__init__()
        self.look = Look(model, spec, bf16)

    @property
    def model(self) -> nn.Module:
        """What learns."""
        return self.look.model

    def forward(
        self,
        images: Tensor,
        targets: Targets,
        shapes: Tensor | None = None,
        proposals: Sequence[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """(B, 3, H, W) uint8 and B targets → the losses; the rest as `predict` has it."""
        return self.losses(self.predict(images, targets, shapes, proposals), targets)

    def predict(
        self,
        images: Tensor,
        targets: Targets,
        shapes: Tensor | None = None,
        proposals: Sequence[Tensor] | None = None,
    ) -> Any:
        """(B, 3, H, W) uint8 and B targets → what the model predicts.

        shapes (B, 2): height and width of each image inside a padded batch, by default the whole of it; proposals: B
        times (N_i, 4), for a model that needs them; one that draws few of them to learn from is given these alone.
        """
        if shapes is None:
            shapes = whole_sizes(images, None)
        if proposals is not None and hasattr(self.model, "draw_windows"):
            proposals = self.model.draw_windows(proposals, targets)  # type: ignore[operator]
        return self.look(images, shapes, proposals)

    def losses(self, predictions: Any, targets: Targets) -> dict[str, Tensor]:
        """The model's, each a float32 scalar."""
        with self.look.autocast(self.look.normalize.mean.device):
            losses: dict[str, Tensor] = self.model.loss(predictions, targets)  # type: ignore[operator]
        return {name: value.float() for name, value in losses.items()}
