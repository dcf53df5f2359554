"""Captions on a picture: plates that fit into it, avoid one another, and hold text that can be read on their colour."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from PIL import ImageDraw, ImageFont

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
SMALLEST_TEXT = 9  # pixels

Colour = tuple[int, int, int]


class Plate(NamedTuple):
    """The rectangle behind a caption, or that of a box, in whole pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def overlap(self, other: "Plate") -> int:
        """The common area."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0, width) * max(0, height)


def visible(box: Sequence[float], size: tuple[int, int]) -> Plate:
    """A box in whole pixels, the last ones included, cut at the borders of a picture of this width and height."""
    (x1, y1, x2, y2), (width, height) = box, size
    left, top = min(max(0, round(x1)), width - 1), min(max(0, round(y1)), height - 1)
    right, bottom = min(round(x2), width) - 1, min(round(y2), height) - 1
    return Plate(left, top, max(left, right), max(top, bottom))


def text_colour(plate: Colour) -> Colour:
    """Black or white, whichever is easier to read on this colour."""
    red, green, blue = ((value / 255) ** 2.2 for value in plate)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return BLACK if luminance > 0.179 else WHITE  # equal contrast by WCAG's formula


def place(
    size: tuple[int, int], rectangle: Plate, plate: tuple[int, int], taken: Sequence[Plate], below: bool = False
) -> Plate:
    """Where a caption's plate (width, height) goes: above the box, or where it covers the fewest others.

    below: under the box rather than above it.
    """
    (width, height), (across, down) = size, plate
    corners = [
        (rectangle.left, rectangle.top - down),
        (rectangle.left, rectangle.top),
        (rectangle.left, rectangle.bottom),
        (rectangle.left, rectangle.bottom - down),
        (rectangle.right - across, rectangle.top - down),
        (rectangle.right - across, rectangle.top),
        (rectangle.right - across, rectangle.bottom - down),
    ]
    if below:
        corners.insert(0, corners.pop(2))
    choices = []
    for left, top in corners:
        inside = min(max(0, left), width - across), min(max(0, top), height - down)
        choices.append(Plate(*inside, inside[0] + across, inside[1] + down))
    return min(choices, key=lambda choice: sum(choice.overlap(other) for other in taken))


def write_caption(
    canvas: ImageDraw.ImageDraw, box: Plate, text: str, colour: Colour, placed: list[Plate], below: bool = False
) -> None:
    """Writes a box's caption beside those in `placed` and enters it there; one that does not fit is left out."""
    size = canvas.im.size
    fitting = _fit(text, size) if text else None
    if fitting is None:
        return
    font, extent, margin = fitting
    across, down = extent.right - extent.left + 2 * margin, extent.bottom - extent.top + margin
    plate = place(size, box, (across, down), placed, below)
    canvas.rectangle((plate.left, plate.top, plate.right - 1, plate.bottom - 1), fill=colour)
    corner = plate.left + margin - extent.left, plate.top + margin // 2 - extent.top
    canvas.text(corner, text, text_colour(colour), font)
    placed.append(plate)


def _fit(text: str, size: tuple[int, int]) -> tuple[Any, Plate, int] | None:
    """The largest suitable font in which a caption fits into the picture, the text's extent and its margin; or None."""
    pixels = max(12, round(math.sqrt(size[0] * size[1]) / 30))
    while pixels >= SMALLEST_TEXT:
        font, margin = _font(pixels), max(2, pixels // 4)
        left, _, right, _ = font.getbbox(text)
        _, top, _, bottom = font.getbbox("Ágjy")  # one height for all captions
        extent = Plate(int(left), int(top), math.ceil(right), math.ceil(bottom))
        if right - left + 2 * margin <= size[0] and bottom - top + margin <= size[1]:
            return font, extent, margin
        pixels = int(pixels * 0.9)
    return None


@lru_cache
def _font(pixels: int) -> Any:
    return ImageFont.load_default(pixels)
