"""refinedet.caffe: the authors' own .caffemodel files, 320 and 512, VGG-16 and ResNet-101.

The layers' names come from the scripts that write their networks (sfzhang15/RefineDet, examples/refinedet and
python/caffe/model_libs.py).

What they expect beside their tensors
    * BGR of 0 to 255, the mean subtracted, resized bilinearly without antialiasing.
    * A cell's anchors in the order square, wide, high; not clipped.
    * ResNet-101: a stage's stride in its first convolution, and a residual block before each level's heads.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from vedette.backbones.vgg import STAGES
from vedette.weights.layouts.caffe_model import read_caffemodel
from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, assemble, count_classes
from vedette.weights.layouts.shared import CAFFE_BGR

ASPECT_RATIOS = (1.0, 0.5, 2.0)  # height over width
BATCH_NORM_EPS = 1e-5

VGG_SOURCES = ("conv4_3_norm", "conv5_3_norm", "fc7", "conv6_2")
RESNET_SOURCES = ("res3b3_relu", "res4b22_relu", "res5c_relu", "res6_relu")
RESNET_STAGES = (
    ("2a", "2b", "2c"),
    ("3a", *(f"3b{i}" for i in range(1, 4))),
    ("4a", *(f"4b{i}" for i in range(1, 23))),
    ("5a", "5b", "5c"),
)
MAPS = ("P3", "P4", "P5", "P6")  # what the transfer connection blocks give


def read(path: Path) -> Checkpoint:
    """A .caffemodel in our terms; raises InputError where it is none."""
    return convert(read_caffemodel(path))


def convert(blobs: Mapping[str, Tensor]) -> Checkpoint:
    """The blobs `layer[index]` of a network in our terms."""
    resnet = "res2a_branch1[0]" in blobs
    tensors, origin, faults = assemble(list(_resnet101() if resnet else _vgg16()), blobs)
    backbone = "resnet101" if resnet else "vgg16"
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=(f"refinedet320-{backbone}", f"refinedet512-{backbone}"),
        num_classes=count_classes(tensors.get("odm.logits.0.bias"), len(ASPECT_RATIOS)),
        config={"aspect_ratios": ASPECT_RATIOS} | ({"deep_heads": True, "stride_in_1x1": True} if resnet else {}),
        input=CAFFE_BGR,
    )


def _vgg16() -> Iterator[Piece]:
    for stage, widths in enumerate(STAGES):
        for i in range(len(widths)):
            yield from _convolution(f"backbone.stages.{stage}.{2 * i}", f"conv{stage + 1}_{i + 1}")
    yield from _convolution("backbone.fc6", "fc6")
    yield from _convolution("backbone.fc7", "fc7")
    yield from _convolution("extra.0", "conv6_1")
    yield from _convolution("extra.2", "conv6_2")
    for level, source in enumerate(VGG_SOURCES[:2]):
        yield Piece(f"l2_norms.{level}.scale", (f"{source}[0]",), torch.flatten)
    for level in range(len(MAPS)):
        for ours, theirs in _transfer(level):
            yield from _convolution(ours, theirs)
    yield from _heads("arm", VGG_SOURCES)
    yield from _heads("odm", MAPS)


def _resnet101() -> Iterator[Piece]:
    yield from _normalized("backbone.conv1", "backbone.bn1", ("conv1", "bn_conv1", "scale_conv1"))
    for stage, blocks in enumerate(RESNET_STAGES, 1):
        for i, block in enumerate(blocks):
            yield from _residual(f"backbone.layer{stage}.{i}", block, shortcut=i == 0)
    yield from _residual("extra", "6", shortcut=True, frozen=False)
    for level in range(len(MAPS)):
        for ours, theirs in _transfer(level):
            layers = (theirs, f"{theirs}_bn", f"{theirs}_scale")
            if ours.endswith("upsample"):
                yield from _folded(ours, layers)
            else:
                yield from _normalized(f"{ours}.0", f"{ours}.1", layers, frozen=False)
    for step, sources in (("arm", RESNET_SOURCES), ("odm", MAPS)):
        for level, source in enumerate(sources):
            yield from _residual(f"{step}_blocks.{level}", f"{source}_inter", shortcut=True, frozen=False)
        yield from _heads(step, tuple(f"res{source}_inter" for source in sources))


def _transfer(level: int) -> Iterator[tuple[str, str]]:
    """The layers of one transfer connection block, ours and theirs."""
    ours, number = f"tcbs.{level}", level + 3
    yield from ((f"{ours}.conv1", f"TL{number}_1"), (f"{ours}.conv2", f"TL{number}_2"), (f"{ours}.conv3", f"P{number}"))
    if level + 1 < len(MAPS):
        yield f"{ours}.upsample", f"P{number + 1}-up"


def _heads(step: str, sources: tuple[str, ...]) -> Iterator[Piece]:
    for level, source in enumerate(sources):
        yield from _convolution(f"{step}.deltas.{level}", f"{source}_mbox_loc")
        yield from _convolution(f"{step}.logits.{level}", f"{source}_mbox_conf")


def _residual(ours: str, theirs: str, shortcut: bool, frozen: bool = True) -> Iterator[Piece]:
    """A residual block; `frozen` batch norm counts no batches."""
    layers = [("conv1", "bn1", "branch2a"), ("conv2", "bn2", "branch2b"), ("conv3", "bn3", "branch2c")]
    if shortcut:
        layers.append(("downsample.0", "downsample.1", "branch1"))
    for conv, norm, branch in layers:
        names = (f"res{theirs}_{branch}", f"bn{theirs}_{branch}", f"scale{theirs}_{branch}")
        yield from _normalized(f"{ours}.{conv}", f"{ours}.{norm}", names, frozen=frozen)


def _convolution(ours: str, theirs: str) -> Iterator[Piece]:
    yield Piece(f"{ours}.weight", (f"{theirs}[0]",), as_it_is)
    yield Piece(f"{ours}.bias", (f"{theirs}[1]",), torch.flatten)  # old files: (1, 1, 1, C)


def _normalized(conv: str, norm: str, layers: tuple[str, str, str], frozen: bool = True) -> Iterator[Piece]:
    """A convolution without bias, and Caffe's BatchNorm and Scale as one batch norm."""
    weight, statistics, scale = layers
    yield Piece(f"{conv}.weight", (f"{weight}[0]",), as_it_is)
    yield Piece(f"{norm}.weight", (f"{scale}[0]",), torch.flatten)
    yield Piece(f"{norm}.bias", (f"{scale}[1]",), torch.flatten)
    yield Piece(f"{norm}.running_mean", (f"{statistics}[0]", f"{statistics}[2]"), _average)
    yield Piece(f"{norm}.running_var", (f"{statistics}[1]", f"{statistics}[2]"), _average)
    if not frozen:
        yield Piece(f"{norm}.num_batches_tracked", (), lambda: torch.tensor(0))


def _folded(ours: str, layers: tuple[str, str, str]) -> Iterator[Piece]:
    """A deconvolution without bias whose BatchNorm and Scale become part of it: ours has none behind it."""
    weight, statistics, scale = layers
    variance = (f"{statistics}[1]", f"{statistics}[2]", f"{scale}[0]")
    yield Piece(f"{ours}.weight", (f"{weight}[0]", *variance), _folded_weight)
    yield Piece(f"{ours}.bias", (f"{scale}[1]", f"{statistics}[0]", *variance), _folded_bias)


def _average(total: Tensor, factor: Tensor) -> Tensor:
    """Caffe keeps a sum of statistics and the factor to divide it by; 0 means that there are none yet."""
    count = float(factor.flatten()[0])
    return total.flatten() / count if count else torch.zeros_like(total).flatten()


def _gain(variance: Tensor, factor: Tensor, scale: Tensor) -> Tensor:
    return scale.flatten() / (_average(variance, factor) + BATCH_NORM_EPS).sqrt()


def _folded_weight(weight: Tensor, variance: Tensor, factor: Tensor, scale: Tensor) -> Tensor:
    return weight * _gain(variance, factor, scale)[:, None, None]  # (in, out, 2, 2), as in PyTorch


def _folded_bias(shift: Tensor, mean: Tensor, variance: Tensor, factor: Tensor, scale: Tensor) -> Tensor:
    return shift.flatten() - _average(mean, factor) * _gain(variance, factor, scale)
