"""What of a padded batch is image."""

import torch
from torch import Tensor


def whole_sizes(images: Tensor, sizes: Tensor | None) -> Tensor:
    """(B, 2) heights and widths: those given, or the whole of the batch; raises ValueError for another shape."""
    if sizes is None:
        sides = [torch.full((len(images),), side, device=images.device) for side in images.shape[-2:]]
        return torch.stack(sides, 1)  # a tensor of the two numbers would be copied to the device, and the host wait
    sizes = torch.as_tensor(sizes, device=images.device)
    if sizes.shape != (len(images), 2):
        raise ValueError(f"sizes has shape {tuple(sizes.shape)}: give ({len(images)}, 2), height and width each")
    return sizes
