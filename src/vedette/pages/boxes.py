"""Boxes on a picture: a colour for each class, a line that suits the picture's size, captions that can be read."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's colours for every kind of colour vision, then Paul Tol's; neighbours differ in lightness too.
PALETTE = (
    (230, 159, 0),
    (0, 114, 178),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (86, 180, 233),
    (204, 121, 167),
    (51, 34, 136),
    (153, 153, 51),
    (136, 34, 85),
    (153, 221, 255),
    (170, 68, 153),
)
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
SMALLEST_TEXT = 9  # pixels

Colour = tuple[int, int, int]


class Plate(NamedTuple):
    """The rectangle behind a caption, in whole pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def overlap(self, other: "Plate") -> int:
        """The common area."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0, width) * max(0, height)


def draw_boxes(
    image: Image.Image, boxes: Sequence[Sequence[float]], captions: Sequence[str], labels: Sequence[int]
) -> Image.Image:
    """A copy of the picture, RGB, with boxes (x1 y1 x2 y2 in its pixels, the best first) and their captions.

    The best is drawn last, over the others; its caption has the first choice of place. A caption that does not fit
    into the picture is left out.
    """
    picture = image.convert("RGB") if image.mode != "RGB" else image.copy()
    canvas = ImageDraw.Draw(picture)
    width = line_width(picture.size)
    rectangles = [_visible(box, picture.size) for box in boxes]
    colours = [colour_of(label) for label in labels]
    for rectangle, colour in reversed(list(zip(rectangles, colours, strict=True))):
        _outline(canvas, rectangle, colour, width)
    placed: list[Plate] = []
    for rectangle, caption, colour in zip(rectangles, captions, colours, strict=True):
        _caption(canvas, picture.size, rectangle, caption, colour, placed)
    return picture


def colour_of(label: int) -> Colour:
    """The colour of a class."""
    return PALETTE[label % len(PALETTE)]


def line_width(size: tuple[int, int]) -> int:
    """The width of a box's line in a picture of this width and height, 1 pixel or more."""
    return max(1, round(math.sqrt(size[0] * size[1]) / 150))


def text_colour(plate: Colour) -> Colour:
    """Black or white, whichever is easier to read on this colour."""
    red, green, blue = ((value / 255) ** 2.2 for value in plate)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return BLACK if luminance > 0.179 else WHITE  # equal contrast by WCAG's formula


def place(size: tuple[int, int], rectangle: Plate, plate: tuple[int, int], taken: Sequence[Plate]) -> Plate:
    """Where a caption's plate (width, height) goes: above the box, or where it covers the fewest others."""
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
    choices = []
    for left, top in corners:
        inside = min(max(0, left), width - across), min(max(0, top), height - down)
        choices.append(Plate(*inside, inside[0] + across, inside[1] + down))
    return min(choices, key=lambda choice: sum(choice.overlap(other) for other in taken))


def _visible(box: Sequence[float], size: tuple[int, int]) -> Plate:
    """A box in whole pixels, the last ones included, cut at the picture's borders."""
    (x1, y1, x2, y2), (width, height) = box, size
    left, top = min(max(0, round(x1)), width - 1), min(max(0, round(y1)), height - 1)
    right, bottom = min(round(x2), width) - 1, min(round(y2), height) - 1
    return Plate(left, top, max(left, right), max(top, bottom))


def _outline(canvas: ImageDraw.ImageDraw, box: Plate, colour: Colour, width: int) -> None:
    """The box's line; a thick one with a hair of black or white around it, so that it stands out anywhere."""
    if hair := width // 3:
        canvas.rectangle(_grown(box, width), None, text_colour(colour), hair)
    canvas.rectangle(box, None, colour, width)


def _grown(box: Plate, line: int) -> Plate:
    """The box with the hair around its line."""
    hair = line // 3
    return Plate(box.left - hair, box.top - hair, box.right + hair, box.bottom + hair)


def _caption(
    canvas: ImageDraw.ImageDraw, size: tuple[int, int], box: Plate, text: str, colour: Colour, placed: list[Plate]
) -> None:
    fitting = _fit(text, size) if text else None
    if fitting is None:
        return
    font, extent, margin = fitting
    across, down = extent.right - extent.left + 2 * margin, extent.bottom - extent.top + margin
    plate = place(size, _grown(box, line_width(size)), (across, down), placed)
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
