"""From a picture with boxes to a model's input: augmentation for training, the plain resize for evaluation.

Training follows the papers: SSD's augmentation where the input is a square, a flip alone where it has a short side.

What comes out is uint8 (3, H, W), RGB, and the objects in its pixels. Proposals go the way of the boxes, and each keeps
its row: one that is no longer seen has no area. All random numbers come from the generator that is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from vedette.data.colours import Planes, distort_at_random
from vedette.data.windows import (
    MAX_ZOOM_OUT,
    Boxes,
    Window,
    centres_inside,
    draw_crop,
    draw_zoom_out,
    map_boxes,
    visible_part,
)
from vedette.ops.images import planes_of, resize_planes, to_input
from vedette.structures import InputSpec, Interpolation

MIN_BOX_SIDE = 1.0  # pixels of the output: less is no longer an object to learn from
FLIP_PROBABILITY = 0.5


@dataclass(frozen=True, eq=False)
class Objects:
    """What is on one picture, in its pixels."""

    boxes: Boxes  # (G, 4)
    labels: NDArray[np.int64]  # (G,)
    ignore: NDArray[np.bool_]  # (G,)
    proposals: Boxes | None = None  # (P, 4)


Transform: TypeAlias = Callable[[Image.Image, Objects, Generator], tuple[Planes, Objects]]  # the picture is RGB


def train_transform(spec: InputSpec, max_zoom_out: float = MAX_ZOOM_OUT) -> Transform:
    """The augmentation for a spec.

    "warp": SSD's, with photometric distortion, zoom-out to at most `max_zoom_out` times a side, crop and flip; the
    resize is antialiased whatever the spec says. "short side": the flip alone, as in Fast R-CNN (sec. 2.3), Faster
    R-CNN, FPN and RetinaNet (sec. 4.1); the resize is that of detection.
    """
    if spec.resize == "short side":
        return Whole(spec, FLIP_PROBABILITY)
    return SSDAugment(spec.size, fill_colour(spec), spec.interpolation, max_zoom_out=max_zoom_out)


def eval_transform(spec: InputSpec) -> Transform:
    """The whole image resized to the input, as when detecting."""
    return Whole(spec)


def fill_colour(spec: InputSpec) -> tuple[int, int, int]:
    """The mean as an RGB colour, 0..255: it becomes about 0 in the input. A spec without a mean gets grey."""
    if not any(spec.mean):
        return (127, 127, 127)
    mean = spec.mean if spec.channels == "rgb" else spec.mean[::-1]
    red, green, blue = (min(255, max(0, round(value * 255.0 / spec.range))) for value in mean)
    return red, green, blue


class SSDAugment:
    """SSD's augmentation with a single resampling.

    Zoom-out, crop, flip and warp are first drawn as one window of the image; only the part of the image that shows is
    then resized, straight to its place on the filled canvas. A transform for each would paint a canvas of up to 16
    times the area to throw most of it away, and resample twice. The colours are distorted before the fill is laid
    around them.

    Objects whose centre is outside the window go, the others are clipped to it; ignored boxes follow but do not
    choose the crop.
    """

    def __init__(
        self,
        size: int,
        fill: tuple[int, int, int],
        interpolation: Interpolation = "bilinear",
        distort: Callable[[Planes, Generator], Planes] = distort_at_random,
        max_zoom_out: float = MAX_ZOOM_OUT,
    ) -> None:
        self.size, self.fill, self.interpolation, self.max_zoom_out = size, fill, interpolation, max_zoom_out
        self.distort = distort

    def __call__(self, image: Image.Image, objects: Objects, random: Generator) -> tuple[Planes, Objects]:
        """The picture and its objects, changed at random."""
        canvas = draw_zoom_out(image.width, image.height, random, self.max_zoom_out)
        window = draw_crop(objects.boxes[~objects.ignore], canvas, random)
        flip = random.random() < FLIP_PROBABILITY
        keep = centres_inside(objects.boxes, window)
        move = partial(map_boxes, window=window, size=(self.size, self.size), flip=flip)
        return self.picture(image, window, flip, random), _moved(objects, move, keep, MIN_BOX_SIDE)

    def picture(self, image: Image.Image, window: Window, flip: bool, random: Generator) -> Planes:
        """The window of the image as size x size, what lies beyond the image filled."""
        planes = np.empty((3, self.size, self.size), np.uint8)
        visible = visible_part(image.size, window, self.size)
        (left, top, right, bottom), source = visible or ((0, 0, 0, 0), window)
        if (right - left, bottom - top) != (self.size, self.size):
            planes[:] = np.array(self.fill, np.uint8)[:, None, None]
        if visible is None:
            return planes
        part = self._part(image, source, (right - left, bottom - top), random)
        if flip:
            part, left, right = part[:, :, ::-1], self.size - right, self.size - left
        planes[:, top:bottom, left:right] = part
        return planes

    def _part(self, image: Image.Image, source: Window, size: tuple[int, int], random: Generator) -> Planes:
        """That part of the image in width x height; its colours are distorted where fewer pixels carry them."""
        if not all(edge.is_integer() for edge in source):  # beside a fill
            resample = Image.Resampling[self.interpolation.upper()]
            return self.distort(planes_of(image.resize(size, resample, box=source)), random)
        x1, y1, x2, y2 = map(int, source)
        part = planes_of(image.crop((x1, y1, x2, y2)))
        if (x2 - x1) * (y2 - y1) < size[0] * size[1]:
            return resize_planes(self.distort(part, random), size, self.interpolation)
        return self.distort(resize_planes(part, size, self.interpolation), random)


class Whole:
    """The whole image as a model's input, resized as when detecting; mirrored with probability `flip`."""

    def __init__(self, spec: InputSpec, flip: float = 0.0) -> None:
        self.spec, self.flip = spec, flip

    def __call__(self, image: Image.Image, objects: Objects, random: Generator) -> tuple[Planes, Objects]:
        """The picture and its objects in the input."""
        flip = self.flip > 0 and random.random() < self.flip
        pixels: Planes = to_input(image, self.spec).numpy()
        size, window = (pixels.shape[2], pixels.shape[1]), (0.0, 0.0, float(image.width), float(image.height))
        move = partial(map_boxes, window=window, size=size, flip=flip)
        moved = _moved(objects, move, np.ones(len(objects.boxes), np.bool_), min_side=0.0)
        return pixels[:, :, ::-1].copy() if flip else pixels, moved


def _moved(objects: Objects, move: Callable[[Boxes], Boxes], keep: NDArray[np.bool_], min_side: float) -> Objects:
    """The objects where `move` brings them: only those to `keep`, no shorter than `min_side`."""
    boxes = move(objects.boxes)
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = keep & (sides >= min_side).all(1) & (sides > 0).all(1)
    proposals = None if objects.proposals is None else move(objects.proposals)
    return Objects(boxes[keep], objects.labels[keep], objects.ignore[keep], proposals)
