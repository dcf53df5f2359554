"""mmdet: Faster R-CNN and RetinaNet on ResNet-50 with FPN, "pytorch" style; its SSD is in `mmdet_ssd`.

What they expect beside their tensors
    * RGB less ImageNet's mean over its deviation; the short side 800, the long one 1333 at most.
    * Anchors around the corners of cells.
    * The background's score behind those of the classes.
    * RoIAlign with half a cell subtracted, and as many samples as there are cells.
    * No ReLU before RetinaNet's p7.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from vedette.weights.layouts import mmdet_ssd
from vedette.weights.layouts.checkpoint import Checkpoint, Piece, layer_pieces
from vedette.weights.layouts.mmdet_meta import classes_of, meta_of, without_averages
from vedette.weights.layouts.pyramids import (
    IMAGENET_INPUT,
    background_first,
    faster_rcnn_checkpoint,
    resnet_pieces,
    retinanet_checkpoint,
    with_background,
    without_counters,
)

CONFIG = {"anchor_grid": "corner"}
ALIGN = {"align_samples": 0, "align_half_cell": True}
SUBNETS = (("class_subnet", "cls_convs"), ("box_subnet", "reg_convs"))


def convert(weights: Mapping[str, Tensor], content: Any = None) -> Checkpoint:
    """mmdet's state dict in our terms; content: all that the file holds, of which its meta is used."""
    weights = without_counters(without_averages(weights), "backbone.")
    meta = meta_of(content)
    if any(name.startswith("roi_head.") for name in weights):
        found = _faster_rcnn(weights)
    elif "bbox_head.retina_cls.weight" in weights:
        found = _retinanet(weights)
    else:
        found = mmdet_ssd.convert(weights, meta)
    return replace(found, classes=classes_of(meta, found.num_classes))


def _faster_rcnn(weights: Mapping[str, Tensor]) -> Checkpoint:
    pieces = [*resnet_pieces("backbone.body", "backbone.{}".format), *_pyramid("backbone.pyramid", 4)]
    pieces += layer_pieces("rpn.convs.0", "rpn_head.rpn_conv")
    pieces += layer_pieces("rpn.deltas", "rpn_head.rpn_reg")
    pieces += layer_pieces("head.deltas", "roi_head.bbox_head.fc_reg")
    for part in ("weight", "bias"):
        pieces += [Piece(f"rpn.logits.{part}", (f"rpn_head.rpn_cls.{part}",), with_background)]
        pieces += [Piece(f"head.logits.{part}", (f"roi_head.bbox_head.fc_cls.{part}",), background_first)]
    for layer in range(2):
        pieces += layer_pieces(f"backbone.layers.{2 * layer}", f"roi_head.bbox_head.shared_fcs.{layer}")
    return faster_rcnn_checkpoint(pieces, weights, CONFIG | ALIGN, IMAGENET_INPUT)


def _retinanet(weights: Mapping[str, Tensor]) -> Checkpoint:
    pieces = [*resnet_pieces("backbone", "backbone.{}".format), *_pyramid("pyramid.pyramid", 3)]
    for place, name in ((3, "p6"), (4, "p7")):
        pieces += layer_pieces(f"pyramid.{name}", f"neck.fpn_convs.{place}.conv")
    for ours, theirs in SUBNETS:
        for layer in range(4):
            pieces += layer_pieces(f"head.{ours}.{2 * layer}", f"bbox_head.{theirs}.{layer}.conv")
    pieces += layer_pieces("head.logits", "bbox_head.retina_cls")
    pieces += layer_pieces("head.deltas", "bbox_head.retina_reg")
    return retinanet_checkpoint(pieces, weights, CONFIG | {"relu_before_p7": False}, IMAGENET_INPUT)


def _pyramid(ours: str, levels: int) -> Iterator[Piece]:
    for level in range(levels):
        yield from layer_pieces(f"{ours}.laterals.{level}", f"neck.lateral_convs.{level}.conv")
        yield from layer_pieces(f"{ours}.outputs.{level}", f"neck.fpn_convs.{level}.conv")
