"""M2Det: a single-shot detector on a pyramid in which every scale holds features of several levels.

Zhao, Sheng, Wang, Tang, Chen, Cai, Ling. "M2Det: A Single-Shot Object Detector Based on Multi-Level Feature Pyramid
Network." AAAI 2019. arXiv:1811.04533

Where the paper is in this file
    Network (fig. 2) ............................. M2Det.forward
    Base feature, FFMv1 (fig. 4a) ................ FFMv1
    FFMv2 (fig. 4b) .............................. FFMv2
    Thinned U-shape module (fig. 4c) ............. TUM
    Multi-level features (eq. 1) ................. M2Det.multi_level
    Scale-wise aggregation (fig. 3) .............. SFAM
    Anchors (sec. "Network configurations") ...... M2Det.build_anchors
    Loss, matching, mining, inference ............ Multibox (papers/ssd.py), with linear Soft-NMS
    Ablation (tab. 2 and 3) ...................... sfam, levels, width

Shapes
    B images, A anchors over all scales, C foreground classes, L levels (TUMs), S scales (maps of a TUM).
    Boxes are x1 y1 x2 y2 in pixels of the network's input. Background is index 0 of the logits.

Where this file leaves the paper
    * An image is given at least `min_negatives`: with 3:1 alone an image without objects would teach nothing.
    * Ignored ground truth (VOC's difficult) is neither matched nor mined; training may count it as ordinary instead.
    * Other backbones than VGG-16 and ResNet-101: any of timm; the batch norm of backbones is frozen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from math import ceil
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from vedette.backbones.backbone import Backbone
from vedette.backbones.resnet import ResNet
from vedette.backbones.timm_pyramid import TimmPyramid
from vedette.backbones.vgg import VGG16
from vedette.papers.ssd import Multibox, MultiboxConfig, Predictions
from vedette.parts.anchors import AnchorCache, Anchors, Grid, grid_anchors, limit_anchors, multibox_shapes, stack_levels
from vedette.parts.box_coder import BoxCoder
from vedette.parts.config import Count, Ge, Positive, Share, Size, Suppression, check
from vedette.parts.layers import BatchNorm, MultiboxHead, initialize
from vedette.parts.sizes import check_sides
from vedette.structures import InputSpec

STRIDE = 8  # of the base feature
DIVISOR = 16  # sides are multiples of it: then both maps that FFMv1 fuses fit
FINEST_SIZE = {320: 0.08, 512: 0.06, 800: 0.04}  # authors' code, by input
LARGER_SIZES = (0.15, 0.33, 0.51, 0.69, 0.87, 1.05)  # authors' code
LATERAL_GAIN = 2.0  # ours: how much stronger than the coarser map a TUM's lateral begins


@dataclass(frozen=True, kw_only=True)
class M2DetConfig(MultiboxConfig):
    """The paper's numbers for 320 pixels."""

    image_size: Size = 320  # or 512, 800
    sizes: tuple[Positive, ...] = (FINEST_SIZE[320], *LARGER_SIZES)  # of anchors, by input; one more than scales
    aspect_ratios: tuple[Positive, ...] = (2.0, 3.0)  # and their inverses; with two squares six anchors a cell
    clip_anchors: bool = False  # authors' code: centre and size limited to the image
    fused: tuple[int, int] = (0, -1)  # FFMv1: which maps of the backbone; conv4_3 and fc7 of VGG-16
    base_channels: tuple[Count, Count] = (256, 512)  # fig. 4a: of the shallow and the deep half of the base feature
    levels: Count = 8  # TUMs, tab. 3
    width: Annotated[int, Ge(2)] = 256  # channels of a TUM, tab. 3; half of it of the base feature in FFMv2
    sfam: bool = True  # tab. 2; authors' published configs: off
    squeeze: Count = 16  # SFAM: channels over those of the bottleneck
    share_layers: bool = False  # authors' code: one 1×1 for all levels and one attention for all scales
    train_norm: bool = False  # ours: batch norm of the backbone learns, for training from scratch
    norm_finest: bool = False  # authors' code: batch norm on the finest map before the heads
    candidates: Count = 200  # ours: into NMS, a class
    nms: Suppression = "linear"
    nms_iou: Share = 0.45  # ours; authors' code: 0.3 (its 0.45 goes to a parameter that linear Soft-NMS does not use)

    def __post_init__(self) -> None:
        check(self)
        if self.scales < 3:
            raise ValueError(f"sizes is {self.sizes}: give one more than scales, of which 3 or more")
        least = least_side(self.scales)
        if self.image_size % DIVISOR or self.image_size < least:
            raise ValueError(f"image_size is {self.image_size}: give multiples of {DIVISOR} from {least} on")

    @property
    def scales(self) -> int:
        """Maps of a TUM."""
        return len(self.sizes) - 1


class FFMv1(nn.Module):
    """The base feature: a shallow and a deep map of the backbone side by side (fig. 4a)."""

    def __init__(self, incoming: tuple[int, int], outgoing: tuple[int, int]) -> None:
        super().__init__()
        self.shallow = _conv(incoming[0], outgoing[0], 3)
        self.deep = _conv(incoming[1], outgoing[1], 1)

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """(B, C1, H, W), (B, C2, H/2, W/2) → (B, sum of outgoing, H, W)."""
        return torch.cat([self.shallow(shallow), F.interpolate(self.deep(deep), scale_factor=2.0, mode="nearest")], 1)


class FFMv2(nn.Module):
    """What a TUM sees: the base feature, thinned, beside the largest map of the TUM before (fig. 4b)."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.thin = _conv(incoming, outgoing, 1)

    def forward(self, base: Tensor, largest: Tensor | None) -> Tensor:
        """(B, incoming, H, W), (B, width, H, W) → (B, outgoing + width, H, W); the first TUM has none before it."""
        thin: Tensor = self.thin(base)
        return thin if largest is None else torch.cat([thin, largest], 1)


class TUM(nn.Module):
    """Thinned U-shape module: down by convolutions, up again with what lay beside, smoothed by 1×1 (fig. 4c)."""

    def __init__(self, incoming: int, width: int, scales: int) -> None:
        super().__init__()
        widths = [incoming] + [width] * (scales - 2)  # of the maps that the encoder goes down from
        self.encoder = nn.ModuleList(_conv(n, width, 3, stride=2) for n in widths[:-1])
        self.encoder.append(_conv(widths[-1], width, 3, padding=0))
        self.top = _conv(width, width, 1)
        # Were all laterals alike, gradients would grow with every TUM on their way back, through the encoder's batch
        # norm over ever fewer values (docs/papers/m2det.md, "A stable start"). The smoothing undoes the scale.
        gains = [LATERAL_GAIN ** (len(widths) - i) for i in range(len(widths))]
        self.laterals = nn.ModuleList(_conv(n, width, 3, gain=gain) for n, gain in zip(widths, gains, strict=True))
        self.smooth = nn.ModuleList(_conv(width, width, 1) for _ in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, incoming, H, W) → S maps of `width` channels, fine to coarse."""
        maps = [x]
        for conv in self.encoder:
            maps.append(conv(maps[-1]))
        x = self.top(maps.pop())
        pyramid = [x]
        for i in reversed(range(len(maps))):
            x = self.laterals[i](maps[i]) + F.interpolate(x, size=maps[i].shape[-2:], mode="nearest")
            pyramid.insert(0, self.smooth[i](x))
        return pyramid


class SFAM(nn.Module):
    """Scale-wise feature aggregation: in each scale, which channels of which level count (fig. 3, eq. 2 and 3)."""

    def __init__(self, channels: int, scales: int, squeeze: int, share: bool) -> None:
        super().__init__()
        attention = (SqueezeExcitation(channels, max(1, channels // squeeze)) for _ in range(1 if share else scales))
        self.attention = nn.ModuleList(attention)

    def forward(self, pyramid: Sequence[Tensor]) -> list[Tensor]:
        """S maps of `channels` channels → the same, each channel weakened by a factor from 0 to 1."""
        return [attend(x) for attend, x in zip(_for_each(self.attention, len(pyramid)), pyramid, strict=True)]


class M2Det(Multibox):
    """The detector on a backbone two of whose maps lie at strides 8 and 16."""

    config: M2DetConfig

    def __init__(self, config: M2DetConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = c = config
        self.backbone = backbone
        shallow, deep = c.fused
        if (backbone.strides[shallow], backbone.strides[deep]) != (STRIDE, 2 * STRIDE):
            raise ValueError(f"fused is {c.fused}: give maps at strides 8 and 16, of those at {backbone.strides}")
        self.ffm1 = FFMv1((backbone.channels[shallow], backbone.channels[deep]), c.base_channels)
        thin = c.width // 2
        self.ffm2 = nn.ModuleList(FFMv2(sum(c.base_channels), thin) for _ in range(1 if c.share_layers else c.levels))
        incoming = [thin] + [thin + c.width] * (c.levels - 1)
        self.tums = nn.ModuleList(TUM(n, c.width, c.scales) for n in incoming)
        channels = c.levels * c.width
        self.sfam = SFAM(channels, c.scales, c.squeeze, c.share_layers) if c.sfam else None
        self.norm = BatchNorm(channels) if c.norm_finest else None
        per_cell = 2 + 2 * len(c.aspect_ratios)
        self.head = MultiboxHead([channels] * c.scales, [per_cell] * c.scales, c.num_classes + 1)

        self.coder = BoxCoder(c.box_std)
        self.input_spec = InputSpec(size=c.image_size, divisor=DIVISOR, **backbone.normalization)
        self.anchor_cache = AnchorCache(self.build_anchors)
        initialize((child for name, child in self.named_children() if name != "backbone"), "kaiming")  # authors' code
        initialize([self.head], "gaussian")  # so small that all classes begin alike

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Predictions:
        """images (B, 3, H, W), normalised, sides multiples of 16; nothing is padded. The whole of fig. 2."""
        check_sides(images, DIVISOR, "M2Det", least_side(self.config.scales))
        maps = self.backbone(images)
        shallow, deep = self.config.fused
        pyramid = self.multi_level(self.ffm1(maps[shallow], maps[deep]))
        if self.sfam is not None:
            pyramid = self.sfam(pyramid)
        if self.norm is not None:
            pyramid[0] = self.norm(pyramid[0])
        logits, deltas = self.head(pyramid)
        anchors = self.anchor_cache.of(images, pyramid).boxes
        return Predictions(logits, deltas, anchors, (images.shape[2], images.shape[3]))

    def multi_level(self, base: Tensor) -> list[Tensor]:
        """Eq. 1: the levels' pyramids, each TUM after the one before, side by side: S maps of L × width channels."""
        levels: list[list[Tensor]] = []
        largest = None
        for ffm, tum in zip(_for_each(self.ffm2, len(self.tums)), self.tums, strict=True):
            levels.append(tum(ffm(base, largest)))
            largest = levels[-1][0]
        return [torch.cat(maps, 1) for maps in zip(*levels, strict=True)]

    @property
    def anchors(self) -> Tensor:
        """(A, 4) at the model's own size."""
        side = self.config.image_size
        cells = map_sizes(side, self.config.scales)
        grids = tuple(zip(cells, cells, strict=True))
        return self.anchor_cache.at(side, side, grids, next(self.parameters()).device).boxes

    def build_anchors(self, height: int, width: int, grids: Sequence[Grid]) -> Anchors:
        """Six shapes around the centre of every cell (12810 at 320, 32760 at 512, 80208 at 800).

        Their size in pixels is that at the model's own input, whatever this input's; from cell to cell are the side
        over the cells, rounded up (authors' code: 107 pixels for 3 cells in 320).
        """
        c = self.config
        levels = []
        for (size, larger), (down, across) in zip(pairwise(c.sizes), grids, strict=True):
            shapes = multibox_shapes(size * c.image_size, larger * c.image_size, c.aspect_ratios)
            anchors = grid_anchors(shapes, down, across, (ceil(height / down), ceil(width / across)))
            levels.append(limit_anchors(anchors, width, height) if c.clip_anchors else anchors)
        return stack_levels(levels, grids)


def map_sizes(side: int, scales: int) -> list[int]:
    """Cells along a side of every map, fine to coarse: 320 pixels → 40, 20, 10, 5, 3, 1.

    Each map halves the one before, rounding up; the last is made by an unpadded 3×3 instead.
    """
    cells = [side // STRIDE]
    while len(cells) < scales - 1:
        cells.append((cells[-1] + 1) // 2)
    return [*cells, cells[-1] - 2]


def least_side(scales: int) -> int:
    """Of an input, in pixels: the least that leaves a cell on every map."""
    return next(side for side in count(DIVISOR, DIVISOR) if map_sizes(side, scales)[-1] > 0)


def _for_each(layers: nn.ModuleList, count: int) -> Sequence[nn.Module]:
    """One layer for each of `count`, the same for all where only one is there."""
    return list(layers) * (count // len(layers))


def _conv(
    incoming: int, outgoing: int, kernel: int, stride: int = 1, padding: int | None = None, gain: float = 1.0
) -> nn.Module:
    """Convolution, batch norm whose weights begin at `gain`, ReLU: every new layer but the heads and SFAM's."""
    around = kernel // 2 if padding is None else padding
    conv, norm = nn.Conv2d(incoming, outgoing, kernel, stride, around, bias=False), BatchNorm(outgoing)
    nn.init.constant_(norm.weight, gain)
    return nn.Sequential(conv, norm, nn.ReLU(inplace=True))


def build(backbone: str, **fields: Any) -> M2Det:
    """On "vgg16" as SSD has it, conv4_3 and fc7 fused; "resnet101" with res4 at stride 8 and res5 at 16, res3 and res5
    fused (authors' config); or timm's of that name, its last maps at strides 8 and 16.
    """
    finest = FINEST_SIZE.get(fields.get("image_size", 320), FINEST_SIZE[512])
    c = M2DetConfig(**({"sizes": (finest, *LARGER_SIZES)} | fields))
    if backbone == "vgg16":
        return M2Det(c, VGG16(pool5_stride=1, dilation=6, train_norm=c.train_norm))
    if backbone == "resnet101":
        return M2Det(c, ResNet(101, layer3_stride=1, train_norm=c.train_norm))
    return M2Det(c, TimmPyramid(backbone, strides=(8, 16), train_norm=c.train_norm))
