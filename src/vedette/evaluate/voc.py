"""PASCAL VOC's average precision: 11-point (2007) and area (2010 on).

The conventions of every number here: a hit needs IoU > 0.5, strictly as in py-faster-rcnn, or ≥ 0.5 as in VOC's own
devkit (the threshold can be chosen too), without + 1 in widths and heights; a detection is compared with the box of its
class that it overlaps most and with no other; difficult boxes neither count nor punish, nor do crowds; a second
detection of a box is a false positive; equal scores are taken in the order of images, then of detections within the
image. See `vedette.evaluate.matching.judge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vedette.evaluate.matching import HIT, NOT_JUDGED, Bools, Floats, Ints, Outcomes, Overlap, judge
from vedette.evaluate.truth import Truth
from vedette.structures import Detections

VocMetric = Literal["voc07", "voc12"]


@dataclass(frozen=True, eq=False)
class Curve:
    """Recall and precision of one class when detections are taken best first, K of them (those not judged left out)."""

    recall: Floats  # (K,) rising; NaN without annotated boxes
    precision: Floats  # (K,)
    scores: Floats  # (K,) falling


@dataclass(frozen=True, eq=False)
class VocResult:
    """Average precision per class and its mean, as fractions."""

    mean_ap: float  # over the classes with boxes to find; NaN where there are none at all
    per_class: Floats  # (C,) NaN for a class without boxes to find
    curves: tuple[Curve, ...]  # of the C classes
    positives: Ints  # (C,) boxes to find
    metric: VocMetric
    iou: float
    overlap: Overlap  # of a hit: above `iou`, or from it on


def voc_average_precision(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    num_classes: int,
    iou: float = 0.5,
    metric: VocMetric = "voc07",
    overlap: Overlap = "above",
) -> VocResult:
    """VOC's AP of the detections of B images against their B truths, in the same pixels.

    metric: "voc07" is the mean of the best precision at recall ≥ 0, 0.1, …, 1; "voc12" the area under the curve of the
    best precision at each recall or beyond. overlap: whether a hit lies above `iou` ("above") or from it on ("from").

    Raises ValueError for another metric, and where detections and truths are not of equally many images.
    """
    if metric not in get_args(VocMetric):
        raise ValueError(f"metric must be one of {', '.join(get_args(VocMetric))}, not {metric!r}")
    return summarise(judge(detections, truths, iou, overlap), num_classes, iou, metric, overlap)


def summarise(
    outcomes: Outcomes, num_classes: int, iou: float, metric: VocMetric, overlap: Overlap = "above"
) -> VocResult:
    """The result for detections that are judged already."""
    positives = np.bincount(outcomes.truth_label[outcomes.counts], minlength=num_classes)
    per_class, curves = np.full(num_classes, np.nan), []
    order = outcomes.by_score()
    order = order[outcomes.kind[order] != NOT_JUDGED]
    for label in range(num_classes):
        mine = order[outcomes.label[order] == label]
        hits = outcomes.kind[mine] == HIT
        curves.append(_curve(hits, outcomes.score[mine], int(positives[label])))
        if positives[label]:
            per_class[label] = average_precision(hits, int(positives[label]), metric)
    mean = float(np.nanmean(per_class)) if positives[:num_classes].any() else float("nan")
    return VocResult(mean, per_class, tuple(curves), positives, metric, iou, overlap)


def average_precision(hits: Bools, positives: int, metric: VocMetric) -> float:
    """AP of one class: hits (K,), best score first, of `positives` boxes to find (at least 1)."""
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    best_beyond = np.maximum.accumulate(precision[::-1])[::-1]
    if metric == "voc12":
        return float(best_beyond[hits].sum() / positives)  # each hit adds 1 / positives of recall
    # recall >= t / 10 in whole numbers: in floats 3 of 10 is less than 0.1 * 3, and the point would be lost
    reached = np.searchsorted(found * 10, np.arange(11) * positives)
    return float(best_beyond[reached[reached < len(hits)]].sum() / 11)


def _curve(hits: Bools, scores: Floats, positives: int) -> Curve:
    found = np.cumsum(hits)
    recall = found / positives if positives else np.full(len(hits), np.nan)
    return Curve(recall, found / np.arange(1, len(hits) + 1), scores)
