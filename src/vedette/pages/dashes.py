"""Dashed boxes: for what does not count, or was not found."""

from itertools import pairwise

from PIL import ImageDraw

from vedette.pages.captions import Colour, Plate

DARK = "#202328"
DASH = 7  # pixels


def draw_dashed(canvas: ImageDraw.ImageDraw, box: Plate, colour: Colour) -> None:
    """Dashes in the colour on a dark line, so that they show on bright and on dark ground."""
    x1, y1, x2, y2 = box
    canvas.rectangle(box, outline=DARK, width=2)
    for (ax, ay), (bx, by) in pairwise([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]):
        length = max(abs(bx - ax), abs(by - ay))
        for start in range(0, length + 1, 2 * DASH):
            first, last = start / max(length, 1), min(1.0, (start + DASH) / max(length, 1))
            ends = [ax + (bx - ax) * first, ay + (by - ay) * first, ax + (bx - ax) * last, ay + (by - ay) * last]
            canvas.line(ends, fill=colour, width=2)
