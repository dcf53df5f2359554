"""Reference boxes on the grids of a feature pyramid.

Shapes: `A` anchors over all levels, `K` anchors a cell. Order: level by level, row by row, cell by cell, then K.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import inf, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from vedette.ops.boxes import to_centers, to_corners

Grid = tuple[int, int]  # rows and columns of a level
KEPT_SIZES = 16  # of inputs, and devices, whose anchors a model keeps


class Place(NamedTuple):
    """Where an anchor is in the pyramid, each (...) int64."""

    level: Tensor
    row: Tensor
    column: Tensor
    shape: Tensor  # which of the K of its cell


@dataclass(frozen=True, eq=False)
class Anchors:
    """All anchors of an input of one size."""

    boxes: Tensor  # (A, 4)
    grids: tuple[Grid, ...]  # of each level
    per_cell: tuple[int, ...]  # K of each level

    @property
    def counts(self) -> tuple[int, ...]:
        """How many anchors each level has."""
        return tuple(rows * columns * k for (rows, columns), k in zip(self.grids, self.per_cell, strict=True))

    def where(self, index: Tensor) -> Place:
        """Level, row, column and shape of the anchors (...) of these indices."""
        ends = torch.tensor([*accumulate(self.counts)], device=index.device)
        level = torch.bucketize(index, ends, right=True)
        starts = torch.cat([ends.new_zeros(1), ends[:-1]])
        columns = torch.tensor([columns for _, columns in self.grids], device=index.device)[level]
        shapes = torch.tensor(self.per_cell, device=index.device)[level]
        cell, shape = (index - starts[level]) // shapes, (index - starts[level]) % shapes
        return Place(level, cell // columns, cell % columns, shape)


@dataclass(eq=False)
class AnchorCache:
    """The anchors of a model's last few sizes, on their devices: made once, and no part of its state dict.

    build: height and width of the input, and the levels' grids → the anchors, on the CPU.
    """

    build: Callable[[int, int, tuple[Grid, ...]], Anchors]
    kept: dict[tuple[int, int, tuple[Grid, ...], torch.device], Anchors] = field(default_factory=dict)

    def of(self, images: Tensor, maps: Sequence[Tensor]) -> Anchors:
        """The anchors on the maps (B, C, H_l, W_l) of images (B, 3, H, W), on their device."""
        grids = tuple((x.shape[2], x.shape[3]) for x in maps)
        height, width = images.shape[2:]
        if isinstance(height, torch.SymInt):  # sides that an exported graph leaves free
            made = self.build(height, width, grids)
            return replace(made, boxes=made.boxes.to(images.device))
        return self.at(height, width, grids, images.device)

    def at(self, height: int, width: int, grids: tuple[Grid, ...], device: torch.device) -> Anchors:
        """The anchors of an input of that size and the levels' grids, on that device."""
        if torch.compiler.is_compiling():  # a graph has them as constants
            return self._made(height, width, grids, device)
        key = (height, width, grids, device)
        if key not in self.kept:
            if len(self.kept) >= KEPT_SIZES:
                self.kept.pop(next(iter(self.kept)))
            self.kept[key] = self._made(height, width, grids, device)
        return self.kept[key]

    def _made(self, height: int, width: int, grids: tuple[Grid, ...], device: torch.device) -> Anchors:
        with torch.inference_mode(False):  # whoever asks first, others may train with them
            made = self.build(height, width, grids)
            return replace(made, boxes=made.boxes.to(device))


def stack_levels(levels: Sequence[Tensor], grids: Sequence[Grid], per_cell: Sequence[int] | None = None) -> Anchors:
    """The anchors of each level (A_l, 4), a cell after another, as one record; per_cell: K of each, counted if None."""
    if per_cell is None:
        per_cell = [len(level) // max(1, rows * columns) for level, (rows, columns) in zip(levels, grids, strict=True)]
    return Anchors(torch.cat(list(levels)), tuple(grids), tuple(per_cell))


def ratio_shapes(scale: float, ratios: Sequence[float]) -> Tensor:
    """(K, 2) widths and heights of area scale² in pixels; a ratio is height over width."""
    return torch.tensor([[scale / sqrt(ratio), scale * sqrt(ratio)] for ratio in ratios])


def multibox_shapes(size: float, next_size: float, ratios: Sequence[float]) -> Tensor:
    """(K, 2) widths and heights in pixels of the anchors in a cell (SSD, section 2.2).

    Squares of `size` and of the geometric mean with the next level's size, then for each ratio the wide box of area
    size² and its inverse, the high one; a ratio is the longer side over the shorter.
    """
    mean = sqrt(size * next_size)
    shapes = [(size, size), (mean, mean)]
    for ratio in ratios:
        long, short = size * sqrt(ratio), size / sqrt(ratio)
        shapes += [(long, short), (short, long)]
    return torch.tensor(shapes)


def grid_anchors(
    shapes: Tensor, rows: int, columns: int, stride: float | tuple[float, float], offset: float = 0.5
) -> Tensor:
    """(rows * columns * K, 4) anchors: the K `shapes` (K, 2) around a point of every cell.

    stride: a cell's side in pixels, or its height and width. offset: where the point is, in cells; 0.5 is the centre, 0
    the upper left corner.
    """
    high, wide = stride if isinstance(stride, tuple) else (stride, stride)
    y = (torch.arange(rows, dtype=torch.float32) + offset) * high
    x = (torch.arange(columns, dtype=torch.float32) + offset) * wide
    centers = torch.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)], -1)  # (rows, columns, 2)
    count = len(shapes)
    centers = centers[:, :, None].expand(rows, columns, count, 2)
    return to_corners(torch.cat([centers, shapes.expand(rows, columns, count, 2)], -1)).reshape(-1, 4)


def pyramid_anchors(
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
    strides: Sequence[float],
    grids: Sequence[Grid],
    image: tuple[int, int],
    place: str,
) -> Anchors:
    """In each cell of each level every ratio in every one of the level's sizes.

    sizes, strides, grids: the levels'; image: the batch's height and width; place as in `region_anchors`.
    """
    levels = [
        region_anchors(region_shapes(own, ratios), rows, columns, stride, image, place)
        for own, stride, (rows, columns) in zip(sizes, strides, grids, strict=True)
    ]
    return stack_levels(levels, grids, [len(own) * len(ratios) for own in sizes])


def region_shapes(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """(K, 2) widths and heights of the anchors of a cell: each ratio in every size."""
    return torch.cat([ratio_shapes(size, (ratio,)) for ratio in ratios for size in sizes])


def region_anchors(
    shapes: Tensor, rows: int, columns: int, stride: float, image: tuple[int, int], place: str
) -> Tensor:
    """(rows * columns * K, 4): the shapes around the "centre" of each cell, or its "corner", as most code has it.

    "torchvision": corners, whole pixels, and the stride is the batch's side over the cells, rounded down.
    """
    if place == "torchvision":
        down, across = image[0] // rows, image[1] // columns
        return grid_anchors((shapes / 2).round() * 2, rows, columns, (down, across), offset=0.0)
    return grid_anchors(shapes, rows, columns, stride, offset=0.5 if place == "centre" else 0.0)


def limit_anchors(anchors: Tensor, width: float, height: float, *, centers: bool = True) -> Tensor:
    """(A, 4) anchors no wider and no higher than the image and, with `centers`, none centred beyond its far borders.

    Ports "clip" in this form: the anchors stay around their centres, so they may still reach out of the image.
    """
    farthest = (width, height) if centers else (inf, inf)
    return to_corners(to_centers(anchors).minimum(anchors.new_tensor([*farthest, width, height])))
