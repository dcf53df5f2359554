"""A small object of a picture, enlarged: in a report's pictures one of 12 pixels is a dot under its own frame."""

from collections.abc import Sequence
from dataclasses import replace

from vedette.evaluate.album import Pictures, framed
from vedette.pages.embed import jpeg_uri
from vedette.pages.marks import Mark, draw_marks

SMALL = 1 / 8  # of the picture's longer side: what is larger shows
AROUND = 4  # longer sides of the object to a side of the close-up
LEAST = 32  # pixels of the picture to a side: of fewer one recognises nothing
SIDE, QUALITY = 440, 85  # of the close-up

Window = tuple[int, int, int, int]


def close_up(dataset: Pictures, index: int, box: Sequence[float], marks: Sequence[Mark]) -> str:
    """The surroundings of a box (4,) of an image with the marks there, as a data URI; "" where the object is not small.

    Box and marks are in the pixels of the annotation's frame. Raises InputError for an image that cannot be read.
    """
    picture = framed(dataset, index)
    window = window_around(box, picture.size)
    if window is None:
        return ""
    left, top, right, bottom = window
    moved = [replace(one, box=(*_shifted(one.box, left, top),)) for one in marks if _meets(one.box, window)]
    return jpeg_uri(draw_marks(picture.crop((left, top, right, bottom)), moved), SIDE, QUALITY)


def window_around(box: Sequence[float], size: tuple[int, int]) -> Window | None:
    """What of a picture (width, height) a close-up of the box shows; None where the box is not small in it."""
    x1, y1, x2, y2 = box
    longer = max(x2 - x1, y2 - y1)
    if longer >= SMALL * max(size):
        return None
    sides = [min(max(round(AROUND * longer), LEAST), whole) for whole in size]
    starts = [
        min(max(round(centre - side / 2), 0), whole - side)
        for centre, side, whole in zip(((x1 + x2) / 2, (y1 + y2) / 2), sides, size, strict=True)
    ]
    return starts[0], starts[1], starts[0] + sides[0], starts[1] + sides[1]


def _meets(box: Sequence[float], window: Window) -> bool:
    return box[0] < window[2] and box[2] > window[0] and box[1] < window[3] and box[3] > window[1]


def _shifted(box: Sequence[float], left: float, top: float) -> list[float]:
    return [side - start for side, start in zip(box, (left, top, left, top), strict=True)]
