"""VGG-16 with reduced fully connected layers (Simonyan & Zisserman, ICLR 2015; reduced as in DeepLab and SSD).

fc6 and fc7 become convolutions by subsampling ImageNet VGG-16's own weights, so no special weight file is needed.
"""

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import IMAGENET, Backbone, Classifier, Looks, check_fit, take_weights

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # conv1_1 … conv5_3
FC_CHANNELS = 1024  # of 4096


class VGG16(Backbone):
    """VGG-16 to fc7. `forward` gives conv4_3, conv5_3 and fc7.

    RefineDet: `pool5_stride=2, dilation=3`, strides 8, 16, 32. SSD: `pool5_stride=1, dilation=6`, strides 8, 16, 16.
    `train_norm`: batch norm after every convolution, as in torchvision's `vgg16_bn`; without it VGG-16 does not learn
    from scratch.
    """

    channels = (512, 512, FC_CHANNELS)
    normalization = IMAGENET
    torchvision_name = "vgg16"

    def __init__(self, *, pool5_stride: int = 2, dilation: int = 3, train_norm: bool = False) -> None:
        super().__init__()
        self.stages = vgg16_stages(train_norm)
        self.pool5 = nn.MaxPool2d(2, 2) if pool5_stride == 2 else nn.MaxPool2d(3, 1, padding=1)
        self.fc6 = nn.Conv2d(512, FC_CHANNELS, 3, padding=dilation, dilation=dilation)
        self.fc7 = nn.Conv2d(FC_CHANNELS, FC_CHANNELS, 1)
        self.fc6_norm, self.fc7_norm = (nn.BatchNorm2d(FC_CHANNELS) if train_norm else nn.Identity() for _ in range(2))
        self.strides = (8, 16, 16 * pool5_stride)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, H, W) → conv4_3 (B, 512, H/8, W/8), conv5_3 (B, 512, H/16, W/16), fc7 (B, 1024, H/s, W/s)."""
        conv1, conv2, conv3, conv4, conv5 = self.stages
        x = F.max_pool2d(conv1(x), 2)
        x = F.max_pool2d(conv2(x), 2)
        x = F.max_pool2d(conv3(x), 2, ceil_mode=True)  # 75 → 38 in SSD300
        conv4_3 = conv4(x)
        conv5_3 = conv5(F.max_pool2d(conv4_3, 2))
        fc6 = self.fc6_norm(self.fc6(self.pool5(conv5_3))).relu()
        return conv4_3, conv5_3, self.fc7_norm(self.fc7(fc6)).relu()

    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""
        yield from list(self.stages)[:2]

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes torchvision's `vgg16` state dict (`vgg16_bn` with `train_norm`), its fc layers subsampled.

        fc6 and fc7 become 3×3 and 1×1 of 1024 channels. Raises ValueError naming the first tensor that is missing or
        has another shape.
        """
        own = vgg16_features(self.stages)
        linear = {"classifier.0": (4096, 512 * 7 * 7), "classifier.3": (4096, 4096)}
        wanted = own | {f"{name}.weight": torch.empty(shape, device="meta") for name, shape in linear.items()}
        wanted |= {f"{name}.bias": torch.empty(shape[0], device="meta") for name, shape in linear.items()}
        check_fit(weights, wanted, "torchvision's VGG-16")
        fc6 = weights["classifier.0.weight"].reshape(4096, 512, 7, 7)[::4, :, ::3, ::3]
        fc7 = weights["classifier.3.weight"].reshape(4096, 4096, 1, 1)[::4, ::4]
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(weights[name])
            self.fc6.weight.copy_(fc6)
            self.fc6.bias.copy_(weights["classifier.0.bias"][::4])  # type: ignore[union-attr]
            self.fc7.weight.copy_(fc7)
            self.fc7.bias.copy_(weights["classifier.3.bias"][::4])  # type: ignore[union-attr]


class VGG16Classifier(Classifier):
    """VGG-16 with fc6 and fc7 whole, in torchvision's layout and by its names. 224 pixels are its own size."""

    pool5_width, fc7_width = 512 * 7 * 7, 4096
    normalization = IMAGENET
    torchvision_name = "vgg16"

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        incoming = 3
        for widths in STAGES:
            layers += [*_stage(incoming, widths, norm=False), nn.MaxPool2d(2, 2)]
            incoming = widths[-1]
        self.features = nn.Sequential(*layers)
        fc6, fc7 = nn.Linear(self.pool5_width, 4096), nn.Linear(4096, 4096)
        self.classifier = nn.Sequential(fc6, nn.ReLU(), nn.Dropout(), fc7, nn.ReLU(), nn.Dropout())

    def forward(self, x: Tensor) -> Looks:
        """(N, 3, S, S) → pool5 (N, 25088) and fc7 (N, 4096); maps of another size than 7 × 7 are pooled to it."""
        pool5 = F.adaptive_avg_pool2d(self.features(x), 7).flatten(1)
        return Looks(pool5, self.classifier(pool5))

    def stem(self) -> Iterator[nn.Module]:
        """conv1_1 … conv2_2, up to stride 4."""
        yield from list(self.features)[:10]

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes torchvision's `vgg16` state dict; raises ValueError naming the first tensor that does not fit."""
        take_weights(self, weights, "torchvision's VGG-16")


def vgg16_stages(norm: bool = False) -> nn.ModuleList:
    """conv1_1 to conv5_3, five stages without the pools between; `norm`: batch norm after every convolution."""
    incoming = (3, *(stage[-1] for stage in STAGES))
    return nn.ModuleList(_stage(i, widths, norm) for i, widths in zip(incoming, STAGES, strict=False))


def vgg16_features(stages: nn.ModuleList) -> dict[str, Tensor]:
    """The stages' tensors, norms with them, by torchvision's names, which count the layers and the pools between."""
    place = 0
    found: dict[str, Tensor] = {}
    for stage in stages:
        for layer in stage.children():
            tensors = layer.state_dict()
            found |= {f"features.{place}.{name}": t for name, t in tensors.items() if not name.endswith("_tracked")}
            place += 1
        place += 1  # the pool
    return found


def _stage(incoming: int, widths: tuple[int, ...], norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers.append(nn.Conv2d(incoming, width, 3, padding=1))
        if norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
        incoming = width
    return nn.Sequential(*layers)
