"""A score for each class, chosen on annotated images: from it on a detection is worth showing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vedette.errors import InputError
from vedette.evaluate.matching import Overlap, judge
from vedette.evaluate.thresholds import Aims, Point, Points, sweep
from vedette.evaluate.truth import Truth
from vedette.structures import Detections

BEST_F1, PRECISION = "best-f1", "precision="


@dataclass(frozen=True)
class Rule:
    """What a score is chosen by: the best F1, or the lowest score with at least that precision."""

    precision: float | None = None

    def of(self, points: Points) -> Point | None:
        """The point of that rule, None where no score reaches it."""
        return points.best_f1 if self.precision is None else points.at_precision


@dataclass(frozen=True)
class Chosen:
    """The scores of C classes, and what they are worth on the images that they were chosen on."""

    points: tuple[Point, ...]
    borrowed: tuple[int, ...]  # labels for which no score does: theirs is that of all classes together

    @property
    def scores(self) -> list[float]:
        """One for each class."""
        return [point.score for point in self.points]


def read_rule(text: str) -> Rule:
    """`best-f1`, or `precision=0.9`; raises InputError for anything else."""
    if text == BEST_F1:
        return Rule()
    try:
        precision = float(text.removeprefix(PRECISION)) if text.startswith(PRECISION) else -1.0
    except ValueError:
        precision = -1.0
    if not 0 < precision <= 1:
        raise InputError(f"--choose-thresholds {text!r}: write {BEST_F1}, or {PRECISION}0.9 with a number up to 1")
    return Rule(precision)


def choose(
    found: Sequence[Detections], truths: Sequence[Truth], classes: Sequence[str], rule: Rule, overlap: Overlap
) -> Chosen:
    """Judges what was found, from a low score on, by VOC's rules at IoU 0.5.

    Raises InputError where no score does for all classes together either.
    """
    outcomes, aims = judge(found, truths, overlap=overlap), Aims(precision=rule.precision or Aims.precision)
    overall = rule.of(sweep(outcomes).points(aims))
    if overall is None:
        wanted = "hits anything" if rule.precision is None else f"makes a precision of {rule.precision:g}"
        raise InputError(f"--choose-thresholds: no score {wanted}; give other data, or another rule")
    points, borrowed = [], []
    for label in range(len(classes)):
        of_class = sweep(outcomes, label)
        own = rule.of(of_class.points(aims))
        borrowed += [label] if own is None else []
        points.append(of_class.at(overall.score) if own is None else own)
    return Chosen(tuple(points), tuple(borrowed))
