"""One image of the report: what was found, missed and wrongly found, drawn on the photograph."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Kind = Literal["hit", "false", "missed", "annotated", "ignored"]

COLOURS: dict[Kind, str] = {
    "hit": "#1fa971",
    "false": "#e5383b",
    "missed": "#ffb000",
    "annotated": "#ffffff",
    "ignored": "#a3a9b2",
}
SIDE = 640  # pixels of a picture's longer side
DASH = 7


@dataclass(frozen=True)
class Mark:
    """One box to draw: solid for a detection, dashed for an annotated box."""

    box: tuple[float, ...]  # x1 y1 x2 y2 in pixels of the picture as given
    kind: Kind
    caption: str
    dashed: bool


def draw_marks(picture: Image.Image, marks: list[Mark]) -> Image.Image:
    """A copy with its longer side at 640 pixels and the marks on it, in the order given, captions on top of all."""
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    canvas = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    boxes = [_on_canvas(mark.box, scale, size) for mark in marks]
    for mark, box in zip(marks, boxes, strict=True):
        (_dashed if mark.dashed else _solid)(draw, box, COLOURS[mark.kind])
    for mark, box in zip(marks, boxes, strict=True):
        if mark.caption:
            _caption(draw, mark, box, size)
    return canvas


def _on_canvas(box: tuple[float, ...], scale: float, size: tuple[int, int]) -> list[float]:
    """The box in pixels of the canvas, its last pixel inside."""
    x1, y1, x2, y2 = (value * scale for value in box)
    return [x1, y1, max(x1, min(x2, size[0]) - 1), max(y1, min(y2, size[1]) - 1)]


def _solid(draw: ImageDraw.ImageDraw, box: list[float], colour: str) -> None:
    draw.rectangle(box, outline=colour, width=3)


def _dashed(draw: ImageDraw.ImageDraw, box: list[float], colour: str) -> None:
    """Dashes in the colour on a dark line, so that they show on bright and on dark ground."""
    x1, y1, x2, y2 = box
    draw.rectangle(box, outline="#202328", width=2)
    for (ax, ay), (bx, by) in pairwise([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)]):
        length = max(abs(bx - ax), abs(by - ay))
        for start in range(0, int(length) + 1, 2 * DASH):
            first, last = start / max(length, 1), min(1.0, (start + DASH) / max(length, 1))
            ends = [ax + (bx - ax) * first, ay + (by - ay) * first, ax + (bx - ax) * last, ay + (by - ay) * last]
            draw.line(ends, fill=colour, width=2)


def _caption(draw: ImageDraw.ImageDraw, mark: Mark, box: list[float], size: tuple[int, int]) -> None:
    """Above a detection and below an annotated box, where there is room; else inside."""
    font = ImageFont.load_default(size=17)
    width, height = draw.textlength(mark.caption, font=font) + 8, 23
    if mark.dashed:
        top = box[3] + 1 if box[3] + 1 + height <= size[1] else box[3] - height
    else:
        top = box[1] - height + 1 if box[1] >= height else box[1]
    left = max(0.0, min(box[0], size[0] - width))
    draw.rectangle([left, top, left + width - 1, top + height - 1], fill=COLOURS[mark.kind])
    ink = "#202328" if mark.kind in ("missed", "annotated", "ignored") else "#ffffff"
    draw.text((left + 4, top + 1), mark.caption, fill=ink, font=font)
