"""What became of every detection, by VOC's rules: a hit, a false positive, or not judged.

Shapes: `D` detections and `G` annotated boxes of all images, one image after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vedette.evaluate.truth import Truth
from vedette.structures import Detections

Overlap = Literal["above", "from"]  # of a hit: above the threshold (py-faster-rcnn), or from it on (VOC's devkit)
FALSE_POSITIVE, HIT, NOT_JUDGED = 0, 1, -1

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """The judgement over all images, in their order and each image's own order of detections and boxes."""

    image: Ints  # (D,)
    label: Ints  # (D,)
    score: Floats  # (D,)
    kind: Ints  # (D,) FALSE_POSITIVE, HIT or NOT_JUDGED
    truth: Ints  # (D,) the annotated box that was hit or, not judged, covered; 0..G-1, else -1
    truth_image: Ints  # (G,)
    truth_label: Ints  # (G,)
    counts: Bools  # (G,) is to be found: neither difficult nor a crowd

    def by_score(self) -> Ints:
        """(D,) indices, best score first; equal scores in the order of images, then of detections."""
        return _falling(self.score)


def judge(
    detections: Sequence[Detections], truths: Sequence[Truth], iou: float = 0.5, overlap: Overlap = "above"
) -> Outcomes:
    """Compares each detection with the box of its class in its image that it overlaps most, and with no other.

    IoU at most `iou` (overlap "from": below it): a false positive. Otherwise: not judged where the box is difficult or
    a crowd; a hit for the detection of the highest score, a false positive for all further ones. Of boxes overlapped
    equally the first is taken. IoU is computed in float64, without + 1.

    Raises ValueError where there is not one truth to each image's detections.
    """
    if len(detections) != len(truths):
        raise ValueError(f"{len(detections)} images with detections, but {len(truths)} with truths")
    image, label = _image_numbers(detections), _joined([found.labels for found in detections])
    truth_image, truth_label = _image_numbers(truths), _joined([truth.labels for truth in truths])
    counts = ~_joined([truth.difficult | truth.crowd for truth in truths]).astype(bool)
    classes = 1 + max(label.max(initial=-1), truth_label.max(initial=-1))
    best, highest = most_overlapped(
        boxes_of(detections), image * classes + label, boxes_of(truths), truth_image * classes + truth_label
    )
    best = np.where(enough(highest, iou, overlap), best, -1)
    score = _joined([found.scores for found in detections]).astype(np.float64)
    kind = _kinds(best, counts, _falling(score))
    return Outcomes(
        image, label, score, kind, np.where(kind == FALSE_POSITIVE, -1, best), truth_image, truth_label, counts
    )


def _kinds(best: Ints, counts: Bools, by_score: Ints) -> Ints:
    """(D,) what each detection is, given the box that it overlaps enough (D,), -1 for none."""
    covers = best >= 0
    judged = covers.copy()
    judged[covers] = counts[best[covers]]
    kind = np.where(covers & ~judged, NOT_JUDGED, FALSE_POSITIVE)
    candidates = by_score[judged[by_score]]
    _, first = np.unique(best[candidates], return_index=True)
    kind[candidates[first]] = HIT
    return kind


def enough(overlaps: Floats, iou: float, overlap: Overlap) -> Bools:
    """Which overlaps are those of a hit."""
    return overlaps > iou if overlap == "above" else overlaps >= iou


def most_overlapped(
    boxes: Floats, keys: Ints, truths: Floats, truth_keys: Ints, unlike: tuple[Ints, Ints] | None = None
) -> tuple[Ints, Floats]:
    """(D,) the first row of highest IoU among the truths with a detection's key, -1 without one; (D,) that IoU.

    unlike: labels (D,) and (G,): only truths of another label than the detection's count.
    """
    order = np.argsort(truth_keys, kind="stable")
    ordered = truth_keys[order]
    first, end = np.searchsorted(ordered, keys, "left"), np.searchsorted(ordered, keys, "right")
    many = end - first
    start = np.cumsum(many) - many  # where each detection's pairs begin
    pair = np.repeat(np.arange(len(keys)), many)
    partner = order[first[pair] + np.arange(len(pair)) - start[pair]]
    if unlike is not None:
        differ = unlike[0][pair] != unlike[1][partner]
        pair, partner = pair[differ], partner[differ]
        many = np.bincount(pair, minlength=len(keys))
        start = np.cumsum(many) - many
    overlap = _pair_iou(boxes[pair], truths[partner])
    best, highest = np.full(len(keys), -1), np.zeros(len(keys))
    if len(pair):
        highest[many > 0] = np.maximum.reduceat(overlap, start[many > 0])
    top = overlap == highest[pair]
    best[pair[top][::-1]] = partner[top][::-1]  # of several the last one written stays: the first
    return best, highest


def boxes_of(images: Sequence[Detections] | Sequence[Truth]) -> Floats:
    """(D, 4) or (G, 4) of all images, in float64."""
    return _joined([image.boxes for image in images]).reshape(-1, 4).astype(np.float64)


def _pair_iou(first: Floats, second: Floats) -> Floats:
    """(P, 4), (P, 4) → (P,) IoU of each row with its partner."""
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    intersection = sides.clip(min=0).prod(1)
    areas = (first[:, 2:] - first[:, :2]).clip(min=0).prod(1) + (second[:, 2:] - second[:, :2]).clip(min=0).prod(1)
    union = (areas - intersection).clip(min=np.finfo(np.float64).tiny)
    overlap: Floats = intersection / union
    return overlap


def _falling(score: Floats) -> Ints:
    return np.argsort(-score, kind="stable")


def _image_numbers(images: Sequence[Detections] | Sequence[Truth]) -> Ints:
    return np.repeat(np.arange(len(images)), [len(image) for image in images])


def _joined(parts: list[torch.Tensor]) -> NDArray[Any]:
    if not parts:
        return np.zeros(0, np.int64)
    joined: NDArray[Any] = torch.cat(parts).detach().cpu().numpy()
    return joined
