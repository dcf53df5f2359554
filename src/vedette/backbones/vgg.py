"""VGG-16 with reduced fully connected layers (Simonyan & Zisserman, ICLR 2015; reduced as in DeepLab and SSD).

fc6 and fc7 become convolutions by subsampling ImageNet VGG-16's own weights, so no special weight file is needed.
"""

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import IMAGENET, Backbone
from vedette.backbones.fit import check_fit

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # conv1_1 … conv5_3
FC_CHANNELS = 1024  # of 4096


class VGG16(Backbone):
    """VGG-16 to fc7. `forward` gives conv4_3, conv5_3 and fc7.

    RefineDet: `pool5_stride=2, dilation=3`, strides 8, 16, 32. SSD: `pool5_stride=1, dilation=6`, strides 8, 16, 16.
    """

    channels = (512, 512, FC_CHANNELS)
    normalization = IMAGENET

    def __init__(self, *, pool5_stride: int = 2, dilation: int = 3) -> None:
        super().__init__()
        incoming = (3, *(stage[-1] for stage in STAGES))
        self.stages = nn.ModuleList(_stage(i, widths) for i, widths in zip(incoming, STAGES, strict=False))
        self.pool5 = nn.MaxPool2d(2, 2) if pool5_stride == 2 else nn.MaxPool2d(3, 1, padding=1)
        self.fc6 = nn.Conv2d(512, FC_CHANNELS, 3, padding=dilation, dilation=dilation)
        self.fc7 = nn.Conv2d(FC_CHANNELS, FC_CHANNELS, 1)
        self.strides = (8, 16, 16 * pool5_stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) → conv4_3 (B, 512, H/8, W/8), conv5_3 (B, 512, H/16, W/16), fc7 (B, 1024, H/s, W/s)."""
        conv1, conv2, conv3, conv4, conv5 = self.stages
        x = F.max_pool2d(conv1(x), 2)
        x = F.max_pool2d(conv2(x), 2)
        x = F.max_pool2d(conv3(x), 2, ceil_mode=True)  # 75 → 38 in SSD300
        conv4_3 = conv4(x)
        conv5_3 = conv5(F.max_pool2d(conv4_3, 2))
        fc7 = F.relu(self.fc7(F.relu(self.fc6(self.pool5(conv5_3)))))
        return conv4_3, conv5_3, fc7

    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""
        yield from list(self.stages)[:2]

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes torchvision's `vgg16` state dict, with fc6 and fc7 subsampled to 3×3 and 1024 channels.

        Raises ValueError naming the first tensor that is missing or has another shape.
        """
        own = self._convolutions()
        linear = {"classifier.0": (4096, 512 * 7 * 7), "classifier.3": (4096, 4096)}
        wanted = {f"{name}.weight": conv.weight for name, conv in own.items()}
        wanted |= {f"{name}.weight": torch.empty(shape, device="meta") for name, shape in linear.items()}
        wanted |= {name.replace("weight", "bias"): weight.flatten(1)[:, 0] for name, weight in wanted.items()}
        check_fit(weights, wanted, "torchvision's VGG-16")
        with torch.no_grad():
            for name, conv in own.items():
                _copy(conv, weights[f"{name}.weight"], weights[f"{name}.bias"])
            fc6 = weights["classifier.0.weight"].reshape(4096, 512, 7, 7)[::4, :, ::3, ::3]
            fc7 = weights["classifier.3.weight"].reshape(4096, 4096, 1, 1)[::4, ::4]
            _copy(self.fc6, fc6, weights["classifier.0.bias"][::4])
            _copy(self.fc7, fc7, weights["classifier.3.bias"][::4])

    def _convolutions(self) -> dict[str, nn.Conv2d]:
        """conv1_1 … conv5_3 by torchvision's names, which count the ReLUs and pools between them."""
        place, found = 0, {}
        for stage in self.stages:
            for layer in stage.children():
                if isinstance(layer, nn.Conv2d):
                    found[f"features.{place}"] = layer
                place += 1
            place += 1  # the pool
        return found


class L2Norm(nn.Module):
    """Each cell's channels scaled to length 1, times a learned factor a channel (ParseNet; SSD, section 3.1)."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return F.normalize(x.float(), dim=1, eps=1e-10).to(x.dtype) * self.scale[:, None, None]


def _stage(incoming: int, widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(incoming, width, 3, padding=1), nn.ReLU(inplace=True)]
        incoming = width
    return nn.Sequential(*layers)


def _copy(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    conv.weight.copy_(weight)
    if conv.bias is not None:
        conv.bias.copy_(bias)
