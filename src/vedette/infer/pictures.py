"""Whatever a user may call an image, as an RGB picture."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from vedette.data.decode import decode_image, to_rgb
from vedette.errors import InputError

ImageLike = str | Path | Image.Image | np.ndarray[Any, Any] | Tensor

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by channels


def as_picture(image: ImageLike) -> Image.Image:
    """A path, a PIL image, a uint8 array (H, W) or (H, W, 1 | 3 | 4), or a uint8 tensor (H, W) or (1 | 3 | 4, H, W).

    RGB, turned as its EXIF says; what is transparent becomes white. Raises InputError for anything else.
    """
    if isinstance(image, str | Path):
        return decode_image(image)
    if isinstance(image, Image.Image):
        return _from_pillow(image)
    if isinstance(image, Tensor):
        return _from_tensor(image)
    if isinstance(image, np.ndarray):
        return _from_array(image, f"an array of shape {image.shape}", "(height, width, 3)")
    raise InputError(f"{type(image).__name__} is no image: give a path, a PIL image, a uint8 array or a uint8 tensor")


def _from_pillow(image: Image.Image) -> Image.Image:
    if not image.width * image.height:
        raise InputError(f"a PIL image of {image.width} by {image.height} holds no pixels")
    return to_rgb(image)


def _from_tensor(tensor: Tensor) -> Image.Image:
    what = f"a tensor of shape {tuple(tensor.shape)}"
    values = tensor.detach().cpu()
    array = values.permute(1, 2, 0).numpy() if values.ndim == 3 else values.numpy()
    return _from_array(array, what, "(3, height, width)")


def _from_array(array: np.ndarray[Any, Any], what: str, expected: str) -> Image.Image:
    if array.dtype != np.uint8:
        raise InputError(f"{what} is {array.dtype}: an image holds uint8 values, 0 to 255")
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in MODES:
        raise InputError(f"{what} is no image: give {expected}, or a list of images")
    if not array.size:
        raise InputError(f"{what} holds no pixels")
    pixels = array[..., 0] if array.ndim == 3 and channels == 1 else array
    return to_rgb(Image.fromarray(pixels, MODES[channels]))
