"""SSD's random windows, and where boxes and pixels fall when a window becomes the input. No torch here.

`G` boxes, x1 y1 x2 y2 in pixels of the image. A sample is one small piece of work: numpy's calls cost it a third of
what torch's do, and all fifty trials of a crop are judged at once.
"""

import math
from typing import cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Boxes = NDArray[np.float32]  # (G, 4)
Window = tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels of the image; may reach beyond it

ZOOM_OUT_PROBABILITY = 0.5
MAX_ZOOM_OUT = 4.0  # of a side: a canvas of up to 16 times the area
CROP_MODES = (None, 0.1, 0.3, 0.5, 0.7, 0.9, 0.0)  # whole image, minimum IoUs, a crop without constraint
CROP_TRIALS = 50
MIN_CROP_SIDE = 0.3
MAX_ASPECT = 2.0


def draw_zoom_out(width: int, height: int, random: Generator, largest: float = MAX_ZOOM_OUT) -> Window:
    """A canvas around an image, anywhere, its side ratio uniform in 1..`largest`; half the time the image itself."""
    chance, zoom, across, down = random.random(4).tolist()
    if chance >= ZOOM_OUT_PROBABILITY:
        return 0.0, 0.0, float(width), float(height)
    ratio = 1 + (largest - 1) * zoom
    left, top = across * (ratio - 1) * width, down * (ratio - 1) * height
    return -left, -top, ratio * width - left, ratio * height - top


def draw_crop(boxes: Boxes, canvas: Window, random: Generator) -> Window:
    """A window of the canvas, by one of the seven modes with equal probability; a mode that finds none is drawn anew.

    boxes: (G, 4) of the objects, in the pixels in which `canvas` is given.
    """
    while True:
        min_iou = CROP_MODES[int(random.random() * len(CROP_MODES))]
        window = canvas if min_iou is None else try_crops(boxes, canvas, min_iou, random)
        if window is not None:
            return window


def try_crops(boxes: Boxes, canvas: Window, min_iou: float, random: Generator) -> Window | None:
    """The first of 50 random windows that suits, or None.

    A window's sides are 0.3..1 of the canvas's, its aspect 1/2..2, its edges on whole pixels as in SSD's code. It suits
    when it holds the centre of an object and, as in SSD's own sampler, *any one* object (not each) has at least
    `min_iou` with it. Without objects only windows without a constraint suit.
    """
    if not len(boxes) and min_iou > 0:
        return None
    windows = _draw_windows(canvas, random)
    width, height = windows[2] - windows[0], windows[3] - windows[1]
    least = np.minimum(width, height)
    suits: NDArray[np.bool_] = (np.maximum(width, height) <= MAX_ASPECT * least) & (least > 0)
    if len(boxes):
        suits &= _hold_a_centre(windows, boxes)
    if min_iou > 0 and suits.any():
        suits &= (_overlaps(windows, boxes) >= min_iou).any(1)
    found = int(suits.argmax())
    return cast(Window, tuple(windows[:, found].tolist())) if suits[found] else None


def centres_inside(boxes: Boxes, window: Window) -> NDArray[np.bool_]:
    """Whether the centres of boxes (G, 4) lie in the window: (G,)."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside: NDArray[np.bool_] = (centres >= window[:2]) & (centres <= window[2:])
    return np.asarray(inside.all(1))


def map_boxes(boxes: Boxes, *, window: Window, size: tuple[int, int], flip: bool) -> Boxes:
    """Boxes (G, 4) in pixels of the image, in those of the window resized to width x height: clipped, then flipped."""
    x1, y1, x2, y2 = window
    width, height = size
    places = (boxes - np.array((x1, y1, x1, y1))) * np.array((width, height) * 2)
    places /= np.array((x2 - x1, y2 - y1) * 2)
    places = np.minimum(np.maximum(places, 0), (width, height, width, height))
    if flip:
        places[:, [0, 2]] = width - places[:, [2, 0]]
    return np.asarray(places, np.float32)


def visible_part(image: tuple[int, int], window: Window, size: int) -> tuple[tuple[int, int, int, int], Window] | None:
    """Where in the output the image lies, in whole pixels inside it, and what of the image belongs exactly there.

    None when no whole pixel of the output shows the image.
    """
    places, sources = [], []
    for side, start, end in zip(image, window[:2], window[2:], strict=True):
        scale = size / (end - start)
        first = max(0, math.ceil(-start * scale - 1e-4))
        last = min(size, math.floor((side - start) * scale + 1e-4))
        if last <= first:
            return None
        places.append((first, last))
        sources.append((max(0.0, start + first / scale), min(float(side), start + last / scale)))
    (left, right), (top, bottom) = places
    (x1, x2), (y1, y2) = sources
    return (left, top, right, bottom), (x1, y1, x2, y2)


def _draw_windows(canvas: Window, random: Generator) -> NDArray[np.float64]:
    """(4, 50) windows in the canvas, whatever their aspect."""
    draws = random.random((2, 2, CROP_TRIALS))  # sides and places, of x and y
    corner, end = np.array(canvas).reshape(2, 2, 1)
    sides = (MIN_CROP_SIDE + (1 - MIN_CROP_SIDE) * draws[0]) * (end - corner)
    first = corner + draws[1] * (end - corner - sides)
    windows = np.stack([first, first + sides]).round()
    whole: NDArray[np.float64] = np.minimum(np.maximum(windows, np.ceil(corner)), np.floor(end))
    return whole.reshape(4, CROP_TRIALS)


def _hold_a_centre(windows: NDArray[np.float64], boxes: Boxes) -> NDArray[np.bool_]:
    """(50,) whether a window (4, 50) holds the centre of a box."""
    x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2).T
    x1, y1, x2, y2 = windows[..., None]
    held: NDArray[np.bool_] = ((x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)).any(1)
    return held


def _overlaps(windows: NDArray[np.float64], boxes: Boxes) -> NDArray[np.float64]:
    """(50, G) IoU of windows (4, 50) and boxes with an area."""
    x1, y1, x2, y2 = windows[..., None]
    left, top, right, bottom = boxes.T
    width = (np.minimum(x2, right) - np.maximum(x1, left)).clip(min=0)
    height = (np.minimum(y2, bottom) - np.maximum(y1, top)).clip(min=0)
    inner = width * height
    overlaps: NDArray[np.float64] = inner / ((x2 - x1) * (y2 - y1) + (right - left) * (bottom - top) - inner)
    return overlaps
