"""Whatever a user may call an image, as an RGB picture."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vedette.data.decode import decode_image, to_rgb
from vedette.errors import InputError

ImageLike = str | Path | Image.Image | np.ndarray[Any, Any] | Tensor

NO_BYTES = "{what} is {kind}: an image holds uint8 values, 0 to 255; convert it (of values from 0 to 1, 255 times them)"
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # by channels
MOST_PIXELS = 100_000_000  # of the pictures that wait in memory together: 400 MB, as Pillow keeps them
Decoded = TypeVar("Decoded", bound=Image.Image | InputError)


def as_picture(image: ImageLike, least: int | None = None) -> Image.Image:
    """A path, a PIL image, a uint8 array (H, W) or (H, W, 1 | 3 | 4), or a uint8 tensor (H, W) or (1 | 3 | 4, H, W).

    RGB, turned as its EXIF says; what is transparent becomes white. least: of a path, as in `decode_image`. Raises
    InputError for anything else.
    """
    if isinstance(image, str | Path):
        return decode_image(image, least=least)
    if isinstance(image, Image.Image):
        return _from_pillow(image)
    if isinstance(image, Tensor):
        return _from_tensor(image)
    if isinstance(image, np.ndarray):
        return _from_array(image, f"an array of shape {image.shape}", "(height, width, 3)")
    kinds = "a path, a PIL image, a uint8 array or a uint8 tensor, or a list of them"
    raise InputError(f"{type(image).__name__} is no image: give {kinds}")


def in_batches(decoded: Iterable[Decoded], count: int) -> Iterator[list[Decoded]]:
    """Up to `count` of them at a time, fewer where they are large: MOST_PIXELS together, or one that has more."""
    batch: list[Decoded] = []
    for one in decoded:
        if batch and (len(batch) == count or sum(pixels_of(each) for each in (*batch, one)) > MOST_PIXELS):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def pixels_of(decoded: Image.Image | InputError) -> int:
    """Of a picture; of what could not be read, none."""
    return 0 if isinstance(decoded, InputError) else decoded.width * decoded.height


def _from_pillow(image: Image.Image) -> Image.Image:
    if not image.width * image.height:
        raise InputError(f"a PIL image of {image.width} by {image.height} holds no pixels")
    return to_rgb(image)


def _from_tensor(tensor: Tensor) -> Image.Image:
    what = f"a tensor of shape {tuple(tensor.shape)}"
    if tensor.dtype != torch.uint8:
        raise InputError(NO_BYTES.format(what=what, kind=str(tensor.dtype).removeprefix("torch.")))
    if tensor.layout != torch.strided or tensor.device.type == "meta":
        kind = "on the device meta" if tensor.device.type == "meta" else "sparse"
        raise InputError(f"{what} is {kind}: an image has a value for every pixel; give a dense one with values")
    values = tensor.detach().cpu()
    array = values.permute(1, 2, 0).numpy() if values.ndim == 3 else values.numpy()
    return _from_array(array, what, "(3, height, width)")


def _from_array(array: np.ndarray[Any, Any], what: str, expected: str) -> Image.Image:
    if array.dtype != np.uint8:
        raise InputError(NO_BYTES.format(what=what, kind=array.dtype))
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in MODES:
        raise InputError(f"{what} is no image: give {expected}, or a list of images")
    if not array.size:
        raise InputError(f"{what} holds no pixels")
    pixels = array[..., 0] if array.ndim == 3 and channels == 1 else array
    return to_rgb(Image.fromarray(pixels, MODES[channels]))
