"""What several layouts have in common: Caffe's input, and the numbers of VGG-16's layers in a list of them."""

from collections.abc import Iterator
from typing import Any

# As Caffe's VGG-16 was trained: 0 to 255, the mean subtracted.
CAFFE_BGR: dict[str, Any] = {
    "range": 255.0,
    "mean": (104.0, 117.0, 123.0),
    "std": (1.0, 1.0, 1.0),
    "channels": "bgr",
    "antialias": False,
}
CAFFE_RGB: dict[str, Any] = CAFFE_BGR | {"mean": CAFFE_BGR["mean"][::-1], "channels": "rgb"}

VGG16_STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))  # conv1_1 … conv5_3, ReLU and pools between
FC6, FC7 = 31, 33


def vgg16_modules(theirs: str) -> Iterator[tuple[str, str]]:
    """Our modules of VGG-16 with reduced fc layers, and theirs: the members of the list of that name."""
    for stage, numbers in enumerate(VGG16_STAGES):
        for layer, number in enumerate(numbers):
            yield f"backbone.stages.{stage}.{2 * layer}", f"{theirs}.{number}"
    yield from (("backbone.fc6", f"{theirs}.{FC6}"), ("backbone.fc7", f"{theirs}.{FC7}"))
