"""ResNet's bottlenecks among a detector's new layers (He et al., CVPR 2016)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from vedette.parts.norm import BatchNorm

HEAD_CHANNELS = 1024  # RefineDet's authors' code, ResNet-101


def residual(incoming: int, middle: int, outgoing: int, stride: int) -> Bottleneck:
    """A block whose shortcut is a 1×1 convolution; the stride is in the 3×3, as torchvision has it."""
    shortcut = nn.Sequential(nn.Conv2d(incoming, outgoing, 1, stride=stride, bias=False), BatchNorm(outgoing))
    return Bottleneck(incoming, middle, stride=stride, downsample=shortcut, norm_layer=BatchNorm)


class LevelBlocks(nn.ModuleList):
    """What lies between each level's map and its heads: a residual block to 1024 channels, or nothing."""

    def __init__(self, channels: Sequence[int], deep: bool) -> None:
        blocks = (residual(n, 256, HEAD_CHANNELS, stride=1) if deep else nn.Identity() for n in channels)
        super().__init__(blocks)
        self.channels = [HEAD_CHANNELS] * len(channels) if deep else list(channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """L maps → as many, each through its own block."""
        return [block(x) for block, x in zip(self, maps, strict=True)]
