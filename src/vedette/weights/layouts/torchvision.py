"""torchvision: checkpoints of its SSD300, Faster R-CNN and RetinaNet, told apart by their tensors."""

from pathlib import Path

from vedette.errors import InputError
from vedette.weights.layouts import faster_rcnn_torchvision, retinanet_torchvision, ssd_torchvision
from vedette.weights.layouts.checkpoint import Checkpoint
from vedette.weights.layouts.pickled import read_state_dict


def read(path: Path) -> Checkpoint:
    """A checkpoint file in our terms; raises InputError where it is not one of these."""
    weights = read_state_dict(path)
    if any(name.startswith("roi_heads.") for name in weights):
        return faster_rcnn_torchvision.convert(weights)
    if any(name.startswith("backbone.fpn.") for name in weights):
        return retinanet_torchvision.convert(weights)
    if any(name.startswith("backbone.features.") for name in weights):
        return ssd_torchvision.convert(weights)
    first = next(iter(weights), "nothing")
    raise InputError(
        f"{path}: holds {first} …, which is none of torchvision's detectors that can be read: ssd300_vgg16, and Faster "
        "R-CNN and RetinaNet on ResNet-50 with FPN"
    )
