"""Boxes on a picture: a colour for each class, a line that suits the picture's size, captions that can be read."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from vedette.pages.captions import Colour, Plate, text_colour, visible, write_caption
from vedette.pages.dashes import draw_dashed
from vedette.pages.fonts import Fonts

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


def draw_boxes(
    image: Image.Image,
    boxes: Sequence[Sequence[float]],
    captions: Sequence[str],
    labels: Sequence[int],
    fonts: Fonts | None = None,
    dashed: Sequence[bool] | None = None,
) -> Image.Image:
    """A copy of the picture, RGB, with boxes (x1 y1 x2 y2 in its pixels, the best first) and their captions.

    The best is drawn last, over the others; its caption has the first choice of place. A caption that does not fit
    into the picture is left out. fonts: what the captions are written with, by default the system's. dashed: whether
    each box is; none unless given.
    """
    picture = image.convert("RGB") if image.mode != "RGB" else image.copy()
    canvas = ImageDraw.Draw(picture)
    width = line_width(picture.size)
    rectangles = [visible(box, picture.size) for box in boxes]
    colours = [colour_of(label) for label in labels]
    lines = [False] * len(rectangles) if dashed is None else dashed
    for rectangle, colour, is_dashed in reversed(list(zip(rectangles, colours, lines, strict=True))):
        if is_dashed:
            draw_dashed(canvas, rectangle, colour)
        else:
            _outline(canvas, rectangle, colour, width)
    placed: list[Plate] = []
    for rectangle, caption, colour in zip(rectangles, captions, colours, strict=True):
        write_caption(canvas, _grown(rectangle, width), caption, colour, placed, fonts=fonts)
    return picture


def colour_of(label: int) -> Colour:
    """The colour of a class."""
    return PALETTE[label % len(PALETTE)]


def line_width(size: tuple[int, int]) -> int:
    """The width of a box's line in a picture of this width and height, 1 pixel or more."""
    return max(1, round(math.sqrt(size[0] * size[1]) / 150))


def _outline(canvas: ImageDraw.ImageDraw, box: Plate, colour: Colour, width: int) -> None:
    """The box's line; a thick one with a hair of black or white around it, so that it stands out anywhere."""
    if hair := width // 3:
        canvas.rectangle(_grown(box, width), None, text_colour(colour), hair)
    canvas.rectangle(box, None, colour, width)


def _grown(box: Plate, line: int) -> Plate:
    """The box with the hair around its line."""
    hair = line // 3
    return Plate(box.left - hair, box.top - hair, box.right + hair, box.bottom + hair)
