"""From a picture to a model's input: resize, normalise, put into batches.

Shapes: `H`, `W` a picture's height and width; a leading `...` is any batch, `B` the images of one. Images of different
sizes are padded right and below in a batch; (B, 2) says the true height and width of each.
"""

from collections.abc import Sequence
from math import floor

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vedette.structures import InputSpec, Interpolation


def input_size(width: int, height: int, spec: InputSpec) -> tuple[int, int]:
    """Width and height of a picture after `to_input`, before any padding.

    Sides are rounded down in torchvision's arithmetic, so that its weights see the sizes that they learnt from: where
    its quotient is a little too small, even the short side is a pixel less than the spec's.
    """
    if spec.resize == "warp":
        return spec.size, spec.size
    scale = spec.size / min(width, height)
    if spec.max_side is not None:
        scale = min(scale, spec.max_side / max(width, height))
    return max(1, floor(width * scale)), max(1, floor(height * scale))


def to_input(image: Image.Image | Tensor, spec: InputSpec, device: torch.device | None = None) -> Tensor:
    """An RGB picture, or a uint8 tensor (3, H, W), resized as the spec says: (3, H', W') uint8, RGB.

    A box comes back into the picture's pixels times (W / W', H / H'). A GPU as `device` resizes by itself: values
    differ from those of a CPU, where the result is without one, by one level at most. Any other result is on the CPU.
    """
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image.cpu().permute(1, 2, 0).numpy())
    width, height = input_size(picture.width, picture.height, spec)
    if device is not None and device.type == "cuda":
        return _resized_on(device, picture, (height, width), spec)
    if spec.antialias:
        resample = Image.Resampling[spec.interpolation.upper()]
        return torch.from_numpy(planes_of(picture.resize((width, height), resample)))
    from torchvision.transforms import InterpolationMode, v2  # takes longer to import than torch

    mode = InterpolationMode(spec.interpolation)
    pixels = torch.from_numpy(planes_of(picture))
    resized: Tensor = v2.functional.resize(pixels, [height, width], mode, antialias=False)
    return resized


def planes_of(picture: Image.Image) -> NDArray[np.uint8]:
    """RGB picture → (3, H, W): Pillow gives one band after the other faster than the bands of an array are parted."""
    planes = np.empty((3, picture.height, picture.width), np.uint8)
    for plane, band in zip(planes, "RGB", strict=True):
        plane[:] = np.frombuffer(picture.tobytes("raw", band), np.uint8).reshape(plane.shape)
    return planes


def resize_planes(planes: NDArray[np.uint8], size: tuple[int, int], interpolation: Interpolation) -> NDArray[np.uint8]:
    """(3, H, W) → (3, height, width), antialiased; `size` is width and height.

    torch's kernel for bytes, on a CPU with AVX2 twice as fast as Pillow's; values differ by a level, of bicubic by 3.
    """
    batch = torch.from_numpy(planes)[None]
    resized = interpolate(batch, size[::-1], mode=interpolation, align_corners=False, antialias=True)
    return resized[0].numpy()


class Normalize(nn.Module):
    """From pictures to what the weights were trained on: their range of values, mean, deviation and channel order."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.scale, self.bgr, self.padded = spec.range / 255, spec.channels == "bgr", spec.resize != "warp"
        for name, value in (("mean", spec.mean), ("std", spec.std)):  # buffers: a GPU must not wait for constants
            self.register_buffer(name, torch.tensor(value)[:, None, None], persistent=False)

    def forward(self, images: Tensor, sizes: Tensor | None = None) -> Tensor:
        """uint8 (..., 3, H, W), RGB → float32 of the same shape.

        sizes (B, 2), of a batch (B, 3, H, W): its images' heights and widths; beyond them is 0, the mean colour.
        """
        if self.bgr:
            images = images.flip(-3)
        pixels = images.float().mul(self.scale).sub(self.mean).div(self.std)
        if sizes is None or not self.padded:
            return pixels
        rows, columns = (torch.arange(side, device=images.device) for side in images.shape[2:])
        inside = (rows < sizes[:, :1])[:, None, :, None] & (columns < sizes[:, 1:])[:, None, None]
        return torch.where(inside, pixels, 0.0)


def stack_padded(images: Sequence[Tensor], divisor: int = 1) -> Tensor:
    """(3, H_i, W_i) each → (B, 3, H, W): the largest sides, up to multiples of `divisor`, 0 beyond an image."""
    height, width = (-(-max(image.shape[side] for image in images) // divisor) * divisor for side in (1, 2))
    batch = images[0].new_zeros(len(images), 3, height, width)
    for place, image in zip(batch, images, strict=True):
        place[:, : image.shape[1], : image.shape[2]] = image
    return batch


def sizes_of(images: Sequence[Tensor]) -> Tensor:
    """(3, H_i, W_i) each → (B, 2) int64 heights and widths."""
    return torch.tensor([image.shape[1:] for image in images])


def mirror_images(images: Tensor, sizes: Tensor) -> Tensor:
    """(B, 3, H, W), each image of its size (B, 2) seen in a mirror; the padding stays on the right."""
    width = images.shape[3]
    columns = (sizes[:, 1:] - 1 - torch.arange(width, device=images.device)) % width  # (B, W)
    return images.gather(3, columns[:, None, None].expand_as(images))


def _resized_on(device: torch.device, picture: Image.Image, size: tuple[int, int], spec: InputSpec) -> Tensor:
    """RGB picture → (3, *size) uint8 on a GPU, which is given the picture's own pixels."""
    pixels = torch.from_numpy(np.array(picture)).pin_memory().to(device, non_blocking=True)
    exact = pixels.permute(2, 0, 1)[None].float()
    resized = interpolate(exact, size, mode=spec.interpolation, align_corners=False, antialias=spec.antialias)
    return resized[0].round_().clamp_(0, 255).byte()
