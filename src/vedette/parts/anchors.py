"""Reference boxes on the grids of a feature pyramid.

Shapes: `A` anchors over all levels, `K` anchors a cell. Order: level by level, row by row, cell by cell, then K.
"""

from collections.abc import Sequence
from math import inf, sqrt

import torch
from torch import Tensor

from vedette.ops.boxes import to_centers, to_corners


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
    shapes: Tensor, rows: int, columns: int, step: float | tuple[float, float], offset: float = 0.5
) -> Tensor:
    """(rows * columns * K, 4) anchors: the K `shapes` (K, 2) around a point of every cell.

    step: a cell's side in pixels, or its height and width. offset: where the point is, in cells; 0.5 is the centre, 0
    the upper left corner.
    """
    high, wide = step if isinstance(step, tuple) else (step, step)
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
    grids: Sequence[tuple[int, int]],
    image: tuple[int, int],
    place: str,
) -> list[Tensor]:
    """(A_l, 4) of each level: in each of its cells every ratio in every one of its sizes.

    sizes, strides, grids (rows and columns): the levels'; image: the batch's height and width; place as in
    `region_anchors`.
    """
    return [
        region_anchors(region_shapes(own, ratios), rows, columns, stride, image, place)
        for own, stride, (rows, columns) in zip(sizes, strides, grids, strict=True)
    ]


def region_shapes(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """(K, 2) widths and heights of the anchors of a cell: each ratio in every size."""
    return torch.cat([ratio_shapes(size, (ratio,)) for ratio in ratios for size in sizes])


def region_anchors(
    shapes: Tensor, rows: int, columns: int, stride: float, image: tuple[int, int], place: str
) -> Tensor:
    """(rows * columns * K, 4): the shapes around the "centre" of each cell, or its "corner", as most code has it.

    "torchvision": corners, whole pixels, and the step is the batch's side over the cells, rounded down.
    """
    if place == "torchvision":
        step = (image[0] // rows, image[1] // columns)
        return grid_anchors((shapes / 2).round() * 2, rows, columns, step, offset=0.0)
    return grid_anchors(shapes, rows, columns, stride, offset=0.5 if place == "centre" else 0.0)


def limit_anchors(anchors: Tensor, width: float, height: float, *, centers: bool = True) -> Tensor:
    """(A, 4) anchors no wider and no higher than the image and, with `centers`, none centred beyond its far borders.

    Ports "clip" in this form: the anchors stay around their centres, so they may still reach out of the image.
    """
    farthest = (width, height) if centers else (inf, inf)
    return to_corners(to_centers(anchors).minimum(anchors.new_tensor([*farthest, width, height])))
