"""Many pictures on one."""

from collections.abc import Sequence
from math import ceil, sqrt

from PIL import Image

GAP, GROUND = 4, (32, 35, 40)  # pixels between pictures, and the colour there


def contact_sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """The pictures in rows, about as many as columns, each in a cell of the largest's size."""
    columns = ceil(sqrt(len(pictures)))
    wide, high = (max(picture.size[side] for picture in pictures) + GAP for side in (0, 1))
    sheet = Image.new("RGB", (columns * wide + GAP, ceil(len(pictures) / columns) * high + GAP), GROUND)
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (GAP + number % columns * wide, GAP + number // columns * high))
    return sheet
