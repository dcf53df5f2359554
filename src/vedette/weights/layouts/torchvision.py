"""torchvision: checkpoints of its SSD300, Faster R-CNN and RetinaNet, told apart by their tensors."""

from collections.abc import Mapping

from torch import Tensor

from vedette.weights.layouts import faster_rcnn_torchvision, retinanet_torchvision, ssd_torchvision
from vedette.weights.layouts.checkpoint import Checkpoint


def convert(weights: Mapping[str, Tensor]) -> Checkpoint:
    """torchvision's state dict in our terms."""
    if any(name.startswith("roi_heads.") for name in weights):
        return faster_rcnn_torchvision.convert(weights)
    if any(name.startswith("backbone.fpn.") for name in weights):
        return retinanet_torchvision.convert(weights)
    return ssd_torchvision.convert(weights)
