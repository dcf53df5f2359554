"""EfficientNet-Lite0 (Tan and Le, ICML 2019; without squeeze and excitation, with ReLU6) as timm has it, name for name.

It stands here and not in timm alone, since the bundled detector is built on it and timm takes longer to import than a
photograph to look at, by a factor of ten.
"""

from collections.abc import Sequence
from math import sqrt

import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-3  # of TensorFlow's batch norm
STAGES = (  # blocks, kernel, stride of the first, channels
    (1, 3, 1, 16),
    (2, 3, 2, 24),
    (2, 5, 2, 40),
    (3, 3, 2, 80),
    (3, 5, 1, 112),
    (4, 5, 2, 192),
    (1, 3, 1, 320),
)
LAST_OF = {2: 1, 4: 2, 8: 3, 16: 5, 32: 7}  # a map's stride → the stages before it


class EfficientNetLite0(nn.Module):
    """The maps at these strides, and no layer behind the last of them; raises ValueError where it has none."""

    def __init__(self, strides: Sequence[int]) -> None:
        super().__init__()
        if not set(strides) <= LAST_OF.keys():
            raise ValueError(f"EfficientNet-Lite0 has maps at strides {list(LAST_OF)}; these are {list(strides)}")
        self.strides = tuple(strides)
        self.channels = tuple(STAGES[LAST_OF[stride] - 1][-1] for stride in strides)
        self.conv_stem, self.bn1 = SameConv2d(3, 32, 3, stride=2, bias=False), NormAct(32, nn.ReLU6(inplace=True))
        stages, incoming = [], 32
        for number, (count, kernel, stride, channels) in enumerate(STAGES[: LAST_OF[max(strides)]]):
            blocks: list[nn.Module] = []
            for index in range(count):
                kind = Separable if number == 0 else InvertedResidual
                blocks.append(kind(incoming, channels, kernel, 1 if index else stride))
                incoming = channels
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:  # as TensorFlow's code begins
                spread = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels // layer.groups
                nn.init.normal_(layer.weight, std=sqrt(2 / spread))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) → a map for each stride."""
        x, maps = self.bn1(self.conv_stem(x)), {}
        for number, stage in enumerate(self.blocks, 1):
            maps[number] = x = stage(x)
        return [maps[LAST_OF[stride]] for stride in self.strides]


class Separable(nn.Module):
    """A depthwise convolution and a 1×1."""

    def __init__(self, incoming: int, outgoing: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw, self.bn1 = _depthwise(incoming, kernel, stride), NormAct(incoming, nn.ReLU6(inplace=True))
        self.conv_pw, self.bn2 = nn.Conv2d(incoming, outgoing, 1, bias=False), NormAct(outgoing, nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H', W')."""
        out: Tensor = self.bn2(self.conv_pw(self.bn1(self.conv_dw(x))))
        return out


class InvertedResidual(nn.Module):
    """A 1×1 to six times the channels, a depthwise convolution, a 1×1; the input is added where sizes stay."""

    def __init__(self, incoming: int, outgoing: int, kernel: int, stride: int) -> None:
        super().__init__()
        middle = 6 * incoming
        self.conv_pw, self.bn1 = nn.Conv2d(incoming, middle, 1, bias=False), NormAct(middle, nn.ReLU6(inplace=True))
        self.conv_dw, self.bn2 = _depthwise(middle, kernel, stride), NormAct(middle, nn.ReLU6(inplace=True))
        self.conv_pwl, self.bn3 = nn.Conv2d(middle, outgoing, 1, bias=False), NormAct(outgoing, nn.Identity())
        self.adds = stride == 1 and incoming == outgoing

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', H', W')."""
        out: Tensor = self.bn3(self.conv_pwl(self.bn2(self.conv_dw(self.bn1(self.conv_pw(x))))))
        return out + x if self.adds else out


class NormAct(nn.BatchNorm2d):
    """Batch norm that goes on with an activation."""

    def __init__(self, channels: int, act: nn.Module) -> None:
        super().__init__(channels, eps=EPSILON)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        out: Tensor = self.act(super().forward(x))
        return out


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's padding: of an odd number, the larger part is right and below."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C', ⌈H / stride⌉, ⌈W / stride⌉)."""
        return super().forward(pad_same(x, self.kernel_size, self.stride))


def pad_same(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """(B, C, H, W), padded with zeros so that a convolution gives ⌈H / stride⌉ rows and as many columns."""
    around: list[int] = []
    for size, k, s in zip(reversed(x.shape[-2:]), reversed(kernel), reversed(stride), strict=True):
        missing = max(k - (size % s or s), 0)
        around += [missing // 2, missing - missing // 2]
    return F.pad(x, around)


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    if stride == 1:
        return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
    return SameConv2d(channels, channels, kernel, stride=stride, groups=channels, bias=False)
