"""refinedet.pytorch: checkpoints of luuuyi/RefineDet.PyTorch, 320 and 512, VGG-16.

What they expect beside their tensors
    * RGB of 0 to 255, the mean subtracted, resized bilinearly without antialiasing.
    * A cell's anchors in the order square, wide, high.
    * Anchors no wider and no higher than the image (this matters at 320: the coarsest level's are 362 pixels long).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from vedette.infer.layouts.checkpoint import Checkpoint, Piece, as_it_is, assemble, count_classes
from vedette.infer.layouts.pickled import read_state_dict

MODELS = ("refinedet320-vgg16", "refinedet512-vgg16")
ASPECT_RATIOS = (1.0, 0.5, 2.0)  # height over width
CONFIG = {"aspect_ratios": ASPECT_RATIOS, "clip_anchors": True}
INPUT = {"range": 255.0, "mean": (123.0, 117.0, 104.0), "std": (1.0, 1.0, 1.0), "channels": "rgb", "antialias": False}

STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))  # N of vgg.N: conv1_1 … conv5_3
FC6, FC7 = 31, 33
LEVELS = 4


def read(path: Path) -> Checkpoint:
    """A checkpoint file in our terms; raises InputError where it is not a file of tensors."""
    return convert(read_state_dict(path))


def convert(weights: Mapping[str, Tensor]) -> Checkpoint:
    """The port's state dict in our terms."""
    pieces = [Piece(f"l2_norms.{i}.scale", (f"conv{4 + i}_3_L2Norm.weight",), as_it_is) for i in range(2)]
    for ours, theirs in _modules():
        pieces += [Piece(f"{ours}.{part}", (f"{theirs}.{part}",), as_it_is) for part in ("weight", "bias")]
    tensors, origin, faults = assemble(pieces, weights)
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=MODELS,
        num_classes=count_classes(tensors.get("odm.logits.0.bias"), len(ASPECT_RATIOS)),
        config=CONFIG,
        input=INPUT,
    )


def _modules() -> Iterator[tuple[str, str]]:
    """Our modules and theirs that have a weight and a bias."""
    for stage, numbers in enumerate(STAGES):
        for layer, number in enumerate(numbers):
            yield f"backbone.stages.{stage}.{2 * layer}", f"vgg.{number}"
    yield from (("backbone.fc6", f"vgg.{FC6}"), ("backbone.fc7", f"vgg.{FC7}"))
    yield from (("extra.0", "extras.0"), ("extra.2", "extras.1"))
    for level in range(LEVELS):
        yield from ((f"arm.deltas.{level}", f"arm_loc.{level}"), (f"arm.logits.{level}", f"arm_conf.{level}"))
        yield from ((f"odm.deltas.{level}", f"odm_loc.{level}"), (f"odm.logits.{level}", f"odm_conf.{level}"))
        yield f"tcbs.{level}.conv1", f"tcb0.{3 * level}"
        yield f"tcbs.{level}.conv2", f"tcb0.{3 * level + 2}"
        yield f"tcbs.{level}.conv3", f"tcb2.{3 * level + 1}"
        if level < LEVELS - 1:
            yield f"tcbs.{level}.upsample", f"tcb1.{level}"
