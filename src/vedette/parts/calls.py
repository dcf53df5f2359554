"""How a model is called: one-stage models take images alone, others what else belongs to them."""

from collections.abc import Sequence
from typing import Any

import torch
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


def whole_sizes(images: Tensor, sizes: Tensor | None) -> Tensor:
    """(B, 2) heights and widths: those given, or the whole of the batch; raises ValueError for another shape."""
    if sizes is None:
        sides = [torch.full((len(images),), side, device=images.device) for side in images.shape[-2:]]
        return torch.stack(sides, 1)  # a tensor of the two numbers would be copied to the device, and the host wait
    sizes = torch.as_tensor(sizes, device=images.device)
    if sizes.shape != (len(images), 2):
        raise ValueError(f"sizes has shape {tuple(sizes.shape)}: give ({len(images)}, 2), height and width each")
    return sizes
