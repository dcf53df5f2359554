"""Features of regions: a grid of values from each region of interest, whatever its size.

Shapes: `B` images, `K` regions of the whole batch, `C` channels, `S` cells a side.
"""

import torch
from torch import Tensor
from torchvision import ops


def roi_max_pool(feature: Tensor, rois: Tensor, size: int, scale: float) -> Tensor:
    """The largest value in each of S × S parts of a region (Fast R-CNN, section 2.1).

    feature (B, C, H, W); rois (K, 5), boxes in pixels behind the number of their image (`numbered`); scale: cells a
    pixel. The corners are rounded to whole cells and a region has at least one of them, as in the authors' code.
    → (K, C, S, S), in the feature's dtype.
    """
    pooled: Tensor = ops.roi_pool(feature.float(), rois, size, scale)
    return pooled.to(feature.dtype)


def roi_align(
    feature: Tensor, rois: Tensor, size: int, scale: float, *, samples: int = 2, aligned: bool = False
) -> Tensor:
    """The mean of samples × samples interpolated values in each of S × S parts of a region (He et al., ICCV 2017).

    Arguments and result as in `roi_max_pool`; nothing is rounded. aligned: half a cell is subtracted first, so that a
    cell's value stands at its centre (detectron2, mmdet); without it as in the paper's first code and torchvision's
    detectors. samples 0: as many as the part has cells, at least one.
    """
    pooled: Tensor = ops.roi_align(feature.float(), rois, size, scale, samples, aligned)
    return pooled.to(feature.dtype)


def numbered(rois: Tensor) -> Tensor:
    """R regions of each image (B, R, 4) → (B * R, 5): each behind the number of its image."""
    images = torch.arange(len(rois), device=rois.device, dtype=torch.float32)
    return torch.cat([images.repeat_interleave(rois.shape[1])[:, None], rois.float().flatten(0, 1)], 1)
