"""Which annotated boxes a detector's anchors reach, before anything is trained.

A box that no anchor overlaps with IoU ≥ 0.5 is learnt from at most one anchor that fits it badly. Whether it is the
box's size, its shape or its place between the anchors says what to change.

`M` boxes of all images, `A` anchors of one input, `S` shapes of anchors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vedette.data.annotations import Dataset
from vedette.errors import InputError
from vedette.ops.boxes import clip, iou
from vedette.ops.images import input_size
from vedette.parts.anchors import AnchorCache, Anchors, Grid
from vedette.structures import InputSpec

IOU = 0.5  # from which on an anchor answers for a box, by most of the papers
PAIRS = 2**22  # of boxes and anchors at once: 16 MB an array
Why = Literal["reached", "too small", "too large", "other shape", "between anchors"]
WHYS: tuple[Why, ...] = ("reached", "too small", "too large", "other shape", "between anchors")


@dataclass(frozen=True, eq=False)
class Coverage:
    """The boxes of a data set in pixels of the input, without difficult ones and crowds, and how well anchors fit."""

    sides: Tensor  # (M, 2) widths and heights
    labels: Tensor  # (M,) int64
    best: Tensor  # (M,) the highest IoU with an anchor
    shapes: Tensor  # (S, 2) widths and heights of the anchors, each once
    why: Tensor  # (M,) int64 into WHYS
    input_side: int  # the InputSpec's size

    def __len__(self) -> int:
        return len(self.labels)


def anchor_coverage(dataset: Dataset, model: nn.Module, progress: Callable[[int, int], None] | None = None) -> Coverage:
    """How well a detector's anchors fit the boxes, resized as its InputSpec says and cut to their image.

    model: on the meta device, where it takes no memory and no time. progress: called with the images done and all.

    Raises InputError for a detector without anchors, and where no box counts.
    """
    spec, cache = input_of(model), _ProbedCache(model)
    places: dict[tuple[int, int], list[int]] = defaultdict(list)  # images by the padded size of their input
    for index in range(len(dataset)):
        places[_padded(input_size(*dataset.size(index), spec), spec)].append(index)
    sides, labels, best, shapes = [torch.zeros(0, 2)], [torch.zeros(0).long()], [torch.zeros(0)], list[Tensor]()
    done = 0
    for (width, height), indices in places.items():
        anchors = cache.at_size(height, width)
        shapes.append(_distinct(anchors[:, 2:] - anchors[:, :2]))
        for index in indices:
            boxes, own = _boxes(dataset, index, spec)
            sides.append(boxes[:, 2:] - boxes[:, :2])
            labels.append(own)
            best.append(_best_overlap(boxes, anchors))
            done += 1
            if progress is not None:
                progress(done, len(dataset))
    if not sum(map(len, labels)):
        raise InputError("no box that is neither difficult nor a crowd, so nothing that an anchor could reach")
    every = torch.cat(sides), torch.cat(best), _distinct(torch.cat(shapes))
    return Coverage(every[0], torch.cat(labels), every[1], every[2], reasons(*every), spec.size)


def reasons(sides: Tensor, best: Tensor, shapes: Tensor) -> Tensor:
    """(M,) int64 into WHYS: why a box is not reached.

    No anchor overlaps a box of less than half its area, or of more than twice, with IoU 0.5. "other shape": none would,
    were they all on the box's very centre. "between anchors": one would.
    """
    areas, of_anchors = sides.prod(1), shapes.prod(1)
    centred = torch.cat([torch.zeros(0), *(_concentric(part, shapes) for part in torch.split(sides, 2**14))])
    why = torch.where(centred >= IOU, WHYS.index("between anchors"), WHYS.index("other shape"))
    why[areas < of_anchors.min() * IOU] = WHYS.index("too small")
    why[areas > of_anchors.max() / IOU] = WHYS.index("too large")
    why[best >= IOU] = WHYS.index("reached")
    return why


def input_of(model: nn.Module) -> InputSpec:
    """The detector's InputSpec; raises InputError for one without anchors."""
    if getattr(model, "anchor_cache", None) is None:
        raise InputError(
            f"{type(model).__name__} has no anchors that are known beforehand (`anchor_cache`); where it looks at "
            "proposals, `vedette data proposals` counts what those cover; give another --model, or --no-anchors"
        )
    spec: InputSpec = model.input_spec  # type: ignore[assignment]
    return spec


class _Found(Exception):
    """Ends a forward at the anchors, of which it holds those on the CPU."""

    def __init__(self, anchors: Anchors) -> None:
        self.anchors = anchors


class _ProbedCache(AnchorCache):
    """Runs the network on the meta device up to where it asks for its anchors: by then its maps have their sizes."""

    def __init__(self, model: Any) -> None:
        super().__init__(model.build_anchors)
        self.model = model.eval()
        self.model.anchor_cache = self

    def of(self, images: Tensor, maps: Sequence[Tensor]) -> Anchors:
        """Raises _Found."""
        grids: tuple[Grid, ...] = tuple((x.shape[2], x.shape[3]) for x in maps)
        raise _Found(self.at(images.shape[2], images.shape[3], grids, torch.device("cpu")))

    def at_size(self, height: int, width: int) -> Tensor:
        """(A, 4) the anchors of an input of that size."""
        try:
            with torch.no_grad():
                self.model(torch.empty(1, 3, height, width, device="meta"))
        except _Found as found:
            return found.anchors.boxes
        raise AssertionError("a detector with anchors that does not ask for them")


def _padded(size: tuple[int, int], spec: InputSpec) -> tuple[int, int]:
    """Width and height of a batch of one image."""
    divisor = spec.divisor if spec.resize == "short side" else 1
    return ceil(size[0] / divisor) * divisor, ceil(size[1] / divisor) * divisor


def _boxes(dataset: Dataset, index: int, spec: InputSpec) -> tuple[Tensor, Tensor]:
    """(G, 4) boxes of an image in pixels of its input, and their labels; those that count."""
    width, height = dataset.size(index)
    across, down = input_size(width, height, spec)
    counts = ~(dataset.difficult(index) | dataset.crowd(index))
    boxes = clip(dataset.boxes(index), width, height)
    counts &= (boxes[:, 2:] > boxes[:, :2]).all(1)
    scale = torch.tensor([across / width, down / height] * 2)
    return boxes[counts] * scale, dataset.labels(index)[counts]


def _distinct(shapes: Tensor) -> Tensor:
    """(S, 2) each of the shapes once."""
    return torch.tensor(sorted(set(map(tuple, shapes.tolist()))))


def _best_overlap(boxes: Tensor, anchors: Tensor) -> Tensor:
    """(G,) the highest IoU of each box (G, 4) with an anchor (A, 4)."""
    rows = max(1, PAIRS // len(anchors))
    return torch.cat([torch.zeros(0), *(iou(part, anchors).amax(1) for part in torch.split(boxes, rows))])


def _concentric(sides: Tensor, shapes: Tensor) -> Tensor:
    """(M,) the highest IoU of boxes (M, 2) with anchors (S, 2) on the same centre."""
    common = torch.minimum(sides[:, None], shapes).prod(-1)
    return (common / (sides.prod(1)[:, None] + shapes.prod(1) - common)).amax(1)
