"""Boxes on pictures as they are seen, which is how other people's libraries load them: turned as their EXIF says.

An annotation may state the size of a picture as it lies in the file, or another size altogether: its boxes are in that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vedette.data.annotations import Dataset
from vedette.data.extents import SIDEWAYS, orientation_of

Floats = NDArray[np.float64]


def seen_boxes(dataset: Dataset, index: int) -> tuple[Floats, tuple[int, int]]:
    """(G, 4) boxes of an image as fractions of the picture as it is seen, and that picture's width and height."""
    start, end = dataset.ends[index : index + 2].tolist()
    to_seen, seen = seen_from(dataset, index)
    return to_seen(dataset.all_boxes[start:end].astype(np.float64)), seen


def seen_from(dataset: Dataset, index: int) -> tuple[Callable[[Floats], Floats], tuple[int, int]]:
    """What makes fractions of the picture as it is seen of boxes (G, 4) in the frame, and that picture's size."""
    size = dataset.size(index)
    frame = np.tile(np.array(size, dtype=np.float64), 2)
    with Image.open(dataset.file(index)) as image:
        orientation, raw = orientation_of(image), image.size
    seen = raw[::-1] if orientation in SIDEWAYS else raw
    lies = orientation in SIDEWAYS and size == raw != seen
    return lambda boxes: turned(boxes / frame, orientation) if lies else boxes / frame, seen


def turned(boxes: Floats, orientation: int) -> Floats:
    """Boxes (G, 4) in fractions of a picture that lies on its side, in fractions of it turned as EXIF's number says."""
    x1, y1, x2, y2 = boxes.T
    corners = {
        5: (y1, x1, y2, x2),
        6: (1 - y2, x1, 1 - y1, x2),
        7: (1 - y2, 1 - x2, 1 - y1, 1 - x1),
        8: (y1, 1 - x2, y2, 1 - x1),
    }
    return np.stack(corners[orientation], 1)
