"""refinedet.pytorch: checkpoints of luuuyi/RefineDet.PyTorch, 320 and 512, VGG-16.

What they expect beside their tensors
    * RGB of 0 to 255, the mean subtracted, resized bilinearly without antialiasing.
    * A cell's anchors in the order square, wide, high.
    * Anchors no wider and no higher than the image (this matters at 320: the coarsest level's are 362 pixels long).
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, assemble, count_classes, weights_and_biases
from vedette.weights.layouts.refinedet_caffe import ASPECT_RATIOS
from vedette.weights.layouts.shared import CAFFE_RGB, vgg16_modules

MODELS = ("refinedet320-vgg16", "refinedet512-vgg16")
CONFIG = {"aspect_ratios": ASPECT_RATIOS, "clip_anchors": True}
LEVELS = 4


def convert(weights: Mapping[str, Tensor]) -> Checkpoint:
    """The port's state dict in our terms."""
    pieces = [Piece(f"l2_norms.{i}.scale", (f"conv{4 + i}_3_L2Norm.weight",), as_it_is) for i in range(2)]
    pieces += weights_and_biases(_modules())
    tensors, origin, faults = assemble(pieces, weights)
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=MODELS,
        num_classes=count_classes(tensors.get("odm.logits.0.bias"), len(ASPECT_RATIOS)),
        config=CONFIG,
        input=CAFFE_RGB,
    )


def _modules() -> Iterator[tuple[str, str]]:
    """Our modules and theirs that have a weight and a bias."""
    yield from vgg16_modules("vgg")
    yield from (("extra.0", "extras.0"), ("extra.2", "extras.1"))
    for level in range(LEVELS):
        yield from ((f"arm.deltas.{level}", f"arm_loc.{level}"), (f"arm.logits.{level}", f"arm_conf.{level}"))
        yield from ((f"odm.deltas.{level}", f"odm_loc.{level}"), (f"odm.logits.{level}", f"odm_conf.{level}"))
        yield f"tcbs.{level}.conv1", f"tcb0.{3 * level}"
        yield f"tcbs.{level}.conv2", f"tcb0.{3 * level + 2}"
        yield f"tcbs.{level}.conv3", f"tcb2.{3 * level + 1}"
        if level < LEVELS - 1:
            yield f"tcbs.{level}.upsample", f"tcb1.{level}"
