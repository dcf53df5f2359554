"""Average precision of many weighted choices of images at once, for intervals and tests; every image is judged once.

Shapes: `R` choices of images (resamples), `B` images, `K` detections of a class, `T` thresholds of IoU, `C` classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vedette.evaluate.coco import Matches, coco_matches
from vedette.evaluate.limits import COCO_LIMIT
from vedette.evaluate.matching import HIT, NOT_JUDGED, Bools, Floats, Ints, Overlap, judge
from vedette.evaluate.measure import Metric
from vedette.evaluate.truth import Truth
from vedette.structures import Detections

AT_ONCE = 4_000_000  # numbers of a table in memory, about
COCO_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class Judged:
    """What one model found in B images: all that any choice of these images needs."""

    rankings: tuple[Matches, ...]  # of the C classes
    positives: Ints  # (B, C) boxes to find
    metric: Metric

    def average_precision(self, weights: NDArray[np.int32]) -> Floats:
        """(R, B) how often each image is there → (R, C); NaN where a class has no box to find."""
        positives = weights @ self.positives
        each = [_of_a_class(one, weights, positives[:, c], self.metric) for c, one in enumerate(self.rankings)]
        return np.stack(each, 1)


def judge_images(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    num_classes: int,
    metric: Metric,
    overlap: Overlap = "above",
    image_ids: Sequence[int | str] | None = None,
    most: int | None = None,
) -> Judged:
    """Judges by the metric's rules: VOC's at IoU 0.5, or COCO's at .50:.95, where `most` detections of an image and
    class count instead of 100. Raises ImportError for the latter without hotcoco."""
    if metric == "coco":
        rows, positives = coco_matches(detections, truths, num_classes, image_ids, most or COCO_LIMIT)
        return Judged(tuple(rows), positives, metric)
    outcomes = judge(detections, truths, 0.5, overlap)
    order = outcomes.by_score()
    order = order[outcomes.kind[order] != NOT_JUDGED]
    rankings = []
    for label in range(num_classes):
        own = order[outcomes.label[order] == label]
        hit = outcomes.kind[own] == HIT
        rankings.append(Matches(outcomes.image[own], outcomes.score[own], hit[None], np.ones_like(hit)[None]))
    positives = np.zeros((len(truths), num_classes), dtype=np.int64)
    np.add.at(positives, (outcomes.truth_image[outcomes.counts], outcomes.truth_label[outcomes.counts]), 1)
    return Judged(tuple(rankings), positives, metric)


def pool(first: Judged, second: Judged) -> Judged:
    """Both models' findings as one: image i of the second is B + i. A choice of images then says of each which model's
    detections are taken; boxes to find stand with both, so weights are to be 0 or 1, and one of the two 1."""
    images = len(first.positives)
    pairs = zip(first.rankings, second.rankings, strict=True)
    rankings = tuple(_merged(one, other, images) for one, other in pairs)
    return Judged(rankings, np.concatenate([first.positives, second.positives]), first.metric)


def _merged(one: Matches, other: Matches, images: int) -> Matches:
    """Equal scores in the order of images, as either alone."""
    image, score = np.concatenate([one.image, other.image]), np.concatenate([one.score, other.score])
    order = np.lexsort((image, -score))
    moved = np.concatenate([one.image, other.image + images])
    hit, judged = (np.concatenate(pair, 1)[:, order] for pair in ((one.hit, other.hit), (one.judged, other.judged)))
    return Matches(moved[order], score[order], hit, judged)


def _of_a_class(ranking: Matches, weights: NDArray[np.int32], positives: Ints, metric: Metric) -> Floats:
    """(R,) AP, the mean over the thresholds."""
    result = np.full(len(weights), np.nan)
    known = np.flatnonzero(positives)
    if not ranking.hit.any():
        result[known] = 0
        return result
    rows = max(1, AT_ONCE // len(ranking.image))
    for start in range(0, len(known), rows):
        part = known[start : start + rows]
        own = weights[part][:, ranking.image]
        each = [
            _area(own, hit, judged, positives[part], metric)
            for hit, judged in zip(ranking.hit, ranking.judged, strict=True)
        ]
        result[part] = np.mean(each, 0)
    return result


def _area(weights: NDArray[np.int32], hit: Bools, judged: Bools, positives: Ints, metric: Metric) -> Floats:
    """(R, K) weights, (K,) → (R,): only at hits does precision rise, so only these are looked at."""
    places = np.flatnonzero(hit)
    if not len(places):
        return np.zeros(len(weights))
    found = np.cumsum(weights[:, places], 1)
    total = np.cumsum(weights * judged, 1)[:, places]
    precision = found / np.maximum(total, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    if metric == "voc12":
        areas: Floats = (envelope * weights[:, places]).sum(1) / positives
        return areas
    means = np.empty(len(weights))
    for row in range(len(weights)):  # as in the metrics themselves: whole numbers for VOC's, fractions for COCO's
        reached = found[row] * 10 if metric == "voc07" else found[row] / positives[row]
        wanted = np.arange(11) * positives[row] if metric == "voc07" else COCO_RECALLS
        at = np.searchsorted(reached, wanted)
        means[row] = envelope[row, at[at < len(places)]].sum() / len(wanted)
    return means
