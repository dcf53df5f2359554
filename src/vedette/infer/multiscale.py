"""Multi-scale and flip testing: a picture looked at in several sizes and mirrored, and one answer from all passes.

What the passes found is brought into the picture's pixels and suppressed once more, class by class, as the model
itself does it. Then boxes may vote on where the kept ones lie (Gidaris, Komodakis. "Object detection via a
multi-region & semantic segmentation-aware CNN model." ICCV 2015, section 4), here with what each pass kept.

Shapes: `B` images, `K` detections of all passes of an image, padded, `N` kept of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vedette.errors import InputError
from vedette.infer.scores import Least, floor_of
from vedette.ops.boxes import iou
from vedette.parts.config import Suppression
from vedette.parts.detection import Candidates, Found, suppress, unpad
from vedette.structures import Detections, InputSpec

LEAST = 32  # pixels a side: below it there is nothing to see
LARGEST = 2048  # pixels a side: the first map of VGG-16 alone takes 1 GB there
VOTING_IOU = 0.5


class Suppresses(Protocol):
    """What of a one-stage model's config decides which boxes stay."""

    @property
    def nms(self) -> Suppression: ...
    @property
    def nms_iou(self) -> float: ...
    @property
    def keep(self) -> int: ...


@dataclass(frozen=True)
class Tiles:
    """Squares that a large picture is cut into (`infer.tiles`)."""

    side: int  # pixels of the picture
    overlap: float  # the least share of a side that neighbours have in common
    watch: Callable[[float], object] | None = None  # is told how many of the pictures of a look are done


@dataclass(frozen=True)
class Passes:
    """How a picture is looked at: in each of the sizes, as it is and perhaps mirrored too."""

    specs: tuple[InputSpec, ...]  # one a size
    flips: tuple[bool, ...]
    vote: bool
    batch_size: int  # images at once
    tiles: Tiles | None = None  # that a large picture is cut into, each of which is looked at so

    def __str__(self) -> str:
        sizes = ", ".join(str(spec.size) for spec in self.specs)
        return f"{sizes} px" + (", mirrored too" if len(self.flips) > 1 else "") + (", boxes vote" if self.vote else "")


def plan_passes(
    spec: InputSpec, scales: Sequence[int] | None = None, flip: bool = False, vote: bool = False, batch_size: int = 8
) -> Passes:
    """The passes over each picture; without `scales` in the size of the spec alone.

    A size is the side of the input, or its short side where the spec has one; the longest long side grows with it.
    A size given twice counts once. Fewer images go through at once than `batch_size` where they are larger than the
    spec's: about as many pixels.

    Raises InputError for a size that the model does not take, for a vote where there is one pass alone, and for a batch
    size below 1.
    """
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise InputError(f"batch_size is {batch_size!r}: give a whole number from 1 on")
    sizes = (spec.size,) if scales is None else _checked(scales, spec)
    if vote and len(sizes) == 1 and not flip:
        raise InputError("vote: one pass alone has nothing to vote on; give more scales, or flip")
    at_once = min(int(batch_size), int(batch_size) * spec.size**2 // max(sizes) ** 2)
    return Passes(
        specs=tuple(spec.at(size) for size in sizes),
        flips=(False, True) if flip else (False,),
        vote=vote,
        batch_size=max(1, at_once),
    )


def merge(passes: Sequence[Sequence[Detections]], model: Any, score: Least, vote: bool = False) -> list[Detections]:
    """The detections of each of B images from those of each pass over them, in the pixels of the pictures.

    One pass alone is given back as it is. Of several, the `keep` best that the suppression of `model.config` leaves
    from `score` on; the detections' source is -1.
    """
    if len(passes) == 1:
        return list(passes[0])
    found = suppress_passes(passes, model, score)
    kept = found.kept
    if vote:
        kept = kept._replace(boxes=vote_boxes(kept, found.candidates))
    merged = zip(unpad(kept), passes[0], strict=True)
    return [
        replace(one, classes=first.classes, image=first.image, category_ids=first.category_ids) for one, first in merged
    ]


def suppress_passes(passes: Sequence[Sequence[Detections]], model: Any, score: Least) -> Found:
    """What the model's own suppression makes of all passes' detections, those of a pass after those of the one before.

    Raises InputError where the model's config does not say how it suppresses.
    """
    config, floor = suppression_of(model), floor_of(score) if isinstance(score, tuple) else score
    given = _side_by_side(passes)
    return suppress(given, iou=config.nms_iou, keep=config.keep, floor=floor, method=config.nms)


def suppression_of(model: Any) -> Suppresses:
    """The model's config; raises InputError where it does not say how the model suppresses."""
    config: Suppresses = model.config
    lacking = [name for name in ("nms", "nms_iou", "keep") if not hasattr(config, name)]
    if lacking:  # of a detector that did not come with Vedette
        raise InputError(f"several looks at a picture are merged by config.{lacking[0]}, which this detector lacks")
    return config


def votes(kept: Candidates, found: Candidates) -> Tensor:
    """(B, N, K) how much each found box counts for a kept one: its score, of the same class and with IoU ≥ 0.5."""
    same = kept.labels[:, :, None] == found.labels[:, None]
    near = iou(kept.boxes, found.boxes) >= VOTING_IOU
    return torch.where(same & near, found.scores[:, None], 0.0)


def vote_boxes(kept: Candidates, found: Candidates) -> Tensor:
    """(B, N, 4): the mean of the found boxes by their votes for a kept one."""
    weights = votes(kept, found)
    total = weights.sum(2, keepdim=True)
    return torch.where(total > 0, weights @ found.boxes / total, kept.boxes)  # a box without area has no IoU


def _checked(scales: Sequence[int], spec: InputSpec) -> tuple[int, ...]:
    """The sizes, each once; raises InputError where one of them cannot be."""
    sizes = scales.tolist() if isinstance(scales, np.ndarray) else scales
    if not isinstance(sizes, list | tuple) or not sizes:
        raise InputError(f"scales is {scales!r}: give a list of one size or more, in pixels")
    step = spec.divisor if spec.resize == "warp" else 1  # other inputs are padded
    for size in sizes:
        if not isinstance(size, int | np.integer) or not LEAST <= size <= LARGEST or size % step:
            least = -(-LEAST // step) * step
            raise InputError(
                f"scales: {size!r} is no size for this model: give multiples of {step} from {least} to {LARGEST} pixels"
            )
    return tuple(dict.fromkeys(int(size) for size in sizes))


def _side_by_side(passes: Sequence[Sequence[Detections]]) -> Candidates:
    """All passes' detections of each image, padded to the image with most."""
    images = list(zip(*passes, strict=True))
    boxes, scores, labels = (
        pad_sequence([torch.cat([getattr(one, field) for one in image]) for image in images], batch_first=True)
        for field in ("boxes", "scores", "labels")
    )
    return Candidates(boxes, scores, labels, torch.full_like(labels, -1))
