"""One image of the report: what was found, missed and wrongly found, drawn on the photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw

from vedette.pages.captions import Colour, Plate, visible, write_caption
from vedette.pages.dashes import draw_dashed

Kind = Literal["hit", "false", "missed", "annotated", "ignored", "candidate", "rival"]

COLOURS: dict[Kind, str] = {
    "hit": "#1fa971",
    "false": "#e5383b",
    "missed": "#ffb000",
    "annotated": "#ffffff",
    "ignored": "#a3a9b2",
    "candidate": "#4da3ff",
    "rival": "#d58cff",
}
SIDE = 640  # pixels of a picture's longer side


@dataclass(frozen=True)
class Mark:
    """One box to draw: solid for a detection, dashed for an annotated box."""

    box: tuple[float, ...]  # x1 y1 x2 y2 in pixels of the picture as given
    kind: Kind
    caption: str
    dashed: bool


def draw_marks(picture: Image.Image, marks: list[Mark]) -> Image.Image:
    """A copy with its longer side at 640 pixels and the marks on it, in the order given, captions on top of all.

    The last mark's caption has the first choice of place: above a detection, below an annotated box.
    """
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    canvas = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    drawn = [(mark, visible([side * scale for side in mark.box], size), _rgb(COLOURS[mark.kind])) for mark in marks]
    for mark, box, colour in drawn:
        (draw_dashed if mark.dashed else _solid)(draw, box, colour)
    placed: list[Plate] = []
    for mark, box, colour in reversed(drawn):
        write_caption(draw, box, mark.caption, colour, placed, below=mark.dashed)
    return canvas


def _rgb(text: str) -> Colour:
    """#rrggbb as three numbers."""
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def _solid(draw: ImageDraw.ImageDraw, box: Plate, colour: Colour) -> None:
    draw.rectangle(box, outline=colour, width=3)
