"""From a picture with boxes to a model's input: augmentation for training, the plain resize for evaluation.

Training follows the papers: SSD's augmentation where the input is a square, a flip alone where it has a short side.

A sample is `(image, target)`: an RGB PIL image, and a dict with `boxes` (G, 4) as `tv_tensors.BoundingBoxes` in its
pixels, `labels` (G,) int64, `ignore` (G,) bool and perhaps `proposals` (P, 4), a plain tensor. What comes out holds a
uint8 tensor (3, H, W), RGB, and the boxes in its pixels. Proposals go the way of the boxes, and each keeps its row:
one that is no longer seen has no area. All random numbers are torch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from vedette.ops.boxes import clip, iou, mirror
from vedette.ops.images import to_input
from vedette.structures import InputSpec

Window = tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels of the image; may reach beyond it

ZOOM_OUT_PROBABILITY = 0.5
MAX_ZOOM_OUT = 4.0  # of a side: a canvas of up to 16 times the area
CROP_MODES = (None, 0.1, 0.3, 0.5, 0.7, 0.9, 0.0)  # whole image, minimum IoUs, a crop without constraint
CROP_TRIALS = 50
MIN_CROP_SIDE = 0.3
MAX_ASPECT = 2.0
MIN_BOX_SIDE = 1.0  # pixels of the output: less is no longer an object to learn from

BRIGHTNESS = 32.0  # added to 0..255
CONTRAST = SATURATION = (0.5, 1.5)  # factors
FLIP_PROBABILITY = 0.5
HUE = 36.0  # degrees: SSD's code adds 18 to the hue of 8-bit images, which OpenCV counts in steps of two degrees


def train_transform(spec: InputSpec, max_zoom_out: float = MAX_ZOOM_OUT) -> v2.Compose:
    """The augmentation for a spec.

    "warp": SSD's, with photometric distortion, zoom-out to at most `max_zoom_out` times a side, crop and flip; the
    resize is antialiased whatever the spec says. "short side": the flip alone, as in Fast R-CNN (sec. 2.3), Faster
    R-CNN, FPN and RetinaNet (sec. 4.1); the resize is that of detection.
    """
    if spec.resize == "short side":
        return v2.Compose([Whole(spec, FLIP_PROBABILITY)])
    augment = SSDAugment(
        spec.size, fill_colour(spec), Image.Resampling[spec.interpolation.upper()], max_zoom_out=max_zoom_out
    )
    return v2.Compose([augment, v2.PILToTensor()])


def eval_transform(spec: InputSpec) -> v2.Compose:
    """The whole image resized to the input, as when detecting."""
    return v2.Compose([Whole(spec)])


def fill_colour(spec: InputSpec) -> tuple[int, int, int]:
    """The mean as an RGB colour, 0..255: it becomes about 0 in the input. A spec without a mean gets grey."""
    if not any(spec.mean):
        return (127, 127, 127)
    mean = spec.mean if spec.channels == "rgb" else spec.mean[::-1]
    red, green, blue = (min(255, max(0, round(value * 255.0 / spec.range))) for value in mean)
    return red, green, blue


def draw_zoom_out(width: int, height: int, largest: float = MAX_ZOOM_OUT) -> Window:
    """A canvas around an image, anywhere, its side ratio uniform in 1..`largest`; half the time the image itself."""
    chance, zoom, across, down = torch.rand(4).tolist()
    if chance >= ZOOM_OUT_PROBABILITY:
        return 0.0, 0.0, float(width), float(height)
    ratio = 1 + (largest - 1) * zoom
    left, top = across * (ratio - 1) * width, down * (ratio - 1) * height
    return -left, -top, ratio * width - left, ratio * height - top


def draw_crop(boxes: Tensor, canvas: Window) -> Window:
    """A window of the canvas, by one of the seven modes with equal probability; a mode that finds none is drawn anew.

    boxes: (G, 4) of the objects, in the pixels in which `canvas` is given.
    """
    while True:
        min_iou = CROP_MODES[int(torch.randint(len(CROP_MODES), ()))]
        window = canvas if min_iou is None else try_crops(boxes, canvas, min_iou)
        if window is not None:
            return window


def try_crops(boxes: Tensor, canvas: Window, min_iou: float) -> Window | None:
    """The first of 50 random windows that suits, or None.

    A window's sides are 0.3..1 of the canvas's, its aspect 1/2..2. It suits when it holds the centre of an object and,
    as in SSD's own sampler, *any one* object (not each) has at least `min_iou` with it. Without objects only windows
    without a constraint suit.
    """
    if not len(boxes) and min_iou > 0:
        return None
    draws = torch.rand(CROP_TRIALS, 4)
    corner, end = torch.tensor(canvas).view(2, 2)
    sides = (MIN_CROP_SIDE + (1 - MIN_CROP_SIDE) * draws[:, :2]) * (end - corner)
    first = corner + draws[:, 2:] * (end - corner - sides)
    windows = torch.cat([first, first + sides], dim=1)
    suits = sides.amax(1) <= MAX_ASPECT * sides.amin(1)
    if len(boxes):
        suits &= centres_inside(boxes, windows[:, None]).any(1)
    if min_iou > 0:
        suits &= (iou(windows, boxes) >= min_iou).any(1)
    found = suits.nonzero()
    return cast(Window, tuple(windows[int(found[0])].tolist())) if len(found) else None


def centres_inside(boxes: Tensor, windows: Tensor) -> Tensor:
    """Whether the centres of boxes (G, 4) lie in windows (..., 1, 4) or (4,): bool (..., G)."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside: Tensor = ((centres >= windows[..., :2]) & (centres <= windows[..., 2:])).all(-1)
    return inside


def map_boxes(boxes: Tensor, *, window: Window, size: tuple[int, int], flip: bool) -> Tensor:
    """Boxes (G, 4) in pixels of the image, in those of the window resized to width x height: clipped, then flipped."""
    corner, end = torch.tensor(window, dtype=boxes.dtype).view(2, 2)
    sides = torch.tensor(size, dtype=boxes.dtype)
    mapped = clip(((boxes.view(-1, 2, 2) - corner) * sides / (end - corner)).view(-1, 4), *size)
    return mirror(mapped, size[0]) if flip else mapped


def visible_part(image: tuple[int, int], window: Window, size: int) -> tuple[tuple[int, int, int, int], Window] | None:
    """Where in the output the image lies, in whole pixels inside it, and what of the image belongs exactly there.

    None when no whole pixel of the output shows the image.
    """
    places, sources = [], []
    for side, start, end in zip(image, window[:2], window[2:], strict=True):
        scale = size / (end - start)
        first = max(0, math.ceil(-start * scale - 1e-4))
        last = min(size, math.floor((side - start) * scale + 1e-4))
        if last <= first:
            return None
        places.append((first, last))
        sources.append((max(0.0, start + first / scale), min(float(side), start + last / scale)))
    (left, right), (top, bottom) = places
    (x1, x2), (y1, y2) = sources
    return (left, top, right, bottom), (x1, y1, x2, y2)


class SSDAugment(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """SSD's augmentation with a single resampling.

    Zoom-out, crop, flip and warp are first drawn as one window of the image; only the part of the image that shows is
    then resized, straight to its place on the filled canvas. A transform for each would paint a canvas of up to 16
    times the area to throw most of it away, and resample twice. The colours are distorted where fewest pixels carry
    them, before the fill is laid around them.

    Objects whose centre is outside the window go, the others are clipped to it; ignored boxes follow but do not
    choose the crop.
    """

    def __init__(
        self,
        size: int,
        fill: tuple[int, int, int],
        resample: Image.Resampling = Image.Resampling.BILINEAR,
        distort: v2.Transform | None = None,
        max_zoom_out: float = MAX_ZOOM_OUT,
    ) -> None:
        super().__init__()
        self.size, self.fill, self.resample, self.max_zoom_out = size, fill, resample, max_zoom_out
        self.distort = PhotometricDistort() if distort is None else distort

    def forward(self, *inputs: Any) -> Any:  # not transform(), which sees image and boxes one at a time
        image, target = inputs
        boxes = target["boxes"].as_subclass(Tensor)
        window = draw_crop(boxes[~target["ignore"]], draw_zoom_out(image.width, image.height, self.max_zoom_out))
        flip = bool(torch.rand(()) < 0.5)
        keep = centres_inside(boxes, torch.tensor(window, dtype=boxes.dtype))
        move = partial(map_boxes, window=window, size=(self.size, self.size), flip=flip)
        return self.picture(image, window, flip), _moved(target, move, keep, (self.size, self.size), MIN_BOX_SIDE)

    def picture(self, image: Image.Image, window: Window, flip: bool) -> Image.Image:
        """The window of the image as size x size, what lies beyond the image filled."""
        canvas = Image.new("RGB", (self.size, self.size), self.fill)
        visible = visible_part(image.size, window, self.size)
        if visible is None:
            return canvas
        (left, top, right, bottom), source = visible
        part = self.distort(image.resize((right - left, bottom - top), self.resample, box=source))
        if flip:
            part, left = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT), self.size - right
        canvas.paste(part, (left, top))
        return canvas


class PhotometricDistort(v2.Transform):  # type: ignore[misc]
    """SSD's distortion of colours, on an RGB PIL image: each of four with probability 0.5.

    As in SSD's code brightness is added, contrast multiplies, saturation and hue change in HSV, and contrast comes
    before or after these two at random. Only in the code a hue turned back beyond red stops there, since bytes have
    nothing below 0. torchvision's RandomPhotometricDistort, no faster, multiplies brightness, pulls contrast towards
    the mean grey and also permutes the channels.
    """

    _transformed_types = (Image.Image,)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        use = (torch.rand(5) < 0.5).tolist()
        amounts = torch.rand(4).tolist()
        low, high = CONTRAST
        return {
            "brightness": (2 * amounts[0] - 1) * BRIGHTNESS * use[0],
            "contrast": low + (high - low) * amounts[1] if use[1] else 1.0,
            "saturation": low + (high - low) * amounts[2] if use[2] else 1.0,
            "hue": (2 * amounts[3] - 1) * HUE * use[3],
            "contrast_first": use[4],
        }

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        first = params["contrast"] if params["contrast_first"] else 1.0
        image = scale_levels(inpt, first, params["brightness"])
        image = shift_colours(image, params["saturation"], params["hue"])
        return image if params["contrast_first"] else scale_levels(image, params["contrast"], 0.0)


def scale_levels(image: Image.Image, contrast: float, brightness: float) -> Image.Image:
    """(level + brightness) * contrast for all three channels, cut to 0..255 after each."""
    if contrast == 1.0 and brightness == 0.0:
        return image
    levels = (torch.arange(256.0) + brightness).clamp(0, 255).mul(contrast).clamp(0, 255)
    return image.point(levels.round().int().tolist() * 3)


def shift_colours(image: Image.Image, saturation: float, hue: float) -> Image.Image:
    """Saturation times a factor, hue turned by degrees."""
    if saturation == 1.0 and hue == 0.0:
        return image
    levels = torch.arange(256)
    hues = (levels + round(hue / 360 * 256)) % 256
    saturations = (levels * saturation).clamp(max=255).round().int()
    return image.convert("HSV").point(hues.tolist() + saturations.tolist() + levels.tolist()).convert("RGB")


class Whole(v2.Transform):  # type: ignore[misc]
    """The whole image as a model's input, resized as when detecting; mirrored with probability `flip`."""

    def __init__(self, spec: InputSpec, flip: float = 0.0) -> None:
        super().__init__()
        self.spec, self.flip = spec, flip

    def forward(self, *inputs: Any) -> Any:
        image, target = inputs
        flip = self.flip > 0 and bool(torch.rand(()) < self.flip)
        pixels = to_input(image, self.spec)
        size, window = (pixels.shape[2], pixels.shape[1]), (0.0, 0.0, float(image.width), float(image.height))
        everything = torch.ones(len(target["boxes"]), dtype=torch.bool)
        move = partial(map_boxes, window=window, size=size, flip=flip)
        return pixels.flip(2) if flip else pixels, _moved(target, move, everything, size, min_side=0.0)


def _moved(
    target: dict[str, Any],
    move: Callable[[Tensor], Tensor],
    keep: Tensor,
    size: tuple[int, int],
    min_side: float,
) -> dict[str, Any]:
    """The target in an input of that width and height; only boxes to `keep`, no shorter than `min_side`."""
    boxes = move(target["boxes"].as_subclass(Tensor))
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = keep & (sides >= min_side).all(1) & (sides > 0).all(1)
    moved = {
        **target,
        "boxes": tv_tensors.BoundingBoxes(
            boxes[keep], format=tv_tensors.BoundingBoxFormat.XYXY, canvas_size=size[::-1]
        ),
        "labels": target["labels"][keep],
        "ignore": target["ignore"][keep],
    }
    return moved | {"proposals": move(target["proposals"])} if "proposals" in target else moved
