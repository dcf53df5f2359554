"""AlexNet in torchvision's layout (Krizhevsky, "One weird trick for parallelizing convolutional networks", 2014)."""

from collections.abc import Iterator, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import IMAGENET, Classifier, Looks, take_weights


class AlexNet(Classifier):
    """Five convolutions and two fully connected layers, by torchvision's names, so that its weights fit as they are.

    It has fewer channels than the AlexNet of 2012 and no local response normalisation.
    """

    pool5_width, fc7_width = 256 * 6 * 6, 4096
    normalization = IMAGENET
    torchvision_name = "alexnet"

    def __init__(self) -> None:
        super().__init__()
        conv1, conv2 = nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.Conv2d(64, 192, 5, padding=2)
        conv3, conv4, conv5 = (nn.Conv2d(*c, 3, padding=1) for c in ((192, 384), (384, 256), (256, 256)))
        relu, pool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)
        self.features = nn.Sequential(
            conv1, relu, pool, conv2, relu, pool, conv3, relu, conv4, relu, conv5, relu, pool
        )  # fmt: skip
        fc6, fc7 = nn.Linear(self.pool5_width, 4096), nn.Linear(4096, 4096)
        self.classifier = nn.Sequential(nn.Dropout(), fc6, nn.ReLU(), nn.Dropout(), fc7, nn.ReLU())

    def forward(self, x: Tensor) -> Looks:
        """(N, 3, S, S) → pool5 (N, 9216) and fc7 (N, 4096); maps of another size than 6 × 6 are pooled to it."""
        pool5 = F.adaptive_avg_pool2d(self.features(x), 6).flatten(1)
        return Looks(pool5, self.classifier(pool5))

    def stem(self) -> Iterator[nn.Module]:
        """conv1, at stride 4."""
        yield self.features[0]

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Takes torchvision's `alexnet` state dict; raises ValueError naming the first tensor that does not fit."""
        take_weights(self, weights, "torchvision's AlexNet")
