"""From a file or a picture to a model's input: decode, resize, normalise, put into batches.

Shapes: `H`, `W` a picture's height and width; a leading `...` is any batch, `B` the images of one. Images of different
sizes are padded right and below in a batch; (B, 2) says the true height and width of each.
"""

import warnings
from collections.abc import Sequence
from math import floor
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.transforms import InterpolationMode, v2

from vedette.errors import InputError
from vedette.structures import InputSpec

ORIENTATION = 0x0112  # EXIF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_image(path: str | Path, rotate: bool = True) -> Image.Image:
    """The picture in a file as RGB, turned as its EXIF says (unless `rotate` is False); the first of an animation.

    Transparent parts become white; 16-bit values are scaled to 8 bits.

    Raises InputError, naming the file, where there is none, where it is a folder, and where it is not a whole image.
    """
    if not str(path):
        raise InputError("an empty path is no image: give a file")
    file = Path(path)
    try:
        if file.is_dir():
            raise InputError(f"{path}: a folder, not an image; give the files in it")
        if file.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty (0 bytes); replace it")
        with _quiet, Image.open(file) as image:
            return _to_rgb(image, rotate)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except InputError:
        raise
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise InputError(f"{path}: {_reason(error)}") from None


def to_rgb(image: Image.Image, rotate: bool = True) -> Image.Image:
    """A picture in memory as RGB, by the rules of `decode_image`.

    Raises InputError for a picture whose file turns out damaged.
    """
    try:
        with _quiet:
            return _to_rgb(image, rotate)
    except Exception as error:  # the file behind it may be read only now
        raise InputError(f"{getattr(image, 'filename', '') or 'the image'}: {_reason(error)}") from None


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
    picture = image if isinstance(image, Image.Image) else v2.functional.to_pil_image(image.cpu())
    width, height = input_size(picture.width, picture.height, spec)
    if device is not None and device.type == "cuda":
        return _resized_on(device, picture, (height, width), spec)
    if spec.antialias:
        resample = Image.Resampling[spec.interpolation.upper()]
        return _pixels(picture.resize((width, height), resample))
    mode = InterpolationMode(spec.interpolation)
    resized: Tensor = v2.functional.resize(_pixels(picture), [height, width], mode, antialias=False)
    return resized


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


def _pixels(picture: Image.Image) -> Tensor:
    """RGB picture → (3, H, W) uint8."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def _resized_on(device: torch.device, picture: Image.Image, size: tuple[int, int], spec: InputSpec) -> Tensor:
    """RGB picture → (3, *size) uint8 on a GPU, which is given the picture's own pixels."""
    pixels = torch.from_numpy(np.array(picture)).pin_memory().to(device, non_blocking=True)
    exact = pixels.permute(2, 0, 1)[None].float()
    resized = interpolate(exact, size, mode=spec.interpolation, align_corners=False, antialias=spec.antialias)
    return resized[0].round_().clamp_(0, 255).byte()


def _to_rgb(image: Image.Image, rotate: bool) -> Image.Image:
    turn = TURNS.get(_orientation(image)) if rotate else None
    if image.mode.startswith(("I", "F")):
        image = _to_8_bits(image)
    elif image.has_transparency_data:
        layers = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)
    image = image.convert("RGB")
    return image if turn is None else image.transpose(turn)


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Integers of 16 bits or more, and floats (white is 1, 255, or the highest value), as 8-bit grey."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    highest = float(values.max())
    if image.mode == "F":
        white = next((limit for limit in (1.0, 255.0) if highest <= limit), highest)
    else:
        white = max(65535.0, highest)
    return Image.fromarray((values.clip(0) * 255 / white).round().astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    image.load()  # TIFF turns itself while it loads, and says so only then
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # broken EXIF is no reason to refuse a whole picture
        return 1


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a format that can be read; replace it or leave it out"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels (more than 178 million); make it smaller first"
    if isinstance(error, PermissionError):
        return "may not be read; check its permissions"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"a truncated or damaged image ({text}); replace it"


class _QuietPillow:
    """Keeps Pillow's warnings to itself while any thread decodes.

    The filters belong to the whole process: threads that each saved and restored them would undo one another.
    """

    def __init__(self) -> None:
        self.lock, self.inside = Lock(), 0
        self.filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.filters = warnings.catch_warnings()
                self.filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\b|vedette\.ops\.images")
            self.inside += 1

    def __exit__(self, *raised: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.filters.__exit__(None, None, None)


_quiet = _QuietPillow()
