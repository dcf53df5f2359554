"""SPPNet: the convolutions look at the image once, and every proposal is pooled from their map.

He, Zhang, Ren, Sun. "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition." ECCV 2014.
arXiv:1406.4729 (v4, whose appendix is cited here)

Where the paper is in this file
    Pooling features from arbitrary windows (fig. 5) .. SPPNet.features
    Mapping a window to the feature maps (app. A) ..... project
    Spatial pyramid pooling (sec. 2.2, fig. 3) ........ pool_pyramid
    Multi-scale feature extraction (sec. 4.1) ......... nearest_scale
    Fully connected layers (fig. 5) ................... SPPNet.look
    Fine-tuning, SVMs, box regression (sec. 4.1) ...... RegionClassifier of rcnn.py

Shapes
    N proposals of a batch, B images, S scales, c channels of the last map, K bins of the pyramid (50), D = c K features
    of pool5, F of fc7. Boxes are x1 y1 x2 y2 in pixels of the network's input; cells are whole numbers, the last one
    included.

Where this file leaves the paper
    * Pictures come in at the largest scale; the others are made from that, not from the picture.
    * A proposal between the centres of two cells, which the paper's rule leaves empty, takes the cell nearest to it.
    * The layers behind the pyramid start new: nobody hands out ZF-5's. Other backbones: any of timm.
    * A negative of an SVM may overlap another one; box regression learns from proposals of IoU > 0.6, as in R-CNN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import Backbone, Looks
from vedette.backbones.timm_pyramid import TimmPyramid
from vedette.backbones.zf5 import ZF5
from vedette.ops.roi import roi_max_pool
from vedette.papers.rcnn import RegionClassifier, RegionClassifierConfig
from vedette.parts.config import Count, Ge, Le, Lt, Share
from vedette.structures import InputSpec

DIVISOR = 32  # the sides of what the convolutions see: no layer's padding depends on the image then


@dataclass(frozen=True, kw_only=True)
class SPPNetConfig(RegionClassifierConfig):
    """The paper's numbers for ZF-5."""

    scales: tuple[Annotated[int, Ge(DIVISOR)], ...] = (480, 576, 688, 864, 1200)  # sec. 4.1: pixels of the short side
    window: Count = 224  # sec. 4.1: a proposal takes the scale at which it is nearest to a square of this side
    levels: tuple[Count, ...] = (1, 2, 3, 6)  # sec. 4.1: bins a side, 50 in all
    offset: Annotated[float, Ge(0), Le(DIVISOR)] = 0.0  # app. A: pixels from the corner to the first cell's centre
    hidden: Count = 4096  # fig. 5: of fc6 and fc7
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5  # sec. 3.1
    background_iou: Share = 0.1  # sec. 4.1: background windows of fine-tuning overlap an object at least so much

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("scales", "levels"):
            values = getattr(self, name)
            if not values or list(values) != sorted(set(values)):
                raise ValueError(f"{name} is {values}: give whole numbers that rise")
        if any(self.levels[-1] % level for level in self.levels):
            raise ValueError(f"levels is {self.levels}: give numbers that divide the last of them")

    @property
    def bins(self) -> int:
        """The paper's 50."""
        return sum(level**2 for level in self.levels)


class SPPNet(RegionClassifier):
    """The detector on a backbone with one map; its convolutions stay as ImageNet left them (sec. 4.1)."""

    config: SPPNetConfig

    def __init__(self, config: SPPNetConfig, backbone: Backbone) -> None:
        c = config
        spec = InputSpec(
            size=c.scales[-1],
            resize="short side",
            max_side=round(c.scales[-1] * 5 / 3),  # Fast R-CNN's proportion; the paper sets no limit
            divisor=DIVISOR,
            **backbone.normalization,
        )
        super().__init__(c, (backbone.channels[-1] * c.bins, c.hidden), spec)
        self.backbone = backbone.requires_grad_(False)
        self.fc6, self.fc7 = nn.Linear(self.pool5_width, c.hidden), nn.Linear(c.hidden, c.hidden)

    def features(self, images: Tensor, boxes: Tensor, image: Tensor, sizes: Tensor) -> Looks:
        """The pyramids of all boxes, from the maps of those scales that some box is nearest at, and fc7 (fig. 5)."""
        c = self.config
        pool5 = images.new_zeros(len(boxes), self.pool5_width)
        chosen = nearest_scale(boxes, [scale / c.scales[-1] for scale in c.scales], c.window)
        for number in sorted(set(chosen.tolist())):
            rows = (chosen == number).nonzero().flatten()
            factor = c.scales[number] / c.scales[-1]
            (feature,) = self.backbone(rescale(images, factor))
            cells = project(boxes[rows] * factor, self.backbone.strides[-1], c.offset, feature.shape[-2:])
            for some in torch.split(torch.arange(len(rows)), c.chunk):
                pooled = pool_pyramid(feature, cells[some], image[rows[some]], c.levels)
                pool5[rows[some]] = pooled.to(pool5.dtype)
        return Looks(pool5, self.look(pool5))

    def look(self, pool5: Tensor) -> Tensor:
        """(N, D) → fc7 (N, F)."""
        fc6 = F.dropout(self.fc6(pool5).relu(), self.config.dropout, self.training)
        return F.dropout(self.fc7(fc6).relu(), self.config.dropout, self.training)


def nearest_scale(boxes: Tensor, factors: Sequence[float], window: int) -> Tensor:
    """(N,) the index of the factor that brings a box (N, 4) nearest to window × window pixels (sec. 4.1).

    Ties: the first.
    """
    area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1, keepdim=True)
    scaled = area * torch.tensor(factors, device=boxes.device).square()
    return (scaled - window**2).abs().argmin(1)


def rescale(images: Tensor, factor: float) -> Tensor:
    """Images (B, 3, H, W) at exactly that factor, padded right and below to sides that are multiples of 32."""
    if factor != 1:
        least = ceil(1 / factor)  # pixels that become one
        height, width = images.shape[-2:]
        images = F.pad(images, (0, max(0, least - width), 0, max(0, least - height)))
        images = F.interpolate(
            images, scale_factor=factor, mode="bilinear", antialias=True, recompute_scale_factor=False
        )
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % DIVISOR, 0, -height % DIVISOR))


def project(boxes: Tensor, stride: int, offset: float, grid: Sequence[int]) -> Tensor:
    """The cells whose centres, offset + stride · x, lie inside of each box (app. A): (N, 4) → (N, 4), first and last.

    Left and top: ⌊x / stride⌋ + 1; right and bottom: ⌈x / stride⌉ − 1. grid: rows and columns of the map. A box
    without such a cell gets the one nearest to its centre.
    """
    places = (boxes - offset) / stride
    first, last = places[:, :2].floor() + 1, places[:, 2:].ceil() - 1
    nearest = ((places[:, :2] + places[:, 2:]) / 2).round()
    empty = first > last
    first, last = torch.where(empty, nearest, first), torch.where(empty, nearest, last)
    limit = torch.tensor([grid[1] - 1, grid[0] - 1], device=boxes.device)
    return torch.cat([first.clamp(min=0).minimum(limit), last.clamp(min=0).minimum(limit)], 1)


def pool_pyramid(feature: Tensor, cells: Tensor, image: Tensor, levels: Sequence[int]) -> Tensor:
    """The largest values in n × n bins of each window, for every n of `levels` (sec. 2.2): → (N, c · K).

    feature (B, c, H, W), cells (N, 4), image (N,) whose; bin i of a window of w cells reaches from ⌊i w / n⌋ to
    ⌈(i + 1) w / n⌉. A bin of n is made of those of a multiple of n, so the map is read once, for the last level.
    """
    windows = torch.cat([image[:, None].to(cells.dtype), cells], 1)
    finest = roi_max_pool(feature, windows, levels[-1], scale=1.0)
    return torch.cat([F.max_pool2d(finest, levels[-1] // level).flatten(1) for level in levels], 1)


def build(backbone: str, **fields: Any) -> SPPNet:
    """On "zf5", the paper's network, or on the map at stride 16 of timm's of that name."""
    return SPPNet(SPPNetConfig(**fields), ZF5() if backbone == "zf5" else TimmPyramid(backbone, (16,)))
