"""What the checkpoints of Faster R-CNN and RetinaNet on a pyramid share, whoever wrote them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from vedette.backbones.resnet import ResNet
from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, assemble, count_classes

ANCHORS_OF_RETINANET = 9  # a cell
SHORT_SIDE = {"resize": "short side", "size": 800, "max_side": 1333, "divisor": 32}
IMAGENET_INPUT = SHORT_SIDE | {
    "range": 1.0,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "channels": "rgb",
    "antialias": False,
}


def resnet_pieces(
    ours: str, name: Callable[[str], str], variance: Callable[[Tensor], Tensor] = as_it_is
) -> Iterator[Piece]:
    """All tensors of a ResNet-50 under our prefix; `name` turns torchvision's names into the file's."""
    for own in ResNet(50).state_dict():
        yield Piece(f"{ours}.{own}", (name(own),), variance if own.endswith("running_var") else as_it_is)


def without_counters(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Batch norm's counters left out below a prefix: frozen batch norm has none."""
    return {n: t for n, t in weights.items() if not (n.startswith(prefix) and n.endswith("num_batches_tracked"))}


def with_background(objects: Tensor) -> Tensor:
    """(K, …) → (2 K, …): for each anchor a score of 0 for background before that of an object."""
    return torch.stack([torch.zeros_like(objects), objects], 1).flatten(0, 1)


def background_first(scores: Tensor) -> Tensor:
    """(C + 1, …) with background last → background first."""
    return scores.roll(1, 0)


def faster_rcnn_checkpoint(
    pieces: Sequence[Piece], weights: Mapping[str, Tensor], config: dict[str, Any], spec: dict[str, Any]
) -> Checkpoint:
    """Faster R-CNN on ResNet-50 with FPN of a file's weights."""
    tensors, origin, faults = assemble(pieces, weights)
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=("faster-rcnn-resnet50-fpn",),
        num_classes=count_classes(tensors.get("head.logits.bias"), 1),
        config=config,
        input=spec,
    )


def retinanet_checkpoint(
    pieces: Sequence[Piece], weights: Mapping[str, Tensor], config: dict[str, Any], spec: dict[str, Any]
) -> Checkpoint:
    """RetinaNet on ResNet-50 with FPN of a file's weights."""
    tensors, origin, faults = assemble(pieces, weights)
    scores = tensors.get("head.logits.bias")
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=("retinanet-resnet50-fpn",),
        num_classes=80 if scores is None else max(1, scores.numel() // ANCHORS_OF_RETINANET),
        config=config,
        input=spec,
    )
