"""ssd.pytorch and lufficc: checkpoints of amdegroot/ssd.pytorch (300) and of lufficc/SSD (300 and 512), VGG-16.

The second took its network from the first, so their layers are numbered alike and only the names differ. Its SSD300 on
EfficientNet-B3 is read too (`efficientnet_lufficc`), those on MobileNet are not.

What they expect beside their tensors
    * RGB of 0 to 255, the mean subtracted, resized bilinearly without antialiasing.
    * Anchors with centre and size inside the image.
    * Anchors of COCO's sizes: ssd.pytorch for any number of classes but VOC's 20, lufficc for COCO's 80.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

from vedette.errors import InputError
from vedette.papers.ssd import COCO_SIZES, VOC_SIZES
from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, assemble, count_classes, weights_and_biases
from vedette.weights.layouts.efficientnet_lufficc import CONFIG, COUNTER, MODEL, is_efficientnet, pieces_of_b3
from vedette.weights.layouts.efficientnet_lufficc import EXTRAS as EXTRAS_OF_B3
from vedette.weights.layouts.shared import CAFFE_RGB, vgg16_modules

LAST_VOC_SIZE = 537.65  # lufficc's, of SSD512 on VOC; the authors' 537.6
ANCHORS_OF_CONV4_3 = 4  # a cell
EXTRAS = {300: 4, 512: 5}  # levels behind fc7, by input


class Names(NamedTuple):
    """Where a port keeps its layers."""

    vgg: str
    extras: str
    l2_norm: str
    logits: str
    deltas: str


SSD_PYTORCH = Names("vgg", "extras", "L2Norm", "conf", "loc")
LUFFICC = Names(
    "backbone.vgg",
    "backbone.extras",
    "backbone.l2_norm",
    "box_head.predictor.cls_headers",
    "box_head.predictor.reg_headers",
)


def convert_ssd_pytorch(weights: Mapping[str, Tensor]) -> Checkpoint:
    """The state dict of ssd.pytorch in our terms."""
    num_classes = _count(weights, SSD_PYTORCH)
    return _convert(weights, SSD_PYTORCH, 300, (VOC_SIZES if num_classes == 20 else COCO_SIZES)[300])


def convert_lufficc(weights: Mapping[str, Tensor]) -> Checkpoint:
    """The state dict of lufficc/SSD in our terms; raises InputError for one on MobileNet."""
    if any(name.startswith("backbone.features.") for name in weights):
        raise InputError(
            "lufficc's SSDLite on MobileNet, whose separable heads and inverted residual levels no detector here has; "
            "of lufficc/SSD those on VGG-16 and EfficientNet-B3 are read"
        )
    if is_efficientnet(weights):
        return _convert_efficientnet(weights)
    size = 512 if f"{LUFFICC.extras}.{2 * EXTRAS[300]}.weight" in weights else 300
    sizes = (COCO_SIZES if _count(weights, LUFFICC) == 80 else VOC_SIZES)[size]
    return _convert(weights, LUFFICC, size, (*sizes[:-1], LAST_VOC_SIZE) if sizes == VOC_SIZES[512] else sizes)


def _convert(weights: Mapping[str, Tensor], names: Names, size: int, anchor_sizes: tuple[float, ...]) -> Checkpoint:
    pieces = [Piece("l2_norms.0.scale", (f"{names.l2_norm}.weight",), as_it_is)]
    pieces += weights_and_biases(_modules(names, EXTRAS[size]))
    tensors, origin, faults = assemble(pieces, weights)
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=(f"ssd{size}-vgg16",),
        num_classes=_count(weights, names),
        config={"anchor_sizes": anchor_sizes, "clip_anchors": True},
        input=CAFFE_RGB,
    )


def _convert_efficientnet(weights: Mapping[str, Tensor]) -> Checkpoint:
    weights = {name: tensor for name, tensor in weights.items() if not name.endswith(COUNTER)}
    pieces = [*pieces_of_b3(), *weights_and_biases(_heads(LUFFICC, 3 + EXTRAS_OF_B3))]
    tensors, origin, faults = assemble(pieces, weights)
    num_classes = _count(weights, LUFFICC)
    sizes = (COCO_SIZES if num_classes == 80 else VOC_SIZES)[300]
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=(MODEL,),
        num_classes=num_classes,
        config=CONFIG | {"anchor_sizes": sizes, "clip_anchors": True},
        input=CAFFE_RGB,
    )


def _count(weights: Mapping[str, Tensor], names: Names) -> int:
    return count_classes(weights.get(f"{names.logits}.0.bias"), ANCHORS_OF_CONV4_3)


def _modules(names: Names, extras: int) -> Iterator[tuple[str, str]]:
    """Our modules and theirs that have a weight and a bias."""
    yield from vgg16_modules(names.vgg)
    for level in range(extras):
        yield f"extras.{level}.squeeze", f"{names.extras}.{2 * level}"
        yield f"extras.{level}.shrink", f"{names.extras}.{2 * level + 1}"
    yield from _heads(names, 2 + extras)


def _heads(names: Names, levels: int) -> Iterator[tuple[str, str]]:
    for level in range(levels):
        yield f"head.logits.{level}", f"{names.logits}.{level}"
        yield f"head.deltas.{level}", f"{names.deltas}.{level}"
