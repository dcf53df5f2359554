"""torchvision's `fasterrcnn_resnet50_fpn` and `fasterrcnn_resnet50_fpn_v2`.

What they expect beside their tensors
    * RGB of 0 to 1 less ImageNet's mean over its deviation; the short side 800, the long one 1333 at most.
    * Anchors around the corners of cells, in whole pixels.
    * One score of being an object for each anchor: ours are two, of which background's is 0.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, layer_pieces
from vedette.weights.layouts.pyramids import (
    IMAGENET_INPUT,
    faster_rcnn_checkpoint,
    resnet_pieces,
    with_background,
    without_counters,
)
from vedette.weights.layouts.torchvision_names import less_epsilon, renamed

CONFIG = {"anchor_grid": "torchvision"}
SECOND = {"norm": True, "head_convs": 4, "head_layers": 1, "rpn_layers": 2}
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
LEVELS = 4  # p2 to p5


def convert(weights: Mapping[str, Tensor]) -> Checkpoint:
    """torchvision's state dict in our terms."""
    weights, old = renamed(without_counters(weights, "backbone.body."))
    second = "roi_heads.box_head.5.weight" in weights
    resnet = resnet_pieces("backbone.body", "backbone.body.{}".format, less_epsilon if old else as_it_is)
    pieces = [*resnet, *_pyramid(second), *_rpn(second), *_head(second), *_outputs()]
    return faster_rcnn_checkpoint(pieces, weights, CONFIG | (SECOND if second else {}), IMAGENET_INPUT)


def _pyramid(norm: bool) -> Iterator[Piece]:
    for level in range(LEVELS):
        for ours, theirs in (("laterals", "inner_blocks"), ("outputs", "layer_blocks")):
            yield from _conv(f"backbone.pyramid.{ours}.{level}", f"backbone.fpn.{theirs}.{level}", norm)


def _conv(ours: str, theirs: str, norm: bool) -> list[Piece]:
    if not norm:
        return layer_pieces(ours, f"{theirs}.0")
    return layer_pieces(f"{ours}.0", f"{theirs}.0", ("weight",)) + layer_pieces(f"{ours}.1", f"{theirs}.1", NORM)


def _rpn(second: bool) -> Iterator[Piece]:
    for layer in range(2 if second else 1):
        yield from layer_pieces(f"rpn.convs.{2 * layer}", f"rpn.head.conv.{layer}.0")
    for part in ("weight", "bias"):
        yield Piece(f"rpn.logits.{part}", (f"rpn.head.cls_logits.{part}",), with_background)
    yield from layer_pieces("rpn.deltas", "rpn.head.bbox_pred")


def _head(second: bool) -> Iterator[Piece]:
    if second:
        for layer in range(4):
            yield from _conv(f"backbone.convs.{2 * layer}", f"roi_heads.box_head.{layer}", norm=True)
        yield from layer_pieces("backbone.layers.0", "roi_heads.box_head.5")
    else:
        yield from layer_pieces("backbone.layers.0", "roi_heads.box_head.fc6")
        yield from layer_pieces("backbone.layers.2", "roi_heads.box_head.fc7")


def _outputs() -> Iterator[Piece]:
    yield from layer_pieces("head.logits", "roi_heads.box_predictor.cls_score")
    for part in ("weight", "bias"):
        yield Piece(f"head.deltas.{part}", (f"roi_heads.box_predictor.bbox_pred.{part}",), without_background)


def without_background(boxes: Tensor) -> Tensor:
    """The four deltas of each class but the first."""
    return boxes[4:]
