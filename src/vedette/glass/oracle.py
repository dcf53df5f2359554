"""What AP would be if a step never lost an object.

The oracle takes the objects that a step lost and finds each of them: with a box that hits it, as sure as the median of
the objects of its class that are found (the least score that counts as found, where none is). A weaker detection that
hits it already gives its place to that one; all else stays as it is, false positives too. So the gain says what the
objects themselves are worth, not what else a better step would change.

AP is VOC's of 2010 on (area), hits at IoU > 0.5, over detections of any score: what `vedette evaluate` gives.

Shapes: `D` detections and `G` annotated boxes of all images, `C` classes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from vedette.evaluate.matching import HIT, NOT_JUDGED, Floats, Outcomes
from vedette.evaluate.voc import VocMetric, VocResult, summarise
from vedette.glass.lost_objects import Kind, LostObject, Survey

IOU = 0.5
METRIC: VocMetric = "voc12"


@dataclass(frozen=True, eq=False)
class Oracle:
    """AP as it is, and as it would be."""

    before: VocResult
    steps: dict[Kind, VocResult]  # if that step did not lose objects for that reason
    every: VocResult  # if no step lost any

    def gain(self, kind: Kind) -> float:
        """In mAP."""
        return self.steps[kind].mean_ap - self.before.mean_ap


def ask(survey: Survey) -> Oracle:
    """What each step that lost objects costs."""

    def result(lost: Iterable[LostObject]) -> VocResult:
        return summarise(mended(survey, list(lost)), len(survey.classes), IOU, METRIC)

    return Oracle(result(()), {kind: result(survey.of(kind)) for kind in survey.kinds}, result(survey.lost))


def mended(survey: Survey, lost: list[LostObject]) -> Outcomes:
    """The judgement if these objects were found too."""
    before = survey.outcomes
    rows, labels = np.array([one.row for one in lost], dtype=np.int64), [one.label for one in lost]
    hit_weakly = (before.kind == HIT) & np.isin(before.truth, rows)
    return replace(
        before,
        image=np.append(before.image, [one.image for one in lost]).astype(np.int64),
        label=np.append(before.label, labels).astype(np.int64),
        score=np.append(before.score, usual_scores(survey)[labels]),
        kind=np.append(np.where(hit_weakly, NOT_JUDGED, before.kind), np.full(len(rows), HIT)),
        truth=np.append(before.truth, rows),
    )


def usual_scores(survey: Survey) -> Floats:
    """(C,) the median score of the objects of a class that are found."""
    outcomes = survey.outcomes
    found = (outcomes.kind == HIT) & (outcomes.score >= survey.score)
    own = (outcomes.score[found & (outcomes.label == label)] for label in range(len(survey.classes)))
    return np.array([np.median(scores) if len(scores) else survey.score for scores in own])
