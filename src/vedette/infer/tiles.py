"""Large pictures in overlapping tiles, so that small objects are seen large; the whole picture is one more look.

An object across a tile's border is seen in part there. Where neighbours overlap by more than the object's size, one of
them sees it whole. So a box that a tile holds whole is left to that tile, if another tile cuts it or if it comes from
the look at the whole of a much larger picture, where it is small. Parts of objects larger than the overlap fall to a
box that nothing cuts, unless its score is far below theirs. The rest meets in the model's own suppression.

Shapes: `K` detections of all looks at a picture.
"""

from collections.abc import Callable, Sequence
from math import ceil
from numbers import Real

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vedette.errors import InputError
from vedette.infer.multiscale import Tiles, suppression_of
from vedette.infer.pictures import in_batches
from vedette.infer.scores import Least, floor_of
from vedette.ops.boxes import area
from vedette.parts.detection import Candidates, suppress, unpad
from vedette.structures import Detections

Window = tuple[int, int, int, int]  # x1 y1 x2 y2, pixels of the picture
See = Callable[[Sequence[Image.Image]], list[Detections]]  # what is found in pictures, in the pixels of each

OVERLAP = 0.2
MOST_OVERLAP = 0.9  # a hundred looks at every pixel
LEAST_SIDE, LARGEST_SIDE = 32, 65536  # pixels
NEAR = 0.02  # of a tile's side: a box that ends so near an inner border of it is cut there
COARSE = 2  # tiles' sides of a picture, beyond which the tiles alone are asked for what they hold
BLOCK = 256  # cut boxes that are compared with all others at once
TRUSTED = 0.5  # of a part's score has the whole of it to have: from a least score of 0.5 on it always has
COVERED = 0.5  # of a cut box, by a box of its class that nothing cuts: they are of one object


def plan_tiles(side: int | None, overlap: float | None = None) -> Tiles | None:
    """Tiles of so many pixels a side, None for none; neighbours have a share of `overlap` in common, or 0.2.

    Raises InputError for sides and shares that cannot be.
    """
    if side is None:
        if overlap is not None:
            raise InputError("overlap is of tiles alone: give their side too, or leave it out")
        return None
    if not isinstance(side, int | np.integer) or isinstance(side, bool) or not LEAST_SIDE <= side <= LARGEST_SIDE:
        raise InputError(f"tiles is {side!r}: give the pixels of a side, a whole number from {LEAST_SIDE} on")
    share = OVERLAP if overlap is None else overlap
    if not isinstance(share, Real) or not 0 <= share <= MOST_OVERLAP:
        raise InputError(f"overlap is {share!r}: give the share of a tile, from 0 to {MOST_OVERLAP}")
    return Tiles(int(side), float(share))


def windows(width: int, height: int, tiles: Tiles) -> list[Window]:
    """What of a picture is looked at: all of it, and its tiles row by row; all of it alone where it is one tile."""
    whole = (0, 0, width, height)
    across, down = (_starts(length, tiles) for length in (width, height))
    own = [(x, y, min(x + tiles.side, width), min(y + tiles.side, height)) for y in down for x in across]
    return [whole, *own] if len(own) > 1 else [whole]


def _starts(length: int, tiles: Tiles) -> list[int]:
    """Where tiles begin along a side, as few as overlap enough, evenly spread from one end to the other."""
    room = max(0, length - tiles.side)
    steps = ceil(room / max(1, int(tiles.side * (1 - tiles.overlap))))
    return [round(room * step / steps) for step in range(steps + 1)] if steps else [0]


def look_in_tiles(
    see: See, pictures: Sequence[Image.Image], tiles: Tiles, batch_size: int, model: object, score: Least
) -> list[Detections]:
    """What is found in each picture, by looks at all its windows, up to `batch_size` of them at once.

    A picture that is one tile is looked at as ever. Of others the detections' source is -1.
    """
    plans = [windows(*picture.size, tiles) for picture in pictures]
    places = [(picture, window) for picture, plan in zip(pictures, plans, strict=True) for window in plan]
    shares = [1 / len(plan) for plan in plans for _ in plan]  # of a picture
    seen: list[Detections] = []
    for batch in in_batches((_crop(*place) for place in places), batch_size):
        seen += see(batch)
        if tiles.watch is not None:
            tiles.watch(sum(shares[: len(seen)]))
    found = []
    for plan in plans:
        own, seen = seen[: len(plan)], seen[len(plan) :]
        found.append(own[0] if len(plan) == 1 else merge_tiles(own, plan, tiles, model, score))
    return found


def _crop(picture: Image.Image, window: Window) -> Image.Image:
    return picture if window == (0, 0, *picture.size) else picture.crop(window)


def merge_tiles(
    seen: Sequence[Detections], plan: Sequence[Window], tiles: Tiles, model: object, score: Least
) -> Detections:
    """The detections of one picture from those in each of its windows, of which the first is all of it.

    The model's own suppression goes over what no border cuts, and what is cut and nobody saw whole. As many stay as the
    model keeps of a picture for each of the looks.
    """
    config, places = suppression_of(model), torch.tensor(plan)
    looks = torch.arange(len(plan)).repeat_interleave(torch.tensor([len(one) for one in seen]))  # (K,)
    boxes = torch.cat([one.boxes + place[:2].repeat(2) for one, place in zip(seen, places, strict=True)])
    scores, labels = (torch.cat([getattr(one, name) for one in seen]) for name in ("scores", "labels"))
    cut = _cut(boxes, places[looks], places[0], tiles)
    coarse = (looks == 0) & (max(plan[0]) > COARSE * tiles.side)
    stays = ~((cut | coarse) & _held(boxes, places, tiles))
    boxes, scores, labels, cut = (values[stays] for values in (boxes, scores, labels, cut))
    stays = ~_covered(boxes, scores, labels, cut)
    boxes, scores, labels = (values[stays][None] for values in (boxes, scores, labels))
    floor = floor_of(score) if isinstance(score, tuple) else score
    given, keep = Candidates(boxes, scores, labels, torch.full_like(labels, -1)), config.keep * len(plan)
    return unpad(suppress(given, iou=config.nms_iou, keep=keep, floor=floor, method=config.nms).kept)[0]


def _cut(boxes: Tensor, windows: Tensor, whole: Tensor, tiles: Tiles) -> Tensor:
    """(K,) bool: which boxes (K, 4) end at a border of their windows (K, 4) that is none of the picture's."""
    near, inner = NEAR * tiles.side, windows != whole
    return (inner & ((boxes - windows).abs() <= near)).any(1)


def _held(boxes: Tensor, places: Tensor, tiles: Tiles) -> Tensor:
    """(K,) bool: which boxes (K, 4) lie in a tile, away from its inner borders: it sees all of them."""
    whole, inwards = places[0], NEAR * tiles.side * torch.tensor([1, 1, -1, -1])
    no_border = torch.tensor([-torch.inf, -torch.inf, torch.inf, torch.inf])
    held = torch.zeros(len(boxes), dtype=torch.bool)
    for place in places[1:]:
        limits = torch.where(place != whole, place + inwards, no_border)
        held |= (boxes[:, :2] > limits[:2]).all(1) & (boxes[:, 2:] < limits[2:]).all(1)
    return held


def _covered(boxes: Tensor, scores: Tensor, labels: Tensor, cut: Tensor) -> Tensor:
    """(K,) bool: which cut boxes are parts of one of their class that is not cut."""
    covered, uncut = torch.zeros_like(cut), (~cut).nonzero()[:, 0]
    for rows in torch.split(cut.nonzero()[:, 0], BLOCK):
        low = torch.maximum(boxes[rows, None, :2], boxes[uncut, :2])
        high = torch.minimum(boxes[rows, None, 2:], boxes[uncut, 2:])
        shared = (high - low).clamp_(min=0).prod(2)  # (rows, uncut)
        of_it = (shared >= COVERED * area(boxes[rows])[:, None]) & (labels[rows, None] == labels[uncut])
        covered[rows] = (of_it & (scores[uncut] >= TRUSTED * scores[rows, None])).any(1)
    return covered
