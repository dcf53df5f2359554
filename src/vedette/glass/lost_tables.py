"""Lost objects counted: by step, by class, by size as COCO has it, by side in the input, and what they are taken for.

Shapes: `G` annotated boxes of all images.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan
from typing import Any

import numpy as np
import torch

from vedette.data.statistics import LARGE, SIZES, SMALL
from vedette.evaluate.analysis import Analysis
from vedette.evaluate.coverage_words import SIDES, sides_of
from vedette.evaluate.matching import Ints
from vedette.glass.advice import Advice
from vedette.glass.lost_objects import LostObject, Survey
from vedette.glass.oracle import Oracle
from vedette.glass.record import Reason

SIDE_NAMES = (
    f"below {SIDES[0]}",
    *(f"{low} to {high}" for low, high in pairwise(SIDES)),
    f"from {SIDES[-1]}",
)


@dataclass(frozen=True)
class Row:
    """A group of objects to find."""

    name: str
    objects: int
    lost: int
    by: tuple[int, ...]  # how many of them each of the survey's kinds lost


def by_class(survey: Survey) -> list[Row]:
    """Each class of which there are objects."""
    return [row for row in _rows(survey, survey.outcomes.truth_label, survey.classes) if row.objects]


def by_size(survey: Survey) -> list[Row]:
    """COCO's small (below 32² pixels of the picture), medium and large (from 96² on), by the annotated area."""
    areas = torch.cat([torch.zeros(0), *(truth.area for truth in survey.truths)]).numpy()
    return _rows(survey, np.searchsorted((SMALL, LARGE), areas, side="right"), SIZES)


def by_side(survey: Survey) -> list[Row]:
    """The root of the area in pixels of the input."""
    sides = sides_of(survey.sides).numpy()
    return _rows(survey, np.searchsorted(SIDES, sides, side="right"), SIDE_NAMES)


def taken_for(survey: Survey) -> list[tuple[int, int, int]]:
    """(class, other class, objects) of those under the floor that score higher as another class, the most first."""
    under = (one for one in survey.lost if one.lost.reason == Reason.UNDER_FLOOR)
    pairs = Counter((one.label, one.lost.won) for one in under if one.lost.won_score > one.lost.score)
    return [(own, other, number) for (own, other), number in pairs.most_common()]


def numbers(survey: Survey, oracle: Oracle, analysis: Analysis, advice: Sequence[Advice]) -> dict[str, Any]:
    """For machines: fractions, None for what there is not."""
    return {
        "score": survey.score,
        "objects": int(survey.outcomes.counts.sum()),
        "lost": len(survey.lost),
        "mAP": _plain(oracle.before.mean_ap),
        "mAP_without_losses": _plain(oracle.every.mean_ap),
        "steps": [
            {
                "step": step,
                "reason": reason,
                "lost": len(survey.of((step, reason))),
                "gain": _plain(oracle.gain((step, reason))),
            }
            for step, reason in survey.kinds
        ],
        "classes": {row.name: _as_json(survey, row) | _aps(survey, oracle, row.name) for row in by_class(survey)},
        "sizes": {row.name: _as_json(survey, row) for row in by_size(survey)},
        "sides": {row.name: _as_json(survey, row) for row in by_side(survey)},
        "taken_for": [
            {"class": survey.classes[own], "other": survey.classes[other], "objects": number}
            for own, other, number in taken_for(survey)
        ],
        "advice": [
            {
                "step": one.kind[0],
                "reason": one.kind[1],
                "class": None if one.label is None else survey.classes[one.label],
                "lost": one.objects,
                "text": one.text,
            }
            for one in advice
        ],
        "errors": {
            kind: {"count": count, "gain": _plain(analysis.gains[kind])} for kind, count in analysis.kinds.items()
        },
        "lost_objects": [_object(survey, one) for one in survey.lost],
    }


def _rows(survey: Survey, group: Ints, names: Sequence[str]) -> list[Row]:
    """group (G,): which of the names each annotated box belongs to."""
    there = np.bincount(group[survey.outcomes.counts], minlength=len(names)).tolist()
    counts = Counter((int(group[one.row]), one.kind) for one in survey.lost)
    rows = []
    for number, name in enumerate(names):
        by = tuple(counts[number, kind] for kind in survey.kinds)
        rows.append(Row(name, there[number], sum(by), by))
    return rows


def _as_json(survey: Survey, row: Row) -> dict[str, Any]:
    by = [
        {"step": step, "reason": reason, "lost": count}
        for (step, reason), count in zip(survey.kinds, row.by, strict=True)
        if count
    ]
    return {"objects": row.objects, "lost": row.lost, "by": by}


def _aps(survey: Survey, oracle: Oracle, name: str) -> dict[str, Any]:
    label = survey.classes.index(name)
    before, after = (float(result.per_class[label]) for result in (oracle.before, oracle.every))
    return {"AP": _plain(before), "AP_without_losses": _plain(after)}


def _object(survey: Survey, one: LostObject) -> dict[str, Any]:
    lost, sides = one.lost, survey.sides[one.row].tolist()
    return {
        "image": one.image,
        "class": survey.classes[one.label],
        "box": list(one.box),
        "sides": sides,
        "step": lost.step,
        "reason": lost.reason,
        "iou": lost.iou,
        "score": lost.score,
        "best_box": lost.box.tolist(),
        "source": lost.source,
        "above": lost.above,
        "other_class": survey.classes[lost.won] if lost.won >= 0 else None,
        "other_score": lost.won_score,
        "suppressor": None if lost.by is None else lost.by.tolist(),
        "overlap": lost.overlap,
        "crowded": one.crowded,
    }


def _plain(value: float) -> float | None:
    """JSON knows no NaN."""
    return None if isnan(value) else value
