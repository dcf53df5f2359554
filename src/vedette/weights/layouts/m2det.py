"""m2det: checkpoints of the authors' code, qijiezhao/M2Det, with VGG-16 or ResNet-101.

What they expect beside their tensors
    * BGR of 0 to 255, the mean subtracted, resized bilinearly without antialiasing; with ResNet-101 too.
    * Anchors whose centre and size are limited to the image.
    * Batch norm on the finest map before the heads, and, as their configs are, no SFAM.
    * Soft-NMS from an IoU of 0.3 on: their call gives 0.45 as sigma, which the linear rule does not use.
    * One 1×1 layer for all eight levels, and one attention for all six scales: their files hold copies.
"""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from vedette.backbones.resnet import ResNet
from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, assemble, count_classes, weights_and_biases
from vedette.weights.layouts.shared import CAFFE_BGR, vgg16_modules

CLASSIFIER = ("base.fc.weight", "base.fc.bias")  # of ResNet, which nothing uses
COUNTER = "num_batches_tracked"  # of batch norm; older files have none

LEVELS, SCALES, ANCHORS = 8, 6, 6
SHARED = re.compile(r"(leach|sfam_module\.fc[12])\.\d+\.")


def convert(weights: Mapping[str, Tensor]) -> Checkpoint:
    """Their state dict in our terms."""
    weights = {name: t for name, t in weights.items() if name not in CLASSIFIER and not name.endswith(COUNTER)}
    resnet = any(name.startswith("base.layer") for name in weights)
    sfam = any(name.startswith("sfam_module.") for name in weights)
    shared = _are_copies(weights)
    pieces = [
        *(_resnet101() if resnet else weights_and_biases(vgg16_modules("base"))),
        *_fusion(shared),
        *_tums(),
        *_batch_norm("norm", "Norm"),
    ]
    pieces += [*(_sfam(shared) if sfam else ()), *_heads()]
    tensors, origin, faults = assemble(pieces, weights)
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=tuple(
            f"m2det{n}-{'resnet101' if resnet else 'vgg16'}" for n in ((320, 512) if resnet else (320, 512, 800))
        ),
        num_classes=count_classes(tensors.get("head.logits.0.bias"), ANCHORS),
        config={"share_layers": shared, "sfam": sfam, "norm_finest": True, "clip_anchors": True, "nms_iou": 0.3},
        input=CAFFE_BGR,
    )


def _are_copies(weights: Mapping[str, Tensor]) -> bool:
    """Whether the layers of all levels, and those of all scales, are the same, as the authors' code makes them."""
    layers = (
        (tensor, weights.get(SHARED.sub(r"\1.0.", name))) for name, tensor in weights.items() if SHARED.match(name)
    )
    return all(first is not None and torch.equal(tensor, first) for tensor, first in layers)


def _resnet101() -> Iterator[Piece]:
    with torch.device("meta"):
        names = ResNet(101).state_dict()
    yield from (Piece(f"backbone.{name}", (f"base.{name}",), as_it_is) for name in names)


def _fusion(shared: bool) -> Iterator[Piece]:
    yield from _convolution("ffm1.shallow", "reduce")
    yield from _convolution("ffm1.deep", "up_reduce")
    for level in range(1 if shared else LEVELS):
        yield from _convolution(f"ffm2.{level}.thin", *_sources("leach", level, LEVELS, shared))


def _tums() -> Iterator[Piece]:
    """Theirs count laterals and smoothing from the coarsest map, ours from the finest."""
    for level in range(LEVELS):
        ours, theirs = f"tums.{level}", f"unet{level + 1}"
        yield from _convolution(f"{ours}.top", f"{theirs}.toplayer.0")
        for i in range(SCALES - 1):
            back = SCALES - 2 - i
            yield from _convolution(f"{ours}.encoder.{i}", f"{theirs}.layers.{i}")
            yield from _convolution(f"{ours}.laterals.{i}", f"{theirs}.latlayer.{back}")
            yield from _convolution(f"{ours}.smooth.{i}", f"{theirs}.smooth.{back}")


def _sfam(shared: bool) -> Iterator[Piece]:
    for scale in range(1 if shared else SCALES):
        for layer in ("fc1", "fc2"):
            sources = _sources(f"sfam_module.{layer}", scale, SCALES, shared)
            yield from _weight_and_bias(f"sfam.attention.{scale}.{layer}", *sources)


def _heads() -> Iterator[Piece]:
    for scale in range(SCALES):
        yield from _weight_and_bias(f"head.deltas.{scale}", f"loc.{scale}")
        yield from _weight_and_bias(f"head.logits.{scale}", f"conf.{scale}")


def _sources(theirs: str, index: int, count: int, shared: bool) -> tuple[str, ...]:
    """The modules of their file that one of ours is made of: all copies where it is shared."""
    return tuple(f"{theirs}.{i}" for i in range(count)) if shared else (f"{theirs}.{index}",)


def _convolution(ours: str, *theirs: str) -> Iterator[Piece]:
    """Convolution and batch norm; more than one of theirs are copies."""
    yield Piece(f"{ours}.0.weight", tuple(f"{name}.conv.weight" for name in theirs), _first)
    yield from _batch_norm(f"{ours}.1", *(f"{name}.bn" for name in theirs))


def _batch_norm(ours: str, *theirs: str) -> Iterator[Piece]:
    yield from _weight_and_bias(ours, *theirs)
    for part in ("running_mean", "running_var"):
        yield Piece(f"{ours}.{part}", tuple(f"{name}.{part}" for name in theirs), _first)
    yield Piece(f"{ours}.{COUNTER}", (), lambda: torch.tensor(0))


def _weight_and_bias(ours: str, *theirs: str) -> Iterator[Piece]:
    for part in ("weight", "bias"):
        yield Piece(f"{ours}.{part}", tuple(f"{name}.{part}" for name in theirs), _first)


def _first(tensor: Tensor, *_copies: Tensor) -> Tensor:
    return tensor
