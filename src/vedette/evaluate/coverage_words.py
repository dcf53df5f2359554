"""What coverage by anchors says in numbers and in sentences, each of which follows from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from vedette.data.findings import LONGEST_NAME, shown
from vedette.data.values import counted
from vedette.evaluate.coverage import IOU, WHYS, Coverage, Why

SIDES = (8, 16, 32, 64, 128, 256)  # pixels of the input: borders between classes of size
MOST_CLASSES = 5  # that sentences are about
FEW = 0.05  # a smaller share of a class's boxes is not worth a sentence
MIDDLE = torch.tensor([0.05, 0.95])  # a range is that of nine tenths: one odd box says nothing


def coverage_numbers(coverage: Coverage, classes: Sequence[str]) -> dict[str, Any]:
    """As JSON has them: boxes, and those that no anchor reaches, by reason, class and side in pixels of the input."""
    side, missed = sides_of(coverage.sides), coverage.why > 0
    place = torch.bucketize(side, torch.tensor(SIDES, dtype=side.dtype), right=True)
    borders = (0, *SIDES, None)
    of_anchors = sides_of(coverage.shapes)
    return {
        "iou": IOU,
        **_counts(coverage, torch.ones_like(missed)),
        "why": {why: int((coverage.why == number).sum()) for number, why in enumerate(WHYS) if number},
        "anchor_sides": [float(of_anchors.min()), float(of_anchors.max())],
        "classes": {name: _counts(coverage, coverage.labels == label) for label, name in enumerate(classes)},
        "sides": [
            {"from": borders[number], "to": borders[number + 1], **_counts(coverage, place == number)}
            for number in range(len(borders) - 1)
        ],
    }


def sentences(coverage: Coverage, classes: Sequence[str]) -> Iterator[str]:
    """A line for each of the classes that anchors reach least, and a line below it for each of the main reasons."""
    missed = coverage.why > 0
    counts = torch.bincount(coverage.labels, minlength=len(classes))
    without = torch.bincount(coverage.labels[missed], minlength=len(classes))
    for label in without.argsort(descending=True, stable=True).tolist()[:MOST_CLASSES]:
        if without[label] > FEW * counts[label]:
            boxes = f"{counted(int(counts[label]), 'box')} of {shown(classes[label], LONGEST_NAME)}"
            share = f"{without[label]} of {boxes}"
            yield f"{share} reach no anchor at IoU {IOU:g} (px of the input):"
            own = coverage.labels == label
            for number in common_reasons(coverage, own):
                yield f"  {reason_words(coverage, own, number)}"


def _counts(coverage: Coverage, rows: Tensor) -> dict[str, Any]:
    return {"boxes": int(rows.sum()), "not_reached": int((rows & (coverage.why > 0)).sum())}


def common_reasons(coverage: Coverage, rows: Tensor) -> list[int]:
    """The reasons why these are not reached, the commonest first, without those of few."""
    counts = torch.bincount(coverage.why[rows], minlength=len(WHYS))
    counts[0] = 0
    order = counts.argsort(descending=True, stable=True).tolist()
    return [number for number in order if counts[number] > FEW * counts.sum()]


def reason_words(coverage: Coverage, rows: Tensor, number: int) -> str:
    """How many of these boxes, rows (M,) bool, are not reached for the reason of that number, and their sides."""
    why: Why = WHYS[number]
    sides, anchors = coverage.sides[rows & (coverage.why == number)], coverage.shapes
    says, side = f"{len(sides)} {why}: sides", f"{middle_range(sides_of(sides))} px"
    if why == "too small":
        return f"{says} {side}, the smallest anchor has {sides_of(anchors).min():.3g}"
    if why == "too large":
        return f"{says} {side}, the largest anchor has {sides_of(anchors).max():.3g}"
    if why == "other shape":
        lengths, longest = middle_range(_length(sides)), _length(anchors).max()
        return f"{len(sides)} of other shape: {lengths} : 1, sides {side}; anchors: up to {longest:.3g} : 1, none fits"
    return f"{says} {side}; on an anchor's centre they would"


def sides_of(shapes: Tensor) -> Tensor:
    """The root of the area."""
    return shapes.prod(1).sqrt()


def _length(sides: Tensor) -> Tensor:
    """The longer side over the shorter."""
    return sides.amax(1) / sides.amin(1)


def middle_range(values: Tensor) -> str:
    """The middle nine tenths."""
    low, high = (f"{value:.2g}" if value < 10 else f"{value:.0f}" for value in values.quantile(MIDDLE).tolist())
    return low if low == high else f"{low} to {high}"
