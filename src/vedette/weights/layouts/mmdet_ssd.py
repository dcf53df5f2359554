"""mmdet's SSD on VGG-16, 300 and 512, of all its versions.

What they expect beside their tensors
    * RGB of 0 to 255, the mean subtracted, resized bilinearly without antialiasing.
    * Anchors of the authors' sizes in whole pixels, rounded down; boxes cut at the image before NMS.
    * The background's score behind those of the classes; the first version: before them, as ours. Its anchors, of whole
      pixels each, are not imitated: they differ by half a pixel at most.
    * Anchors of COCO's sizes, or of VOC's: as the config in the file says, else by the number of classes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import floor
from typing import Any

from torch import Tensor

from vedette.errors import InputError
from vedette.papers.ssd import COCO_SIZES, VOC_SIZES
from vedette.weights.layouts.checkpoint import Checkpoint, Piece, as_it_is, assemble, count_classes, layer_pieces
from vedette.weights.layouts.mmdet_meta import Meta, meta_of, version_of
from vedette.weights.layouts.shared import vgg16_modules
from vedette.weights.layouts.ssd_ports import ANCHORS_OF_CONV4_3, EXTRAS

INPUT: dict[str, Any] = {
    "range": 255.0,
    "mean": (123.675, 116.28, 103.53),
    "std": (1.0, 1.0, 1.0),
    "channels": "rgb",
    "antialias": False,
}
SMALLEST = re.compile(r"basesize_ratio_range=\((0?\.\d+),")  # in the text of a config
SIZES_BY_SMALLEST = {300: {0.15: COCO_SIZES, 0.2: VOC_SIZES}, 512: {0.1: COCO_SIZES, 0.15: VOC_SIZES}}


def convert(weights: Mapping[str, Tensor], meta: Meta) -> Checkpoint:
    """Its state dict in our terms, by what the file says of itself.

    Raises InputError where neither the names of the tensors nor `meta` tell the first version from the others.
    """
    version = version_of(meta)
    old = "bbox_head.cls_convs.0.weight" in weights
    if old and version is None:
        raise InputError(
            "does not say which version of mmdetection wrote it, and the first has the background's score before "
            "those of the classes, the others behind them; give --from mmdet1 or --from mmdet2"
        )
    return _convert(weights, meta, background_first=old and version in (0, 1))


def convert_first(weights: Mapping[str, Tensor], content: Any = None) -> Checkpoint:
    """The state dict of a first version, whatever the file says."""
    return _convert(weights, meta_of(content), background_first=True)


def convert_second(weights: Mapping[str, Tensor], content: Any = None) -> Checkpoint:
    """The state dict of a second version, whatever the file says."""
    return _convert(weights, meta_of(content), background_first=False)


def _convert(weights: Mapping[str, Tensor], meta: Meta, *, background_first: bool) -> Checkpoint:
    heads = "bbox_head.{}.{}" if "bbox_head.cls_convs.0.weight" in weights else "bbox_head.{}.{}.0"
    neck = any(name.startswith("neck.") for name in weights)
    size = 512 if f"{heads.format('cls_convs', 2 + EXTRAS[300])}.weight" in weights else 300
    num_classes = count_classes(weights.get(f"{heads.format('cls_convs', 0)}.bias"), ANCHORS_OF_CONV4_3)
    scores = as_it_is if background_first else partial(with_background_first, outputs=num_classes + 1)
    pieces = [Piece("l2_norms.0.scale", (f"{'neck' if neck else 'backbone'}.l2_norm.weight",), as_it_is)]
    for ours, theirs in (*vgg16_modules("backbone.features"), *_extras(EXTRAS[size], neck)):
        pieces += layer_pieces(ours, theirs)
    pieces += _heads(2 + EXTRAS[size], heads, scores)
    tensors, origin, faults = assemble(pieces, weights)
    return Checkpoint(
        tensors=tensors,
        origin=origin,
        faults=faults,
        models=(f"ssd{size}-vgg16",),
        num_classes=num_classes,
        config={"anchor_sizes": anchor_sizes(size, num_classes, meta), "clip_boxes": True},
        input=INPUT,
    )


def anchor_sizes(size: int, num_classes: int, meta: Meta) -> tuple[float, ...]:
    """In whole pixels; VOC's or COCO's by the config in the file, else VOC's for 20 classes and COCO's for others."""
    sizes = VOC_SIZES if num_classes == 20 else COCO_SIZES
    smallest = SMALLEST.search(str(meta.get("config")))
    if smallest:
        sizes = SIZES_BY_SMALLEST[size].get(float(smallest[1]), sizes)
    return tuple(float(floor(side)) for side in sizes[size])


def _extras(levels: int, neck: bool) -> Iterator[tuple[str, str]]:
    """Our modules behind fc7 and theirs: a neck's, or layers of the backbone in a row."""
    for level in range(levels):
        for place, ours in enumerate(("squeeze", "shrink")):
            theirs = f"neck.extra_layers.{level}.{place}.conv" if neck else f"backbone.extra.{2 * level + place}"
            yield f"extras.{level}.{ours}", theirs


def _heads(levels: int, theirs: str, scores: Callable[[Tensor], Tensor]) -> Iterator[Piece]:
    for level in range(levels):
        for part in ("weight", "bias"):
            yield Piece(f"head.logits.{level}.{part}", (f"{theirs.format('cls_convs', level)}.{part}",), scores)
        yield from layer_pieces(f"head.deltas.{level}", theirs.format("reg_convs", level))


def with_background_first(scores: Tensor, outputs: int) -> Tensor:
    """(K × outputs, …): the last of each anchor's outputs, the background's, before the others."""
    return scores.reshape(-1, outputs, *scores.shape[1:]).roll(1, 1).reshape(scores.shape)
