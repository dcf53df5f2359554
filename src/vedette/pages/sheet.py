"""Many pictures on one."""

from collections.abc import Sequence
from math import ceil, sqrt

from PIL import Image, ImageDraw

from vedette.pages.captions import Plate, write_caption

GAP, GROUND = 4, (32, 35, 40)  # pixels between pictures, and the colour there
LINE = 20  # pixels of a title's height


def contact_sheet(pictures: Sequence[Image.Image], columns: int | None = None) -> Image.Image:
    """The pictures in rows, each in a cell of the largest's size; about as many columns as rows unless given."""
    columns = ceil(sqrt(len(pictures))) if columns is None else min(columns, len(pictures))
    wide, high = (max(picture.size[side] for picture in pictures) + GAP for side in (0, 1))
    sheet = Image.new("RGB", (columns * wide + GAP, ceil(len(pictures) / columns) * high + GAP), GROUND)
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (GAP + number % columns * wide, GAP + number // columns * high))
    return sheet


def titled(picture: Image.Image, title: str) -> Image.Image:
    """The picture, RGB, with a line of text below it; one that does not fit is cut at its front."""
    canvas = Image.new("RGB", (picture.width, picture.height + LINE), GROUND)
    canvas.paste(picture)
    placed: list[Plate] = []
    while title and not placed:
        frame = Plate(0, 0, picture.width - 1, picture.height - 1)
        write_caption(ImageDraw.Draw(canvas), frame, title, GROUND, placed, below=True)
        title = f"…{title[2:]}" if len(title) > 2 else ""
    return canvas
