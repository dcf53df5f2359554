"""Any timm backbone as a classifier without classes: the last map of its pyramid, pooled."""

from collections.abc import Iterator, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import Backbone, Classifier, Looks
from vedette.backbones.timm_pyramid import TimmPyramid

CELLS = 3  # a side: what is left of the last map's places in `pool5`


class TimmClassifier(Classifier):
    """The map at stride 32 of timm's `name`: its mean stands for fc7, a pooling to 3 × 3 cells for pool5.

    Raises ValueError for a model that timm does not have, or without a map at stride 32.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.pyramid = TimmPyramid(name, strides=(32,))
        (channels,) = self.pyramid.channels
        self.pool5_width, self.fc7_width = channels * CELLS**2, channels
        self.normalization = self.pyramid.normalization

    @property
    def pretrained(self) -> Backbone:
        """timm's layers."""
        return self.pyramid

    def forward(self, x: Tensor) -> Looks:
        """(N, 3, S, S) → pool5 (N, 9 × channels) and fc7 (N, channels)."""
        (last,) = self.pyramid(x)
        return Looks(F.adaptive_avg_pool2d(last, CELLS).flatten(1), last.mean((2, 3)))

    def stem(self) -> Iterator[nn.Module]:
        """The layers up to stride 4, which training may leave as they are."""
        yield from self.pyramid.stem()

    def load_imagenet(self, weights: Mapping[str, Tensor] | None = None) -> None:
        """As `TimmPyramid.load_imagenet`."""
        self.pyramid.load_imagenet(weights)
