"""detectron2: Faster R-CNN and RetinaNet on ResNet-50 with FPN, its zoo's .pkl or a .pth of its own training.

What they expect beside their tensors
    * BGR of 0 to 255 less the mean; the short side 800, the long one 1333 at most.
    * The stride of a stage in its first 1×1 convolution (weights of the Microsoft Research Asia).
    * Anchors around the corners of cells; in a cell of RetinaNet size by size, not ratio by ratio.
    * The background's score behind those of the classes.
    * RoIAlign with half a cell subtracted, and as many samples as there are cells.
"""

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

from vedette.weights.layouts.checkpoint import Checkpoint, Piece, layer_pieces
from vedette.weights.layouts.pyramids import (
    SHORT_SIDE,
    background_first,
    faster_rcnn_checkpoint,
    resnet_pieces,
    retinanet_checkpoint,
    with_background,
    without_counters,
)

INPUT = SHORT_SIDE | {
    "range": 255.0,
    "mean": (123.675, 116.28, 103.53)[::-1],
    "std": (1.0, 1.0, 1.0),
    "channels": "bgr",
    "antialias": True,
}
CONFIG = {"anchor_grid": "corner", "stride_in_1x1": True}
ALIGN = {"align_samples": 0, "align_half_cell": True}
KEPT_ELSEWHERE = re.compile(r"pixel_(mean|std)|.*anchor_generator\.cell_anchors\.\d")
SUBNETS = (("class_subnet", "cls_subnet"), ("box_subnet", "bbox_subnet"))


def convert(weights: Mapping[str, Tensor]) -> Checkpoint:
    """detectron2's state dict in our terms."""
    weights = without_counters(weights, "backbone.")
    weights = {name: tensor for name, tensor in weights.items() if not KEPT_ELSEWHERE.fullmatch(name)}
    two_stages = any(name.startswith("roi_heads.") for name in weights)
    return _faster_rcnn(weights) if two_stages else _retinanet(weights)


def _faster_rcnn(weights: Mapping[str, Tensor]) -> Checkpoint:
    pieces = [*resnet_pieces("backbone.body", _resnet_name), *_pyramid("backbone.pyramid", 2)]
    pieces += layer_pieces("rpn.convs.0", "proposal_generator.rpn_head.conv")
    pieces += layer_pieces("rpn.deltas", "proposal_generator.rpn_head.anchor_deltas")
    for part in ("weight", "bias"):
        objects = f"proposal_generator.rpn_head.objectness_logits.{part}"
        pieces += [Piece(f"rpn.logits.{part}", (objects,), with_background)]
        pieces += [Piece(f"head.logits.{part}", (f"roi_heads.box_predictor.cls_score.{part}",), background_first)]
    pieces += layer_pieces("head.deltas", "roi_heads.box_predictor.bbox_pred")
    for ours, theirs in ((0, "fc1"), (2, "fc2")):
        pieces += layer_pieces(f"backbone.layers.{ours}", f"roi_heads.box_head.{theirs}")
    return faster_rcnn_checkpoint(pieces, weights, CONFIG | ALIGN, INPUT)


def _retinanet(weights: Mapping[str, Tensor]) -> Checkpoint:
    pieces = [*resnet_pieces("backbone", _resnet_name), *_pyramid("pyramid.pyramid", 3)]
    for name in ("p6", "p7"):
        pieces += layer_pieces(f"pyramid.{name}", f"backbone.top_block.{name}")
    for ours, theirs in SUBNETS:
        for layer in range(0, 8, 2):
            pieces += layer_pieces(f"head.{ours}.{layer}", f"head.{theirs}.{layer}")
    for ours, theirs in (("logits", "cls_score"), ("deltas", "bbox_pred")):
        for part in ("weight", "bias"):
            pieces += [Piece(f"head.{ours}.{part}", (f"head.{theirs}.{part}",), ratio_by_ratio)]
    return retinanet_checkpoint(pieces, weights, CONFIG, INPUT)


def _pyramid(ours: str, finest: int) -> Iterator[Piece]:
    for level in range(finest, 6):
        yield from layer_pieces(f"{ours}.laterals.{level - finest}", f"backbone.fpn_lateral{level}")
        yield from layer_pieces(f"{ours}.outputs.{level - finest}", f"backbone.fpn_output{level}")


def _resnet_name(name: str) -> str:
    """A tensor of torchvision's ResNet by detectron2's name: layer1.0.bn2.weight, res2.0.conv2.norm.weight."""
    name = re.sub(r"downsample\.0", "shortcut", re.sub(r"downsample\.1", "shortcut.norm", name))
    name = re.sub(r"bn(\d)", r"conv\1.norm", name)
    stage = re.match(r"layer(\d)", name)
    return f"backbone.bottom_up.res{int(stage[1]) + 1}{name[6:]}" if stage else f"backbone.bottom_up.stem.{name}"


def ratio_by_ratio(outputs: Tensor) -> Tensor:
    """(9 × n, …) of anchors size by size, in a size ratio by ratio, the other way round."""
    grouped = outputs.reshape(3, 3, -1, *outputs.shape[1:])
    return grouped.transpose(0, 1).reshape(outputs.shape).contiguous()
