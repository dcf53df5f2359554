"""ZF-5: the five convolutions of Zeiler and Fergus ("Visualizing and Understanding Convolutional Networks", ECCV 2014).

As SPPNet has them (He et al., ECCV 2014, table 1): every filter of p × p padded by ⌊p / 2⌋, so that the cell x of the
last map lies around the pixel 16 x of the image.
"""

from collections.abc import Iterator, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import Backbone, Normalization, check_fit

CAFFE: Normalization = {"range": 255.0, "mean": (122.7717, 115.9465, 102.9801), "std": (1.0, 1.0, 1.0)}


class ZF5(Backbone):
    """conv1 to conv5, the last at stride 16 with 256 channels."""

    channels = (256,)
    strides = (16,)
    normalization = CAFFE

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 7, stride=2, padding=3)
        self.conv2 = nn.Conv2d(96, 256, 5, stride=2, padding=2)
        self.conv3, self.conv4, self.conv5 = (
            nn.Conv2d(*widths, 3, padding=1) for widths in ((256, 384), (384, 384), (384, 256))
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) → conv5 (B, 256, H/16, W/16)."""
        for conv in (self.conv1, self.conv2):
            x = F.max_pool2d(normalize_response(conv(x).relu()), 3, stride=2, padding=1)
        for conv in (self.conv3, self.conv4, self.conv5):
            x = conv(x).relu()
        return (x,)

    def stem(self) -> Iterator[nn.Module]:
        """conv1, at stride 4 with its pooling."""
        yield self.conv1

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes Caffe's tensors, conv1.weight to conv5.bias, made for blue first; raises ValueError naming a misfit."""
        own = self.state_dict()
        check_fit(weights, own, "Caffe's ZF-5")
        for name, tensor in own.items():
            tensor.copy_(weights[name].flip(1) if name == "conv1.weight" else weights[name])


def normalize_response(x: Tensor) -> Tensor:
    """Local response normalisation within a channel, over 3 × 3 cells (authors' code: α 0.00005, β 0.75)."""
    energy = F.avg_pool2d(x.float().square(), 3, stride=1, padding=1)
    normalized: Tensor = x * (1 + 5e-5 * energy).pow(-0.75).to(x.dtype)
    return normalized
