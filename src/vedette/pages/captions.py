"""Captions on a picture: plates that fit into it, avoid one another, and hold text that can be read on their colour."""

import math
from bisect import bisect
from collections.abc import Sequence
from typing import NamedTuple

from PIL import ImageDraw
from PIL.ImageFont import FreeTypeFont

from vedette.pages.fonts import Fonts, load, system_fonts
from vedette.pages.letters import clean, clusters, in_order

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
SMALLEST_TEXT, LONGEST_TEXT = 9, 200  # pixels, letters

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
    canvas: ImageDraw.ImageDraw,
    box: Plate,
    text: str,
    colour: Colour,
    placed: list[Plate],
    below: bool = False,
    fonts: Fonts | None = None,
) -> None:
    """Writes a box's caption beside those in `placed` and enters it there; one that does not fit is left out.

    A long one is written smaller, then cut: its last word, the score, stays.
    """
    size, seen = canvas.im.size, in_order(clean(text))
    line = _fit(seen, size, fonts or system_fonts()) if seen else None
    if line is None or not line.pieces:
        return
    plate = place(size, box, line.plate, placed, below)
    canvas.rectangle((plate.left, plate.top, plate.right - 1, plate.bottom - 1), fill=colour)
    left, base = plate.left + line.margin - line.extent.left, plate.top + line.margin // 2 - line.extent.top
    for piece, font, start in line.pieces:
        canvas.text((left + start, base), piece, text_colour(colour), font, anchor="ls")
    placed.append(plate)


class Line(NamedTuple):
    """A caption as it is set: pieces of text, each in its font and so far right of the first."""

    pieces: list[tuple[str, FreeTypeFont, float]]
    extent: Plate  # around the start of the line on which the letters stand
    margin: int

    @property
    def plate(self) -> tuple[int, int]:
        """Width and height of the plate."""
        across = self.extent.right - self.extent.left + 2 * self.margin
        return across, self.extent.bottom - self.extent.top + self.margin

    def fits(self, size: tuple[int, int]) -> bool:
        """Whether the plate fits into a picture of this width and height."""
        return self.plate[0] <= size[0] and self.plate[1] <= size[1]


def _fit(text: str, size: tuple[int, int], fonts: Fonts) -> Line | None:
    """The caption in the largest suitable size in which it fits into the picture, cut where it must be; or None."""
    pixels = max(12, round(math.sqrt(size[0] * size[1]) / 30))
    least = max(SMALLEST_TEXT, pixels // 2)
    whole = text if len(text) <= LONGEST_TEXT else _cut(text, LONGEST_TEXT)
    while pixels >= least:
        line = _set(whole, pixels, fonts)
        if line.fits(size):
            return line
        pixels = int(pixels * 0.9)
    for smaller in dict.fromkeys((least, SMALLEST_TEXT)):
        lengths = range(1, len(clusters(whole)) + 1)
        fitting = bisect(lengths, False, key=lambda length: not _set(_cut(whole, length), smaller, fonts).fits(size))
        if fitting:
            return _set(_cut(whole, fitting), smaller, fonts)
    return None


def _cut(text: str, length: int) -> str:
    """The first letters, so many, and the last word where it is as short as a score."""
    name, _, last = text.rpartition(" ")
    if not name or len(last) > len("0.00"):
        name, last = text, ""
    head = clusters(name)[:length]
    return text if "".join(head) == name else f"{''.join(head).rstrip()}… {last}".rstrip()


def _set(text: str, pixels: int, fonts: Fonts) -> Line:
    """The caption in letters of this size, as high as any other in the same fonts unless its letters are higher."""
    pieces, across, boxes = [], 0.0, [(0.0, 0.0, 0.0, 0.0)]
    for piece, source in fonts.runs(text):
        font = load(source, pixels)
        left, top, right, bottom = font.getbbox(piece, anchor="ls")
        _, usual_top, _, usual_bottom = font.getbbox("Ágjy", anchor="ls")
        boxes.append((left + across, min(top, usual_top), right + across, max(bottom, usual_bottom)))
        pieces.append((piece, font, across))
        across += font.getlength(piece)
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    extent = Plate(math.floor(min(lefts)), math.floor(min(tops)), math.ceil(max(rights)), math.ceil(max(bottoms)))
    return Line(pieces, extent, max(2, pixels // 4))
