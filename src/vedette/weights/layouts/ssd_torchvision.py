"""torchvision's `ssd300_vgg16`.

What it expects beside its tensors
    * RGB, the mean subtracted from 0 to 255, resized bilinearly without antialiasing.
    * Anchors of COCO's sizes whatever the classes, no larger than the image.
    * Boxes cut at the image before NMS.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from vedette.papers.ssd import COCO_SIZES
from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, assemble, count_classes, weights_and_biases
from vedette.weights.layouts.shared import VGG16_STAGES
from vedette.weights.layouts.ssd_ports import ANCHORS_OF_CONV4_3, EXTRAS

CONFIG = {"anchor_sizes": COCO_SIZES[300], "clip_anchors": "size", "clip_boxes": True}
INPUT = {
    "range": 1.0,
    "mean": (0.48235, 0.45882, 0.40784),
    "std": (1 / 255, 1 / 255, 1 / 255),
    "channels": "rgb",
    "antialias": False,
}

STAGES = VGG16_STAGES[:4]  # N of features.N: conv1_1 … conv4_3
CONV5 = (1, 3, 5)  # N of extra.0.N, behind the fourth pool
FC6, FC7 = "extra.0.7.1", "extra.0.7.3"


def convert(weights: Mapping[str, Tensor]) -> Checkpoint:
    """torchvision's state dict in our terms."""
    pieces = [Piece("l2_norms.0.scale", ("backbone.scale_weight",), as_it_is)]
    pieces += weights_and_biases(_modules())
    tensors, origin, faults = assemble(pieces, weights)
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=("ssd300-vgg16",),
        num_classes=count_classes(tensors.get("head.logits.0.bias"), ANCHORS_OF_CONV4_3),
        config=CONFIG,
        input=INPUT,
    )


def _modules() -> Iterator[tuple[str, str]]:
    """Our modules and theirs that have a weight and a bias."""
    for stage, numbers in enumerate(STAGES):
        for layer, number in enumerate(numbers):
            yield f"backbone.stages.{stage}.{2 * layer}", f"backbone.features.{number}"
    for layer, number in enumerate(CONV5):
        yield f"backbone.stages.4.{2 * layer}", f"backbone.extra.0.{number}"
    yield from (("backbone.fc6", f"backbone.{FC6}"), ("backbone.fc7", f"backbone.{FC7}"))
    for level in range(EXTRAS[300]):
        yield f"extras.{level}.squeeze", f"backbone.extra.{level + 1}.0"
        yield f"extras.{level}.shrink", f"backbone.extra.{level + 1}.2"
    for level in range(2 + EXTRAS[300]):
        yield f"head.logits.{level}", f"head.classification_head.module_list.{level}"
        yield f"head.deltas.{level}", f"head.regression_head.module_list.{level}"
