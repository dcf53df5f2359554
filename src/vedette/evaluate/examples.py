"""Which images a report shows, and what is drawn on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vedette.evaluate.matching import FALSE_POSITIVE, HIT, Bools, Floats, Ints, Outcomes
from vedette.evaluate.truth import Truth
from vedette.pages.fonts import legible
from vedette.pages.marks import Mark
from vedette.structures import Detections


@dataclass(frozen=True, eq=False)
class ImageScores:
    """How the detections of at least some score did in each of the B images."""

    hits: Ints  # (B,)
    false: Ints  # (B,) false positives
    missed: Ints  # (B,) boxes to find that were not
    f1: Floats  # (B,) 2 hits / (2 hits + false + missed); NaN where there is nothing to find and nothing was

    def best(self, count: int) -> list[int]:
        """Images by F1, highest first, then by hits, most first; none without a hit."""
        order = np.lexsort((-self.hits, -np.nan_to_num(self.f1)))
        return [int(image) for image in order if self.f1[image] > 0][:count]

    def worst(self, count: int) -> list[int]:
        """Images by F1, lowest first, then by errors, most first; none without an error."""
        order = np.lexsort((-(self.false + self.missed), np.nan_to_num(self.f1, nan=2.0)))
        return [int(image) for image in order if self.f1[image] < 1][:count]


def score_images(outcomes: Outcomes, images: int, score: float) -> ImageScores:
    """Counts hits, false positives and misses of each image among the detections of at least `score`."""

    def per_image(chosen: Bools) -> Ints:
        return np.bincount(outcomes.image[chosen & (outcomes.score >= score)], minlength=images)

    hits, false = per_image(outcomes.kind == HIT), per_image(outcomes.kind == FALSE_POSITIVE)
    missed = np.bincount(outcomes.truth_image[outcomes.counts], minlength=images) - hits
    total = 2 * hits + false + missed
    f1 = np.where(total > 0, 2 * hits / np.maximum(total, 1), np.nan)
    return ImageScores(hits, false, missed, f1)


def marks_of(
    image: int, outcomes: Outcomes, found: Detections, truth: Truth, classes: tuple[str, ...], score: float
) -> list[Mark]:
    """The annotated boxes and the detections of at least `score` of one image, told apart.

    Boxes in annotated pixels. Names are spelled with the letters that there are fonts for.
    """
    names = legible(classes)
    mine = np.flatnonzero(outcomes.image == image)
    shown = outcomes.score[mine] >= score
    hit = outcomes.truth[mine[shown & (outcomes.kind[mine] == HIT)]]
    rows = np.flatnonzero(outcomes.truth_image == image)
    marks = [
        _annotated(tuple(box), names[label], bool(outcomes.counts[row]), row in hit, crowd)
        for row, box, label, crowd in zip(
            rows, truth.boxes.tolist(), truth.labels.tolist(), truth.crowd.tolist(), strict=True
        )
    ]
    for row in np.flatnonzero(shown)[::-1]:  # the best last, on top
        kind, name = outcomes.kind[mine[row]], names[outcomes.label[mine[row]]]
        marks.append(_detected(tuple(found.boxes[row].tolist()), name, float(outcomes.score[mine[row]]), int(kind)))
    return marks


def _annotated(box: tuple[float, ...], name: str, counts: bool, found: bool, crowd: bool) -> Mark:
    if not counts:
        return Mark(box, "ignored", f"{name} ({'crowd' if crowd else 'difficult'})", dashed=True)
    return Mark(box, "annotated", "", dashed=True) if found else Mark(box, "missed", f"missed: {name}", dashed=True)


def _detected(box: tuple[float, ...], name: str, score: float, kind: int) -> Mark:
    if kind == FALSE_POSITIVE:
        return Mark(box, "false", f"false: {name} {score:.2f}", dashed=False)
    return Mark(box, "hit" if kind == HIT else "ignored", f"{name} {score:.2f}", dashed=False)
