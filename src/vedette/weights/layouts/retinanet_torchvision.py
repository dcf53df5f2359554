"""torchvision's `retinanet_resnet50_fpn` and `retinanet_resnet50_fpn_v2`.

What they expect beside their tensors
    * The input of its Faster R-CNN; anchors around the corners of cells, in whole pixels, of whole sizes.
    * The first of its classes is nothing's: a sigmoid needs no background. It is left out.
    * 300 boxes of an image are kept. p6 is made of p5, in the second version of c5.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from torch import Tensor

from vedette.papers.retinanet import OCTAVES
from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, layer_pieces
from vedette.weights.layouts.pyramids import (
    ANCHORS_OF_RETINANET,
    IMAGENET_INPUT,
    resnet_pieces,
    retinanet_checkpoint,
    without_counters,
)
from vedette.weights.layouts.torchvision_names import less_epsilon, renamed

SIZES = tuple(tuple(float(int(side * octave)) for octave in OCTAVES) for side in (32, 64, 128, 256, 512))
CONFIG = {"anchor_grid": "torchvision", "anchor_sizes": SIZES, "keep": 300, "keep_best": True}
LEVELS, LAYERS = 3, 4


def convert(weights: Mapping[str, Tensor]) -> Checkpoint:
    """torchvision's state dict in our terms."""
    weights, old = renamed(without_counters(weights, "backbone.body."))
    second = "head.classification_head.conv.0.1.weight" in weights
    scores = weights.get("head.classification_head.cls_logits.bias")
    classes = 91 if scores is None else max(2, scores.numel() // ANCHORS_OF_RETINANET)
    resnet = resnet_pieces("backbone", "backbone.body.{}".format, less_epsilon if old else as_it_is)
    pieces = [*resnet, *_pyramid(), *_subnets(second)]
    pieces += _outputs(partial(without_first, classes=classes))
    return retinanet_checkpoint(
        pieces, weights, CONFIG | {"head_norm": second, "p6_from": "c5" if second else "p5"}, IMAGENET_INPUT
    )


def _pyramid() -> Iterator[Piece]:
    for level in range(LEVELS):
        yield from layer_pieces(f"pyramid.pyramid.laterals.{level}", f"backbone.fpn.inner_blocks.{level}.0")
        yield from layer_pieces(f"pyramid.pyramid.outputs.{level}", f"backbone.fpn.layer_blocks.{level}.0")
    for name in ("p6", "p7"):
        yield from layer_pieces(f"pyramid.{name}", f"backbone.fpn.extra_blocks.{name}")


def _subnets(norm: bool) -> Iterator[Piece]:
    step = 3 if norm else 2  # modules of a layer of ours
    for ours, theirs in (("class_subnet", "classification_head"), ("box_subnet", "regression_head")):
        for layer in range(LAYERS):
            place, their = f"head.{ours}.{step * layer}", f"head.{theirs}.conv.{layer}"
            yield from layer_pieces(place, f"{their}.0", ("weight",) if norm else ("weight", "bias"))
            if norm:
                yield from layer_pieces(f"head.{ours}.{step * layer + 1}", f"{their}.1")


def _outputs(scores: Callable[[Tensor], Tensor]) -> Iterator[Piece]:
    for part in ("weight", "bias"):
        yield Piece(f"head.logits.{part}", (f"head.classification_head.cls_logits.{part}",), scores)
    yield from layer_pieces("head.deltas", "head.regression_head.bbox_reg")


def without_first(scores: Tensor, classes: int) -> Tensor:
    """(K × classes, …) → (K × (classes - 1), …): each anchor's scores but the first."""
    return scores.reshape(-1, classes, *scores.shape[1:])[:, 1:].flatten(0, 1)
