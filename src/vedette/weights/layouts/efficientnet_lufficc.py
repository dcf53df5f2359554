"""lufficc's SSD300 on EfficientNet-B3: timm's tf_efficientnet_b3 under other names, its batch norm not yet folded.

What it expects beside its tensors
    * What its VGG-16 does: input and anchors. Its maps are not normalised, and its new layers have no batch norm.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_weights

from vedette.weights.layouts.checkpoint import Piece, layer_pieces

MODEL = "ssd300-timm/tf_efficientnet_b3"
CONFIG: dict[str, Any] = {"l2_norm": (), "map_rms": 0.0, "norm": False}
REPEATS = (2, 3, 3, 5, 5, 6, 2)  # blocks of each stage
EPSILON = 1e-3  # of its batch norm
FIRST = (("conv_dw", "_depthwise_conv", "_bn1"), ("conv_pw", "_project_conv", "_bn2"))  # a block that does not expand
LATER = (("conv_pw", "_expand_conv", "_bn0"), FIRST[0], ("conv_pwl", "_project_conv", "_bn2"))
SQUEEZE = (("se.conv_reduce", "_se_reduce"), ("se.conv_expand", "_se_expand"))
COUNTER = "num_batches_tracked"
EXTRAS = 3  # levels behind the backbone


def is_efficientnet(weights: Mapping[str, Tensor]) -> bool:
    """Whether the backbone is one of its EfficientNets, of which it has B3's levels alone."""
    return "backbone._conv_stem.weight" in weights


def pieces_of_b3() -> Iterator[Piece]:
    """The backbone and the levels behind it."""
    yield from _folded("backbone.body.conv_stem", "backbone._conv_stem", "backbone._bn0")
    number = 0
    for stage, repeats in enumerate(REPEATS):
        for block in range(repeats):
            ours, theirs = f"backbone.body.blocks.{stage}.{block}", f"backbone._blocks.{number}"
            for own, conv, norm in LATER if stage else FIRST:
                yield from _folded(f"{ours}.{own}", f"{theirs}.{conv}", f"{theirs}.{norm}")
            for own, layer in SQUEEZE:
                yield from layer_pieces(f"{ours}.{own}", f"{theirs}.{layer}")
            number += 1
    for level in range(EXTRAS):
        yield from layer_pieces(f"extras.{level}.squeeze", f"backbone.extras.{level}.0")
        yield from layer_pieces(f"extras.{level}.shrink", f"backbone.extras.{level}.2")


def _folded(ours: str, conv: str, norm: str) -> list[Piece]:
    """A convolution and the batch norm behind it as one convolution."""
    parts = ("weight", "bias", "running_mean", "running_var")
    sources = (f"{conv}.weight", *(f"{norm}.{part}" for part in parts))
    return [Piece(f"{ours}.weight", sources, folded_weight), Piece(f"{ours}.bias", sources, folded_bias)]


def folded_weight(conv: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Of the one convolution."""
    return fuse_conv_bn_weights(conv, None, mean, variance, EPSILON, weight, bias)[0]


def folded_bias(conv: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Of the one convolution."""
    return fuse_conv_bn_weights(conv, None, mean, variance, EPSILON, weight, bias)[1]
