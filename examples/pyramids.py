"""The four pyramids of FPN's figure 1 on one backbone, under one head.

Lin, Dollár, Girshick, He, Hariharan, Belongie. "Feature Pyramid Networks for Object Detection." CVPR 2017.
arXiv:1612.03144

    (a) Featurized image pyramid .... image_pyramid ...... ImagePyramid, then OneForAll
    (b) Single feature map .......... single_map ......... OneForAll
    (c) Pyramidal feature hierarchy . feature_hierarchy .. FeatureHierarchy
    (d) Feature pyramid network ..... feature_pyramid .... RetinaPyramid, on FeaturePyramid of vedette.papers.fpn

Each gives a RetinaNet: its head, anchors, matching and loss are the same for all four, and so is what stands between
a map of the backbone and the head, a 1×1 and a 3×3 convolution. The anchors span the same sizes, 16 to 406 pixels.

Shapes
    B images of H × W pixels, L levels. c3 to c5 are the backbone's maps at strides 8 to 32, p3 to p7 the pyramid's at
    strides 8 to 128. H and W are multiples of 32 in training and detection, so every size of the picture in (a) is
    whole.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import Backbone
from vedette.backbones.timm_pyramid import LITE0, TimmPyramid
from vedette.papers.fpn import conv
from vedette.papers.retinanet import STRIDES, RetinaNet, RetinaNetConfig, RetinaPyramid
from vedette.parts.layers import initialize
from vedette.zoo import RETINANET_LITE

ONE_STRIDE = 16  # of the map in (a) and (b): the paper's baselines look at c4
SIZES = RETINANET_LITE["anchor_sizes"]  # of the anchors of p3 to p7, three each
ALL_SIZES = tuple(size for level in SIZES for size in level)
HEAD_LAYERS = 2  # half of RetinaNet's: what the pyramids cost should not drown in what the head costs


class ImagePyramid(Backbone):
    """(a) The picture in several sizes, each through the whole backbone by itself.

    In the picture that is twice as large, a cell of stride 16 stands for 8 pixels of the picture as given: a size for
    each stride of p3 to p7 puts the maps on the same grids as those of (c) and (d).
    """

    def __init__(self, body: Backbone, strides: Sequence[int]) -> None:
        super().__init__()
        self.body, self.strides, self.normalization = body, tuple(strides), body.normalization
        self.channels = body.channels[-1:] * len(strides)
        self.scales = tuple(body.strides[-1] / stride for stride in strides)

    @property
    def pretrained(self) -> Backbone:
        """The backbone, which is all that has weights here."""
        return self.body

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) → the deepest map of each size of the picture, fine to coarse."""
        return tuple(self.body(resized(x, scale))[-1] for scale in self.scales)

    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""
        return self.body.stem()

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the state dict of the classifier that the backbone comes from."""
        self.body.load_imagenet(weights)


def resized(x: Tensor, scale: float) -> Tensor:
    """(B, 3, H, W) → (B, 3, ⌊scale H⌋, ⌊scale W⌋); a point (x, y) of the picture comes to lie at (scale x, scale y)."""
    return x if scale == 1 else F.interpolate(x, scale_factor=scale, mode="bilinear", antialias=True)


class OneForAll(nn.Module):
    """(a), (b) The same two convolutions on every map: they show the same layer of the backbone."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.output = to_width(channels, width)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """L maps → as many of `width` channels."""
        return [self.output(x) for x in maps]


class FeatureHierarchy(nn.Module):
    """(c) The maps that a backbone makes anyway, and two more by convolutions of stride 2 (SSD), each for itself.

    It is (d) without the path from the coarse to the fine: table 1 (d) of the paper.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.outputs = nn.ModuleList(to_width(n, width) for n in channels)
        self.p6 = nn.Conv2d(channels[-1], width, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(width, width, 3, stride=2, padding=1)
        initialize((self.p6, self.p7), "xavier")

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """c3, c4, c5 → p3 to p7 at strides 8 to 128."""
        p3, p4, p5 = (output(x) for output, x in zip(self.outputs, maps, strict=True))
        p6 = self.p6(maps[-1])
        return [p3, p4, p5, p6, self.p7(p6.relu())]


def to_width(channels: int, width: int) -> nn.Sequential:
    """What FPN has between a map of the backbone and the head: a 1×1 and a 3×3 convolution."""
    return nn.Sequential(conv(channels, width, 1), conv(width, width, 3))


def image_pyramid(backbone: str = LITE0, **config: Any) -> RetinaNet:
    """(a) Five sizes of the picture, doubled to an eighth, and the map of stride 16 of each."""
    c, body = _config(SIZES, config), TimmPyramid(backbone, (ONE_STRIDE,))
    return RetinaNet(c, ImagePyramid(body, STRIDES), OneForAll(body.channels[0], c.width))


def single_map(backbone: str = LITE0, **config: Any) -> RetinaNet:
    """(b) One map of stride 16, with the anchors of all sizes in each of its cells."""
    c, body = _config((ALL_SIZES,), config), TimmPyramid(backbone, (ONE_STRIDE,))
    return RetinaNet(c, body, OneForAll(body.channels[0], c.width), strides=(ONE_STRIDE,))


def feature_hierarchy(backbone: str = LITE0, **config: Any) -> RetinaNet:
    """(c) c3 to c5 and two coarser maps, none of which knows what a coarser one saw."""
    c, body = _config(SIZES, config), TimmPyramid(backbone)
    return RetinaNet(c, body, FeatureHierarchy(body.channels, c.width))


def feature_pyramid(backbone: str = LITE0, **config: Any) -> RetinaNet:
    """(d) The same maps, each with the coarser ones added: RetinaNet as it is."""
    c, body = _config(SIZES, config), TimmPyramid(backbone)
    return RetinaNet(c, body, RetinaPyramid(body.channels, c.width, c.p6_from, c.relu_before_p7))


def _config(sizes: tuple[tuple[float, ...], ...], given: dict[str, Any]) -> RetinaNetConfig:
    """The small RetinaNet's settings and, over them, those given; the anchors are the pyramid's own."""
    return RetinaNetConfig(**(RETINANET_LITE | {"subnet_layers": HEAD_LAYERS} | given | {"anchor_sizes": sizes}))


PYRAMIDS: dict[str, Callable[..., RetinaNet]] = {
    "image-pyramid": image_pyramid,
    "single-map": single_map,
    "feature-hierarchy": feature_hierarchy,
    "feature-pyramid": feature_pyramid,
}
TITLES = {
    "image-pyramid": "(a) featurized image pyramid",
    "single-map": "(b) single feature map",
    "feature-hierarchy": "(c) pyramidal feature hierarchy",
    "feature-pyramid": "(d) feature pyramid network",
}
