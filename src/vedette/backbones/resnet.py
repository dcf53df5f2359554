"""ResNet-50 and ResNet-101 (He et al., CVPR 2016), with torchvision's names and weights."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import IMAGENET, Backbone, check_fit


class ResNet(Backbone):
    """`forward` gives c3, c4, c5 at strides 8, 16, 32.

    `stride_in_1x1`: each stage's stride in its first 1×1 convolution, as in the paper and in Caffe's weights;
    torchvision's own weights have it in the 3×3. `ceil_pool`: the first pool rounds up, as Caffe's does.
    `layer3_stride` 1: c4 and c5 at strides 8 and 16 (M2Det). `with_c2`: c2 at stride 4 comes before them (FPN). Batch
    norm is frozen unless `train_norm`, for training from scratch.
    """

    channels: tuple[int, ...] = (512, 1024, 2048)
    normalization = IMAGENET

    def __init__(
        self,
        depth: Literal[50, 101],
        *,
        stride_in_1x1: bool = False,
        ceil_pool: bool = False,
        layer3_stride: Literal[1, 2] = 2,
        with_c2: bool = False,
        train_norm: bool = False,
    ) -> None:
        super().__init__()
        from torchvision.models import resnet50, resnet101  # takes longer to import than torch

        self.depth = depth
        self.torchvision_name = f"resnet{depth}"
        self.strides: tuple[int, ...] = (8, 8 * layer3_stride, 16 * layer3_stride)
        self.with_c2 = with_c2
        if with_c2:
            self.channels, self.strides = (256, *self.channels), (4, *self.strides)
        norm = nn.BatchNorm2d if train_norm else FrozenNorm
        net = {50: resnet50, 101: resnet101}[depth](norm_layer=norm)
        self.conv1, self.bn1, self.relu, self.maxpool = net.conv1, net.bn1, net.relu, net.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        for conv in (self.layer3[0].conv2, self.layer3[0].downsample[0]):
            conv.stride = (layer3_stride, layer3_stride)
        if ceil_pool:
            self.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)
        if stride_in_1x1:
            for block in (layer[0] for layer in (self.layer2, self.layer3, self.layer4)):
                move_stride_to_1x1(block)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) → c3 (B, 512, …), c4 (B, 1024, …), c5 (B, 2048, …), sides divided by `strides`."""
        c2 = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        c5 = self.layer4(c4)
        return (c2, c3, c4, c5) if self.with_c2 else (c3, c4, c5)

    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""
        yield from (self.conv1, self.bn1, self.layer1)

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes torchvision's state dict of the same depth; raises ValueError naming the first that does not fit."""
        own = {name: tensor for name, tensor in self.state_dict().items() if not name.endswith("_tracked")}
        check_fit(weights, own, f"torchvision's ResNet-{self.depth}")
        self.load_state_dict({name: weights[name] for name in own}, strict=False)


class FrozenNorm(nn.Module):
    """Batch norm that neither learns nor follows: torchvision's FrozenBatchNorm2d in one pass over the memory."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, begin in {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}.items():
            self.register_buffer(name, torch.full((channels,), begin))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def move_stride_to_1x1(block: Any) -> None:
    """Exchanges the strides of a block's 3×3 convolution and its first 1×1, in place."""
    block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
