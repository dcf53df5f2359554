"""Which sizes of images are taken, and what of a padded batch is image."""

import torch
from torch import Tensor

from vedette.errors import InputError


def check_sides(images: Tensor, divisor: int, model: str, least: int = 1) -> None:
    """Raises InputError where images (…, H, W) have sides that are no multiples of `divisor`, or are below `least`."""
    height, width = images.shape[-2:]
    if height % divisor or width % divisor or min(height, width) < least:
        which = f"multiples of {divisor}" + f" from {least} on" * (least > divisor)
        raise InputError(f"{model} takes images with sides that are {which}, not {height}×{width}")


def whole_sizes(images: Tensor, sizes: Tensor | None) -> Tensor:
    """(B, 2) heights and widths: those given, or the whole of the batch; raises ValueError for another shape."""
    if sizes is None:
        sides = [torch.full(images.shape[:1], side, device=images.device) for side in images.shape[-2:]]
        return torch.stack(sides, 1)  # a tensor of the two numbers would be copied to the device, and the host wait
    sizes = torch.as_tensor(sizes, device=images.device)
    if sizes.shape != (images.shape[0], 2):
        raise ValueError(f"sizes has shape {tuple(sizes.shape)}: give ({images.shape[0]}, 2), height and width each")
    return sizes
