"""FPN: features of every scale with the meaning of the deepest, and Faster R-CNN on them.

Lin, Dollár, Girshick, He, Hariharan, Belongie. "Feature Pyramid Networks for Object Detection." CVPR 2017.
arXiv:1612.03144

Where the paper is in this file
    Pyramid (fig. 3, sec. 3) .................. FeaturePyramid
    RPN on all levels (sec. 4.1) .............. FPN, in FasterRCNN of faster_rcnn.py
    Level of a region (sec. 4.2, eq. 1) ....... level_of
    Regions of all levels (sec. 4.2) .......... PyramidPool
    Two layers of 1024 (sec. 4.2) ............. FPNBackbone.top

Shapes
    B images, L levels, R regions of each image. c2 to c5 are the backbone's maps, p2 to p6 the pyramid's, at strides
    4 to 32 and 64.

Where this file leaves the paper
    * RoIAlign stands for RoI pooling, as in all later code.
    * `norm`, `head_convs` and `head_layers` of the config: batch norm in the pyramid and four convolutions in the head,
      as in the second version of torchvision's detector.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import Backbone
from vedette.backbones.regions import HIDDEN, RegionBackbone
from vedette.backbones.resnet import ResNet
from vedette.backbones.timm_pyramid import TimmPyramid
from vedette.ops.roi import numbered, roi_align
from vedette.papers.faster_rcnn import FasterRCNN, FasterRCNNConfig
from vedette.parts.config import Count, FromZero, Ge, Positive, Share, Size, check_levels

NOWHERE = -1e4  # pixels: outside of every map
CANONICAL_SIDE, CANONICAL_LEVEL = 224, 4  # sec. 4.2: a region as large as ImageNet's pictures is pooled from p4
STRIDES = (4, 8, 16, 32)  # c2 to c5


@dataclass(frozen=True, kw_only=True)
class FPNConfig(FasterRCNNConfig):
    """The paper's numbers, over Faster R-CNN's."""

    image_size: Size = 800  # sec. 5
    max_side: int = 1333  # later code; the paper has no limit
    anchor_sizes: tuple[tuple[Positive, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))  # sec. 4.1
    rpn_channels: Count = 256  # authors' code
    cross_border: bool = True  # sec. 5.1
    before_nms: tuple[Count, Count] = (2000, 1000)  # authors' code: of a level
    proposals: tuple[Count, Count] = (2000, 1000)  # sec. 5.2
    least_side: FromZero = 1e-3  # authors' code
    least_side_first: bool = False  # authors' code
    pooling: Literal["align"] = "align"
    regions: Count = 512  # sec. 5.2: of an image
    nms_iou: Share = 0.5  # authors' code
    width: Count = 256  # sec. 3: channels of every level
    head_layers: Count = 2  # sec. 4.2: of 1024
    norm: bool = False  # torchvision's second version: batch norm in the pyramid and the head's convolutions
    head_convs: Annotated[int, Ge(0)] = 0  # torchvision's second version: 3×3 convolutions before the layers
    stride_in_1x1: bool = False  # detectron2: where a stage's stride is in the ResNet; torchvision: in the 3×3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels("anchor_sizes", self.anchor_sizes, len(STRIDES) + 1)


class FeaturePyramid(nn.Module):
    """From the coarse to the fine: each map's 1×1 plus the coarser sum, twice as large; a 3×3 on each (fig. 3)."""

    def __init__(self, channels: Sequence[int], width: int, norm: bool = False) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(conv(n, width, 1, norm) for n in channels)
        self.outputs = nn.ModuleList(conv(width, width, 3, norm) for _ in channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps from fine to coarse → as many of `width` channels and the same sizes."""
        sums: list[Tensor] = []
        for lateral, x in zip(reversed(self.laterals), reversed(maps), strict=True):
            own = lateral(x)
            sums.insert(0, own + F.interpolate(sums[0], own.shape[-2:], mode="nearest") if sums else own)
        return [output(x) for output, x in zip(self.outputs, sums, strict=True)]


class FPNBackbone(RegionBackbone):
    """c2 to c5 of any backbone as p2 to p6, and the layers that go on from 7×7 of one of them."""

    pooled = 7
    strides = (*STRIDES, 64)

    def __init__(self, body: Backbone, *, width: int, norm: bool, head_convs: int, head_layers: int) -> None:
        super().__init__()
        self.body, self.normalization = body, body.normalization
        self.channels = (width,) * len(self.strides)
        self.pyramid = FeaturePyramid(body.channels, width, norm)
        self.convs = nn.Sequential()
        for _ in range(head_convs):
            self.convs.extend((conv(width, width, 3, norm), nn.ReLU(inplace=True)))
        widths = [width * self.pooled**2] + [HIDDEN] * head_layers
        self.layers = nn.Sequential()
        for incoming in widths[:-1]:
            self.layers.extend((nn.Linear(incoming, HIDDEN), nn.ReLU(inplace=True)))
        self.top_channels = HIDDEN

    @property
    def pretrained(self) -> Backbone:
        """The backbone below the pyramid."""
        return self.body

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) → p2, p3, p4, p5 and p6, which is every second cell of p5 (sec. 4.1)."""
        p2, p3, p4, p5 = self.pyramid(self.body(x))
        return p2, p3, p4, p5, F.max_pool2d(p5, 1, 2)

    def top(self, pieces: Tensor) -> Tensor:
        """(R, 256, 7, 7) → (R, 1024)."""
        vector: Tensor = self.layers(self.convs(pieces).flatten(1))
        return vector

    def top_layers(self) -> Iterator[nn.Module]:
        """The head's convolutions, if any, and its layers of 1024."""
        yield from (self.convs, self.layers)

    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""
        return self.body.stem()

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the state dict of the classifier that the backbone comes from."""
        self.body.load_imagenet(weights)


class PyramidPool(nn.Module):
    """S × S values from each region, of the level that fits its size (sec. 4.2)."""

    def __init__(self, strides: Sequence[int], size: int, samples: int, half_cell: bool) -> None:
        super().__init__()
        self.strides, self.size, self.samples, self.half_cell = tuple(strides), size, samples, half_cell

    def forward(self, features: Sequence[Tensor], regions: Tensor) -> Tensor:
        """L or more maps (B, c, H_l, W_l), regions (B, R, 4) → (B * R, c, S, S)."""
        rois, level = numbered(regions), level_of(regions.flatten(0, 1), len(self.strides))
        pool = self.from_own_level if rois.device.type == "cpu" else self.from_all_levels
        return pool(features, rois, level)

    def from_own_level(self, features: Sequence[Tensor], rois: Tensor, level: Tensor) -> Tensor:
        """Each level is asked for its regions, rois (K, 5) and level (K,): the host must know how many they are."""
        rows = [(level == number).nonzero().squeeze(1) for number in range(len(self.strides))]
        return torch.cat(self._pool(features, [rois[own] for own in rows]))[torch.cat(rows).argsort()]

    def from_all_levels(self, features: Sequence[Tensor], rois: Tensor, level: Tensor) -> Tensor:
        """The same for a GPU, which never waits: each level is asked for all regions, and the answers are summed.

        Those of other levels are moved to where there is no map: nothing is read for them, and their values are 0.
        """
        nowhere = torch.cat([rois[:, :1], torch.full_like(rois[:, 1:], NOWHERE)], 1)
        own = [torch.where((level == number)[:, None], rois, nowhere) for number in range(len(self.strides))]
        return reduce(torch.add, self._pool(features, own))

    def _pool(self, features: Sequence[Tensor], rois: Sequence[Tensor]) -> list[Tensor]:
        """From each level the regions that are given for it."""
        return [
            roi_align(x, own, self.size, 1 / stride, samples=self.samples, aligned=self.half_cell)
            for x, own, stride in zip(features, rois, self.strides, strict=False)
        ]


def level_of(boxes: Tensor, levels: int = len(STRIDES)) -> Tensor:
    """(N, 4) → (N,) which of the levels from p2 on, 0..L-1: ⌊4 + log2(√(wh) / 224)⌋ - 2 (eq. 1), cut at both ends."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).unbind(1)
    octaves = torch.log2((width * height).sqrt().clamp(min=1e-6) / CANONICAL_SIDE)
    return (octaves + CANONICAL_LEVEL + 1e-6).floor().long().sub(2).clamp(0, levels - 1)


def conv(incoming: int, outgoing: int, kernel: int, norm: bool = False) -> nn.Module:
    """A convolution that keeps the size, with batch norm or a bias; Kaiming's weights."""
    layer = nn.Conv2d(incoming, outgoing, kernel, padding=kernel // 2, bias=not norm)
    nn.init.kaiming_uniform_(layer.weight, a=1)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layer, nn.BatchNorm2d(outgoing)) if norm else layer


def build(backbone: str, **fields: Any) -> FasterRCNN:
    """On "resnet50" or "resnet101", or on timm's of that name, with maps at strides 4 to 32."""
    c = FPNConfig(**fields)
    depths: dict[str, Literal[50, 101]] = {"resnet50": 50, "resnet101": 101}
    if backbone in depths:
        resnet: dict[str, Any] = {"with_c2": True, "stride_in_1x1": c.stride_in_1x1, "train_norm": c.train_norm}
        body: Backbone = ResNet(depths[backbone], **resnet)
    else:
        body = TimmPyramid(backbone, STRIDES, train_norm=c.train_norm)
    pyramid = FPNBackbone(body, width=c.width, norm=c.norm, head_convs=c.head_convs, head_layers=c.head_layers)
    return FasterRCNN(c, pyramid, PyramidPool(STRIDES, pyramid.pooled, c.align_samples, c.align_half_cell))
