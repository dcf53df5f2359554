"""What the state dicts of torchvision's detectors on a pyramid share: old and new names, and the pieces of a ResNet."""

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

from vedette.backbones.resnet import ResNet
from vedette.infer.layouts.checkpoint import Piece, as_it_is

INPUT = {
    "resize": "short side",
    "size": 800,
    "max_side": 1333,
    "divisor": 32,
    "range": 1.0,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "channels": "rgb",
    "antialias": False,
}
EPSILON = 1e-5  # of our batch norm
NEW_NAMES = (  # layers that stand in a block of their own since torchvision 0.13
    (re.compile(r"(fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)"), r"\1.0.\2"),
    (re.compile(r"rpn\.head\.conv\.(weight|bias)"), r"rpn.head.conv.0.0.\1"),
    (re.compile(r"(head\.\w+_head\.conv)\.([0246])\.(weight|bias)"), lambda m: f"{m[1]}.{int(m[2]) // 2}.0.{m[3]}"),
)


def renamed(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """The tensors by the names of torchvision 0.13 on, and whether they had the older ones.

    Older files are COCO's first weights, with which torchvision takes 0 for the epsilon of batch norm.
    """
    found = {_new_name(name): tensor for name, tensor in weights.items()}
    return found, set(found) != set(weights)


def _new_name(name: str) -> str:
    for pattern, new in NEW_NAMES:
        if pattern.fullmatch(name.removeprefix("backbone.")):
            prefix = "backbone." if name.startswith("backbone.") else ""
            return prefix + pattern.sub(new, name.removeprefix("backbone."))
    return name


def resnet_pieces(ours: str, theirs: str, without_epsilon: bool) -> Iterator[Piece]:
    """All tensors of a ResNet-50 under two prefixes; its batch norm's epsilon may be 0 there."""
    for name in ResNet(50, with_c2=True).state_dict():
        variance = without_epsilon and name.endswith("running_var")
        yield Piece(f"{ours}.{name}", (f"{theirs}.{name}",), _less_epsilon if variance else as_it_is)


def layer_pieces(ours: str, theirs: str, parts: tuple[str, ...] = ("weight", "bias")) -> Iterator[Piece]:
    """The tensors of one layer."""
    for part in parts:
        yield Piece(f"{ours}.{part}", (f"{theirs}.{part}",), as_it_is)


def without_counters(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Batch norm's counters left out below a prefix: frozen batch norm has none."""
    return {n: t for n, t in weights.items() if not (n.startswith(prefix) and n.endswith("num_batches_tracked"))}


def _less_epsilon(variance: Tensor) -> Tensor:
    return variance - EPSILON
