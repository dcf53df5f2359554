"""Which score to ask a detector for: what precision, recall and F1 are at each, and which scores stand out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vedette.evaluate.matching import FALSE_POSITIVE, HIT, NOT_JUDGED, Bools, Floats, Ints, Outcomes

NOTHING_FOUND = 0.5  # the score that stands for any where there are no detections


@dataclass(frozen=True)
class Aims:
    """What is asked of a score."""

    score: float | None = None  # that very one; by default the one of the best F1
    precision: float = 0.9  # at least
    recall: float = 0.8  # at least


@dataclass(frozen=True)
class Point:
    """What the detections of at least a score are worth, as fractions."""

    score: float
    precision: float  # NaN without detections
    recall: float  # NaN without boxes to find
    f1: float  # NaN with neither


@dataclass(frozen=True)
class Points:
    """The scores that stand out; None where no detection hits anything, or none reaches what is asked."""

    best_f1: Point | None
    at_precision: Point | None  # of the lowest score with that precision or more
    at_recall: Point | None  # of the highest score with that recall or more


@dataclass(frozen=True, eq=False)
class Sweep:
    """Counts of the detections of at least each score: S different scores, falling. Equal ones are taken together."""

    scores: Floats  # (S,)
    hits: Ints  # (S,)
    false: Ints  # (S,)
    positives: int  # boxes to find

    @property
    def precision(self) -> Floats:
        """(S,)"""
        precision: Floats = self.hits / np.maximum(self.hits + self.false, 1)
        return precision

    @property
    def recall(self) -> Floats:
        """(S,) NaN without boxes to find."""
        return self.hits / self.positives if self.positives else np.full(len(self.hits), np.nan)

    @property
    def f1(self) -> Floats:
        """(S,) 2 hits / (2 hits + false + missed)."""
        f1: Floats = 2 * self.hits / np.maximum(self.hits + self.false + self.positives, 1)
        return f1

    def at(self, score: float) -> Point:
        """Of the detections of at least this score."""
        row = int(np.searchsorted(-self.scores, -score, "right")) - 1
        hits, false = (int(self.hits[row]), int(self.false[row])) if row >= 0 else (0, 0)

        def ratio(part: int, whole: int) -> float:
            return part / whole if whole else float("nan")

        f1 = ratio(2 * hits, hits + false + self.positives)
        return Point(score, ratio(hits, hits + false), ratio(hits, self.positives), f1)

    def points(self, aims: Aims) -> Points:
        """The scores that stand out; of several with the best F1 the highest."""
        if not self.hits.any():
            return Points(None, None, None)
        precise = np.flatnonzero(self.precision >= aims.precision)
        reached = np.flatnonzero(self.recall >= aims.recall)
        return Points(
            best_f1=self.at(float(self.scores[self.f1.argmax()])),
            at_precision=self.at(float(self.scores[precise[-1]])) if len(precise) else None,
            at_recall=self.at(float(self.scores[reached[0]])) if len(reached) else None,
        )


def sweep(outcomes: Outcomes, label: int | None = None) -> Sweep:
    """Of one class, or of all classes together."""
    judged, counts = outcomes.kind != NOT_JUDGED, outcomes.counts
    if label is not None:
        judged, counts = judged & (outcomes.label == label), counts & (outcomes.truth_label == label)
    scores, place = np.unique(-outcomes.score[judged], return_inverse=True)

    def up_to(kind: Bools) -> Ints:
        return np.cumsum(np.bincount(place[kind[judged]], minlength=len(scores)))

    return Sweep(-scores, up_to(outcomes.kind == HIT), up_to(outcomes.kind == FALSE_POSITIVE), int(counts.sum()))


def shown_score(whole: Sweep, aims: Aims) -> tuple[float, str]:
    """The score from which on detections are counted and shown, and why that one.

    Where nothing hits, as many detections as there are boxes are shown, so that there is something to look at.
    """
    if aims.score is not None:
        return aims.score, "as asked for"
    best = whole.points(aims).best_f1
    if best is not None:
        return best.score, f"the best F1 over all classes, {best.f1:.2f}"
    enough = np.flatnonzero(whole.false >= whole.positives)
    if not len(whole.scores):
        return NOTHING_FOUND, "nothing is detected at any"
    row = enough[0] if len(enough) else -1
    return float(whole.scores[row]), "no detection hits anything: these are about as many as there are boxes"
