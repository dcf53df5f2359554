"""Backbones of detectors that look at regions: maps of the image, and the layers that go on from a region's piece.

Shapes: `R` regions of the whole batch, pieces of S × S cells.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Literal

from torch import Tensor, nn

from vedette.backbones.backbone import IMAGENET, Backbone, check_fit
from vedette.backbones.resnet import ResNet
from vedette.backbones.timm_pyramid import TimmPyramid
from vedette.backbones.vgg import vgg16_features, vgg16_stages

HIDDEN = 1024  # of two layers that no classifier brings trained (FPN, section 4.2)


class RegionBackbone(Backbone):
    """Maps of an image, and a vector of `top_channels` from a piece of `pooled` × `pooled` cells of them."""

    pooled: int
    top_channels: int

    @abstractmethod
    def top(self, pieces: Tensor) -> Tensor:
        """(R, C, S, S) → (R, top_channels)."""

    @abstractmethod
    def top_layers(self) -> Iterator[nn.Module]:
        """The layers of `top`; all others are those of the maps."""


class VGG16Regions(RegionBackbone):
    """VGG-16's conv5_3 at stride 16, and its fc6 and fc7 on pieces of 7×7."""

    channels = (512,)
    strides = (16,)
    pooled, top_channels = 7, 4096
    normalization = IMAGENET
    torchvision_name = "vgg16"

    def __init__(self, *, train_norm: bool = False) -> None:
        super().__init__()
        self.stages = vgg16_stages(train_norm)
        self.fc6, self.fc7 = nn.Linear(512 * 7 * 7, 4096), nn.Linear(4096, 4096)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) → conv5_3 (B, 512, H/16, W/16)."""
        for number, stage in enumerate(self.stages):
            x = stage(x if number == 0 else nn.functional.max_pool2d(x, 2))
        return (x,)

    def top(self, pieces: Tensor) -> Tensor:
        """(R, 512, 7, 7) → fc7 (R, 4096)."""
        fc6 = self.dropout(self.fc6(pieces.flatten(1)).relu())
        fc7: Tensor = self.dropout(self.fc7(fc6).relu())
        return fc7

    def top_layers(self) -> Iterator[nn.Module]:
        """fc6 and fc7."""
        yield from (self.fc6, self.fc7, self.dropout)

    def stem(self) -> Iterator[nn.Module]:
        """conv1 and conv2, which training may leave as they are."""
        yield from list(self.stages)[:2]

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes torchvision's `vgg16` state dict; raises ValueError naming the first tensor that does not fit."""
        own = vgg16_features(self.stages)
        for name, layer in (("classifier.0", self.fc6), ("classifier.3", self.fc7)):
            own |= {f"{name}.weight": layer.weight.data, f"{name}.bias": layer.bias.data}
        check_fit(weights, own, "torchvision's VGG-16")
        for name, tensor in own.items():
            tensor.copy_(weights[name])


class ResNetC4(RegionBackbone):
    """A ResNet's c4 at stride 16; its last stage goes on from pieces of 14×14 (He et al., CVPR 2016, appendix A)."""

    channels = (1024,)
    strides = (16,)
    pooled, top_channels = 14, 2048
    normalization = IMAGENET

    def __init__(self, depth: Literal[50, 101], *, train_norm: bool = False) -> None:
        super().__init__()
        self.body = ResNet(depth, train_norm=train_norm)

    @property
    def pretrained(self) -> Backbone:
        """The ResNet."""
        return self.body

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) → c4 (B, 1024, H/16, W/16)."""
        body = self.body
        x = body.maxpool(body.relu(body.bn1(body.conv1(x))))
        return (body.layer3(body.layer2(body.layer1(x))),)

    def top(self, pieces: Tensor) -> Tensor:
        """(R, 1024, 14, 14) → c5's mean (R, 2048)."""
        c5: Tensor = self.body.layer4(pieces)
        return c5.mean((2, 3))

    def top_layers(self) -> Iterator[nn.Module]:
        """The last stage."""
        yield self.body.layer4

    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""
        return self.body.stem()

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes torchvision's state dict of the same depth."""
        self.body.load_imagenet(weights)


class TimmRegions(RegionBackbone):
    """Any timm backbone's map at stride 16, and two new layers of 1024 on pieces of 7×7."""

    pooled, top_channels = 7, HIDDEN

    def __init__(self, name: str, *, train_norm: bool = False) -> None:
        super().__init__()
        self.body = TimmPyramid(name, (16,), train_norm=train_norm)
        self.channels, self.strides, self.normalization = self.body.channels, (16,), self.body.normalization
        self.fc = TwoLayers(self.channels[0], self.pooled)

    @property
    def pretrained(self) -> Backbone:
        """timm's layers."""
        return self.body

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) → one map (B, C, H/16, W/16)."""
        return self.body(x)  # type: ignore[no-any-return]

    def top(self, pieces: Tensor) -> Tensor:
        """(R, C, 7, 7) → (R, 1024)."""
        return self.fc(pieces)  # type: ignore[no-any-return]

    def top_layers(self) -> Iterator[nn.Module]:
        """fc6 and fc7."""
        yield self.fc

    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""
        return self.body.stem()

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes timm's state dict of the whole classifier."""
        self.body.load_imagenet(weights)


class TwoLayers(nn.Module):
    """Two fully connected layers of 1024 on a piece (FPN, section 4.2)."""

    def __init__(self, channels: int, size: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.fc6 = nn.Linear(channels * size * size, hidden)
        self.fc7 = nn.Linear(hidden, hidden)

    def forward(self, pieces: Tensor) -> Tensor:
        """(R, C, S, S) → (R, hidden)."""
        fc7: Tensor = self.fc7(self.fc6(pieces.flatten(1)).relu())
        return fc7.relu()
