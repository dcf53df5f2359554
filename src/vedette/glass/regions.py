"""Where a detector pools its regions: the map, and the window of it that is read bin by bin.

Shapes: `R` regions of one picture.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vedette.ops.boxes import to_centers, to_corners
from vedette.ops.roi import roi_max_pool
from vedette.papers.fpn import PyramidPool, level_of
from vedette.papers.rcnn import RCNN
from vedette.papers.sppnet import SPPNet, nearest_scale, project, rescale


@dataclass(frozen=True, eq=False)
class Regions:
    """The windows of all regions; the picture itself is R-CNN's map."""

    level: Tensor  # (R,) int64 which of the maps; of SPPNet which of its scales
    window: Tensor  # (R, 4) float32 in cells of that map, from the first to behind the last
    strides: tuple[float, ...]  # pixels of the input to a cell, of every map
    bins: int  # a side; of SPPNet those of its finest grid, of R-CNN the pixels of the warped window
    warped: bool = False  # R-CNN's: the window is of the picture itself

    def in_input(self) -> Tensor:
        """(R, 4) the windows in pixels of the input."""
        return self.window * torch.tensor(self.strides)[self.level, None]


def regions_of(model: Any, regions: Tensor, padded: tuple[int, int]) -> Regions:
    """Of regions (R, 4) in pixels of an input of that padded height and width."""
    if isinstance(model, RCNN):
        return _warped(model, regions)
    if isinstance(model, SPPNet):
        return _of_nearest_scales(model, regions, padded)
    return _pooled(model.pool, regions)


def _pooled(pool: Any, regions: Tensor) -> Regions:
    """Of Fast R-CNN's one map, or FPN's."""
    if isinstance(pool, PyramidPool):
        level = level_of(regions, len(pool.strides))
        window = regions / torch.tensor(pool.strides)[level, None] - (0.5 if pool.half_cell else 0.0)
        return Regions(level, window, tuple(float(stride) for stride in pool.strides), pool.size)
    window = regions * pool.scale
    if pool.pool is roi_max_pool:  # whole cells, the last one with it
        window = torch.cat([window[:, :2].round(), window[:, 2:].round() + 1], 1)
    elif pool.pool.keywords["aligned"]:
        window = window - 0.5
    return Regions(torch.zeros(len(regions), dtype=torch.int64), window, (1 / pool.scale,), pool.size)


def _of_nearest_scales(model: SPPNet, regions: Tensor, padded: tuple[int, int]) -> Regions:
    """The cells of the map of that scale whose centres lie in a region (app. A of SPPNet)."""
    c, stride = model.config, model.backbone.strides[-1]
    factors = [scale / c.scales[-1] for scale in c.scales]
    level = nearest_scale(regions, factors, c.window)
    window = torch.zeros(len(regions), 4)
    for number, factor in enumerate(factors):
        own = level == number
        sides = rescale(torch.zeros(1, 1, *padded), factor).shape[-2:]
        cells = project(regions[own] * factor, stride, c.offset, [-(-side // stride) for side in sides])
        window[own] = torch.cat([cells[:, :2], cells[:, 2:] + 1], 1)
    return Regions(level, window, tuple(stride / factor for factor in factors), c.levels[-1])


def _warped(model: RCNN, regions: Tensor) -> Regions:
    """With the pixels around it that are warped too (app. A of R-CNN)."""
    side, context = model.config.warp_size, model.config.context
    center, extent = to_centers(regions).chunk(2, 1)
    window = to_corners(torch.cat([center, extent * (side / (side - 2 * context))], 1))
    return Regions(torch.zeros(len(regions), dtype=torch.int64), window, (1.0,), side, warped=True)
