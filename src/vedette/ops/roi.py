"""Features of regions: a grid of values from each region of interest, whatever its size.

Shapes: `B` images, `K` regions of the whole batch, `C` channels, `S` cells a side.
"""

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from vedette.ops.boxes import exact


def roi_max_pool(feature: Tensor, rois: Tensor, size: int, scale: float) -> Tensor:
    """The largest value in each of S × S parts of a region (Fast R-CNN, section 2.1).

    feature (B, C, H, W); rois (K, 5), boxes in pixels behind the number of their image (`numbered`); scale: cells a
    pixel. The corners are rounded to whole cells and a region has at least one of them, as in the authors' code.
    → (K, C, S, S), in the feature's dtype.
    """
    from torchvision import ops  # takes longer to import than torch

    maps = exact(feature)
    pooled: Tensor = ops.roi_pool(maps, rois.to(maps), size, scale)
    return pooled.to(feature.dtype)


def roi_align(
    feature: Tensor, rois: Tensor, size: int, scale: float, *, samples: int = 2, aligned: bool = False
) -> Tensor:
    """The mean of samples × samples interpolated values in each of S × S parts of a region (He et al., ICCV 2017).

    Arguments and result as in `roi_max_pool`; nothing is rounded. aligned: half a cell is subtracted first, so that a
    cell's value stands at its centre (detectron2, mmdet); without it as in the paper's first code and torchvision's
    detectors. samples 0: as many as the part has cells, at least one.
    """
    maps = exact(feature)
    rois = rois.to(maps)
    if feature.device.type == "cpu" and samples > 0 and not torch.compiler.is_exporting():
        return _weighted_cells(maps, rois, size, scale, samples, aligned).to(feature.dtype)
    from torchvision import ops

    pooled: Tensor = ops.roi_align(maps, rois, size, scale, samples, aligned)
    return pooled.to(feature.dtype)


def _weighted_cells(feature: Tensor, rois: Tensor, size: int, scale: float, samples: int, aligned: bool) -> Tensor:
    """RoIAlign as weighted sums of whole cells, all channels at once: n = 2 · samples rows and columns a part.

    The kernel of torchvision interpolates every channel by itself, and on a CPU its gradient has one thread.
    """
    channels, height, width = feature.shape[1:]
    corners = rois[:, 1:] * scale - (0.5 if aligned else 0.0)
    start, extent = corners[:, :2], corners[:, 2:] - corners[:, :2]
    if not aligned:
        extent = extent.clamp(min=1.0)
    columns, across = _taps(start[:, 0], extent[:, 0], size, samples, width)  # (K, S, n)
    rows, down = _taps(start[:, 1], extent[:, 1], size, samples, height)
    first_row = rois[:, 0].long()[:, None, None] * height
    cells = ((first_row + rows) * width)[:, :, None, :, None] + columns[:, None, :, None, :]  # (K, S, S, n, n)
    weights = down[:, :, None, :, None] * across[:, None, :, None, :]
    every_cell = feature.permute(0, 2, 3, 1).reshape(-1, channels)
    taps = (len(rois) * size * size, (2 * samples) ** 2)
    pooled = embedding_bag(cells.reshape(taps), every_cell, per_sample_weights=weights.reshape(taps), mode="sum")
    return pooled.view(len(rois), size, size, channels).permute(0, 3, 1, 2)


def _taps(start: Tensor, extent: Tensor, size: int, samples: int, cells: int) -> tuple[Tensor, Tensor]:
    """Along one side: which cells the samples of each part are interpolated between, and how much each counts.

    start, extent (K,) in cells. A sample more than a cell outside counts nothing. → twice (K, S, 2 · samples).
    """
    steps = (torch.arange(size * samples, device=start.device) + 0.5) / (size * samples)
    place = start[:, None] + steps * extent[:, None]  # (K, S · samples)
    seen = (place >= -1) & (place <= cells)
    place = torch.where(seen, place, 0.0).clamp(0, cells - 1)
    low = place.floor()
    beyond = place - low
    between = torch.stack([low, (low + 1).clamp(max=cells - 1)], -1).long()
    counts = torch.stack([1 - beyond, beyond], -1) * seen[..., None] / samples
    shape = (len(start), size, 2 * samples)
    return between.view(shape), counts.view(shape)


def numbered(rois: Tensor) -> Tensor:
    """R regions of each image (B, R, 4) → (B * R, 5): each behind the number of its image."""
    images = torch.arange(rois.shape[0], device=rois.device, dtype=torch.float32)[:, None, None]
    return torch.cat([images.expand(-1, rois.shape[1], -1), rois.float()], 2).flatten(0, 1)
