"""sgrvinod: SSD300 of the tutorial sgrvinod/a-PyTorch-Tutorial-to-Object-Detection, on VGG-16.

Its checkpoints hold the whole model, pickled: what its tensors are is read, and its code is not run.

What it expects beside its tensors
    * RGB of 0 to 1 less ImageNet's mean over its deviation, resized bilinearly by PIL, which antialiases.
    * Anchors of scales of its own, a map's cells spread over the whole image, centre and size inside the image.
    * A cell's anchors: both squares, all wide ones, then all high ones; ours are wide and high in turns.
    * High anchors of ratio 0.333 are made with ours of 1/3: 0.14 pixels higher at most, of 286.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, assemble, count_classes, layer_pieces
from vedette.weights.layouts.ssd_ports import ANCHORS_OF_CONV4_3

INPUT = {
    "range": 1.0,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "channels": "rgb",
    "antialias": True,
}
SCALES = (0.1, 0.2, 0.375, 0.55, 0.725, 0.9)
CELLS = (38, 19, 10, 5, 3, 1)
SIDE = 300
LAST_SIZE = SIDE / SCALES[-1]  # with it the last level's second square is the whole image
CONFIG = {
    "anchor_sizes": (*(round(SIDE * scale, 6) for scale in SCALES), LAST_SIZE),
    "steps": tuple(SIDE / cells for cells in CELLS),
    "clip_anchors": True,
}
CONVS = (2, 2, 3, 3, 3)  # of VGG-16's stages
MAPS = ("conv4_3", "conv7", "conv8_2", "conv9_2", "conv10_2", "conv11_2")
OURS_OF_SIX = (0, 1, 2, 4, 3, 5)  # theirs: square, large square, wide 2, wide 3, high 2, high 3


def convert(weights: Mapping[str, Tensor]) -> Checkpoint:
    """The state dict of the tutorial's SSD300 in our terms."""
    pieces = [Piece("l2_norms.0.scale", ("rescale_factors",), flat), *_vgg16(), *_extras(), *_heads()]
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


def _vgg16() -> Iterator[Piece]:
    for stage, convs in enumerate(CONVS):
        for layer in range(convs):
            yield from layer_pieces(f"backbone.stages.{stage}.{2 * layer}", f"base.conv{stage + 1}_{layer + 1}")
    yield from layer_pieces("backbone.fc6", "base.conv6")
    yield from layer_pieces("backbone.fc7", "base.conv7")


def _extras() -> Iterator[Piece]:
    for level in range(len(MAPS) - 2):
        yield from layer_pieces(f"extras.{level}.squeeze", f"aux_convs.conv{8 + level}_1")
        yield from layer_pieces(f"extras.{level}.shrink", f"aux_convs.conv{8 + level}_2")


def _heads() -> Iterator[Piece]:
    for level, name in enumerate(MAPS):
        for ours, theirs in (("logits", "cl"), ("deltas", "loc")):
            for part in ("weight", "bias"):
                make = in_turns if level in (1, 2, 3) else as_it_is
                yield Piece(f"head.{ours}.{level}.{part}", (f"pred_convs.{theirs}_{name}.{part}",), make)


def flat(scale: Tensor) -> Tensor:
    """(1, C, 1, 1) → (C,)."""
    return scale.flatten()


def in_turns(outputs: Tensor) -> Tensor:
    """(6 × n, …) outputs of six anchors a cell in our order."""
    return outputs.reshape(6, -1, *outputs.shape[1:])[list(OURS_OF_SIX)].reshape(outputs.shape)
