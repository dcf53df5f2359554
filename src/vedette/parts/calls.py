"""How a model is called: one-stage models take images alone, others what else belongs to them."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from vedette.structures import InputSpec


def predict(
    model: nn.Module, images: Tensor, spec: InputSpec, sizes: Tensor, proposals: Sequence[Tensor] | None = None
) -> Any:
    """What the model predicts for images (B, 3, H, W), normalised and perhaps padded.

    sizes (B, 2), the true heights and widths, go to models of padded inputs; proposals, B times (N_i, 4), to those
    with `needs_proposals`, which raise ValueError where there are none.
    """
    more: dict[str, Any] = {}
    if spec.resize == "short side":
        more["sizes"] = sizes.to(images.device)
    if getattr(model, "needs_proposals", False):
        more["proposals"] = proposals
    return model(images, **more)
