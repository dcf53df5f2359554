"""What to do about lost objects, in sentences that follow from their numbers.

Of each step and reason: what the objects that it lost have in common, and what would find them. A knob that can be
turned without another training is named as `--set FIELD=VALUE`; what it gives is counted where that is known.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch

from vedette.evaluate.coverage import WHYS, Coverage, Why, reasons
from vedette.evaluate.coverage_words import common_reasons, reason_words, sides_of
from vedette.evaluate.matching import HIT
from vedette.glass.lost import REACHES
from vedette.glass.lost_objects import Kind, LostObject, Survey
from vedette.glass.oracle import Oracle
from vedette.glass.record import Reason

MOST_CLASSES = 4  # that sentences are about, of a step
FEW = 0.1  # a smaller share of a class's lost objects is not worth a sentence
CHANGES: dict[Why, str] = {
    "too small": "a larger input (train with a larger --set image_size) or smaller anchors",
    "too large": "larger anchors",
    "other shape": "anchors of that shape (aspect_ratios)",
    "between anchors": "a larger input (train with a larger --set image_size), on which anchors lie closer",
}


@dataclass(frozen=True)
class Advice:
    """A sentence about what one step lost, of all classes or of one."""

    kind: Kind
    label: int | None  # of the class; None: all
    objects: int
    text: str


def advise(survey: Survey, oracle: Oracle) -> list[Advice]:
    """Of each step that loses objects, in their order: all of them, then the classes to which it would give most AP."""
    said = []
    of_class = Counter(one.label for one in survey.lost)
    for kind in survey.kinds:
        every = survey.of(kind)
        said.append(Advice(kind, None, len(every), _sentence(survey, kind, every, len(survey.lost))))
        gains = oracle.steps[kind].per_class - oracle.before.per_class
        for label in np.argsort(-np.nan_to_num(gains), kind="stable")[:MOST_CLASSES].tolist():
            own = survey.of(kind, label)
            if len(of_class) > 1 and len(own) > FEW * of_class[label]:
                whose = f" of {survey.classes[label]} ({gains[label]:+.2f} AP)"
                said.append(Advice(kind, label, len(own), _sentence(survey, kind, own, of_class[label], whose)))
    return said


def _sentence(survey: Survey, kind: Kind, lost: Sequence[LostObject], of: int, whose: str = "") -> str:
    return f"{len(lost)} of {of} lost object{'s' * (of != 1)}{whose} {WORDS[kind[1]](survey, lost)}."


def _by(things: Sequence[object], one: str, several: str) -> str:
    """The word that goes with one thing, or with several."""
    return one if len(things) == 1 else several


def _no_anchor(survey: Survey, lost: Sequence[LostObject]) -> str:
    if not len(survey.shapes):
        best = _fractions([one.lost.iou for one in lost])
        more = _now(survey, "proposals")
        have = _by(lost, "has", "have")
        return (
            f"{have} no region with IoU {REACHES}: the best has {best}; more: --set proposals{more} or search=quality"
        )
    coverage = _coverage(survey, lost)
    rows = torch.ones(len(lost), dtype=torch.bool)
    whys = common_reasons(coverage, rows)
    said = "; ".join(reason_words(coverage, rows, why) for why in whys)
    return (
        f"{_by(lost, 'has', 'have')} no anchor with IoU {REACHES} (px of the input: {said}): {CHANGES[WHYS[whys[0]]]}"
    )


def _coverage(survey: Survey, lost: Sequence[LostObject]) -> Coverage:
    """How the anchors fit these."""
    sides = survey.sides[[one.row for one in lost]]
    labels, best = torch.tensor([one.label for one in lost]), torch.tensor([one.lost.iou for one in lost])
    best = best.clamp(max=np.nextafter(REACHES, 0.0))
    return Coverage(sides, labels, best, survey.shapes, reasons(sides, best, survey.shapes), survey.input_side)


def _easy(survey: Survey, lost: Sequence[LostObject]) -> str:
    """The ARM's score of being an object is 1 less that of background, which theta bars."""
    theta, objectness = survey.config.theta, np.array([one.lost.score for one in lost])
    next_theta = 1 - (1 - theta) / 10
    passed = int((objectness >= 1 - next_theta).sum())
    are, them = _by(lost, "is", "are"), _by(lost, "it", "them")
    said = f"{are} filtered by the ARM, which calls {them} background with more than θ = {theta:g}"
    if passed < len(lost) / 2:
        return f"{said}, and {len(lost) - passed} even with more than {next_theta:g}: more pictures of such objects"
    return f"{said}; --set theta={next_theta:g} lets {passed} of them pass"


def _not_proposed(survey: Survey, lost: Sequence[LostObject]) -> str:
    step = lost[0].lost.step.removeprefix("rpn ")
    score = _fractions([one.lost.score for one in lost])
    said = _by(lost, "is not proposed, its best box has", "are not proposed, their best boxes have")
    said += f" {score} of being an object"
    changes = {
        "pick": f"beyond the best of their level: a larger --set before_nms{_now(survey, 'before_nms')}",
        "suppress": f"suppressed by better ones: a higher --set proposal_iou{_now(survey, 'proposal_iou')}",
        "keep": f"beyond the best: more --set proposals{_now(survey, 'proposals')}",
        "refine": f"too small: a lower --set least_side{_now(survey, 'least_side')}",
        "decode": f"too small: a lower --set least_side{_now(survey, 'least_side')}",
    }
    return f"{said}; {changes.get(step, 'more pictures of such objects')}"


def _under_floor(survey: Survey, lost: Sequence[LostObject]) -> str:
    """Taken for another class, found with a lower score, smaller than what is found, or nothing of it."""
    median = float(np.median([one.lost.score for one in lost]))
    said = [f"score below {survey.score:g} where they are, half of them below {_shown(median)}"]
    if len(lost) == 1:
        said = [f"scores {_shown(median)} where it is, below {survey.score:g}"]
    changes = []
    confused = [one for one in lost if one.lost.won >= 0 and one.lost.won_score > one.lost.score]
    if confused:
        taken = Counter(survey.classes[one.lost.won] for one in confused).most_common(3)
        names = ", ".join(f"{name} {number}" for name, number in taken)
        said.append(f"{len(confused)} {_by(confused, 'scores', 'score')} higher as another class ({names})")
    weakly = _weak_hits(survey, lost)
    if weakly:
        middle = _shown(float(np.median(weakly)))
        are, half = _by(weakly, "is", "are"), _by(weakly, middle, f"half of these from {middle} on")
        said.append(f"{len(weakly)} {are} found with a lower score, {half}")
    own, found = _median_sides(survey, lost)
    if own < found / 2:
        whose = _by(lost, "its", "their median")
        said.append(f"{whose} side is {own:.0f} px of the input, that of found ones {found:.0f}")
        changes.append("a larger input")
    if len(confused) > len(lost) / 2:
        changes.append("pictures that tell these classes apart, or labels to look at")
    if len(weakly) > len(lost) / 2:
        changes.append(f"a lower --score ({_shown(float(np.median(weakly)))}), at the price of false ones")
    return f"{', '.join(said)}: {'; '.join(changes or ['more pictures of such objects'])}"


def _median_sides(survey: Survey, lost: Sequence[LostObject]) -> tuple[float, float]:
    """Pixels of the input: of these, and of the objects of their classes that are found; 0 where none is."""
    outcomes, sides = survey.outcomes, sides_of(survey.sides)
    hits = outcomes.truth[(outcomes.kind == HIT) & (outcomes.score >= survey.score)]
    found = hits[np.isin(outcomes.truth_label[hits], [one.label for one in lost])]
    own = float(sides[[one.row for one in lost]].median())
    return own, float(sides[torch.from_numpy(found)].median()) if len(found) else 0.0


def _weak_hits(survey: Survey, lost: Sequence[LostObject]) -> list[float]:
    """Scores of the detections below the floor that hit these."""
    outcomes = survey.outcomes
    hits = (outcomes.kind == HIT) & np.isin(outcomes.truth, [one.row for one in lost])
    weak: list[float] = outcomes.score[hits].tolist()
    return weak


def _beyond_count(survey: Survey, lost: Sequence[LostObject]) -> str:
    scores = _fractions([one.lost.score for one in lost])
    have = _by(lost, "has a score", "have scores")
    return f"{have} of {scores}, beyond the best that are picked: more --set candidates{_now(survey, 'candidates')}"


def _beyond_keep(survey: Survey, lost: Sequence[LostObject]) -> str:
    scores = _fractions([one.lost.score for one in lost])
    have = _by(lost, "has a score", "have scores")
    return f"{have} of {scores}, beyond the best that are kept: more --set keep{_now(survey, 'keep')}"


def _suppressed(survey: Survey, lost: Sequence[LostObject]) -> str:
    """By a neighbour, which a higher IoU spares, or by a box on no object of the class, which it does not help."""
    crowded, alone = [one for one in lost if one.crowded], [one for one in lost if not one.crowded]
    said, changes = [], []
    if crowded:
        overlaps = [one.lost.overlap for one in crowded]
        their = _by(crowded, "its", "their")
        said.append(f"{len(crowded)} by the box of a neighbour of {their} class (IoU {_fractions(overlaps)} with it)")
        higher = ceil(float(np.median(overlaps)) * 20 + 1e-6) / 20
        spared = sum(overlap <= higher for overlap in overlaps)
        changes.append(
            f"--set nms_iou={higher:g}{_now(survey, 'nms_iou')} spares {spared}, --nms gaussian weakens instead"
        )
    if alone:
        placed = _fractions([one.lost.iou for one in alone])
        theirs = _by(alone, "its own", "theirs")
        said.append(f"{len(alone)} by a better scored box that lies on none, though {theirs} has IoU {placed}")
        changes.append("scores that follow the place: longer training, or a larger input")
    return f"{_by(lost, 'is', 'are')} suppressed, {' and '.join(said)}: {'; '.join(changes)}"


def _weakened(survey: Survey, lost: Sequence[LostObject]) -> str:
    overlaps = _fractions([one.lost.overlap for one in lost])
    return (
        f"{_by(lost, 'is', 'are')} weakened by Soft-NMS to below {survey.score:g}, by a box with IoU {overlaps}: "
        "a lower --score, or --nms hard with a higher --set nms_iou"
    )


def _misplaced(survey: Survey, lost: Sequence[LostObject]) -> str:
    """Off the object, or nearer to a neighbour."""
    off = [one for one in lost if one.lost.iou < REACHES]
    near, said, changes = len(lost) - len(off), [], []
    if off:
        ends = _fractions([one.lost.iou for one in off])
        above = Counter(one.lost.above for one in off if one.lost.above)
        before = ", ".join(f"{number} after {step}" for step, number in above.most_common())
        said.append(
            f"{len(off)} with IoU {ends} in the end" + (f", of which still above {REACHES}: {before}" if above else "")
        )
        changes.append("boxes that move less well than classes: longer training of the boxes, or a larger input")
    if near:
        whose = "whose box lies" if near == 1 else "whose boxes lie"
        said.append(f"{near} {whose} nearer to a neighbour of the same class")
        changes.append("neighbours that one box covers: a larger input tells them apart")
    return f"{_by(lost, 'is', 'are')} badly placed, {' and '.join(said)}: {'; '.join(changes)}"


def _small(survey: Survey, lost: Sequence[LostObject]) -> str:
    return f"{_by(lost, 'has a box', 'have boxes')} without area: a larger input"


def _outside(survey: Survey, lost: Sequence[LostObject]) -> str:
    return f"{_by(lost, 'has a box', 'have boxes')} outside the picture: longer training of the boxes"


WORDS: dict[Reason, Callable[[Survey, Sequence[LostObject]], str]] = {
    Reason.NO_ANCHOR: _no_anchor,
    Reason.EASY: _easy,
    Reason.NOT_PROPOSED: _not_proposed,
    Reason.UNDER_FLOOR: _under_floor,
    Reason.BEYOND_COUNT: _beyond_count,
    Reason.BEYOND_KEEP: _beyond_keep,
    Reason.SUPPRESSED: _suppressed,
    Reason.WEAKENED: _weakened,
    Reason.MISPLACED: _misplaced,
    Reason.SMALL: _small,
    Reason.OUTSIDE: _outside,
}


def _now(survey: Survey, field: str) -> str:
    """What a field of the config is, in brackets."""
    value = getattr(survey.config, field, None)
    value = value[1] if isinstance(value, tuple) else value  # in training, in detection
    return "" if value is None else f" (now {value})"


def _fractions(values: Sequence[float]) -> str:
    """The middle nine tenths."""
    low, high = (_shown(float(value)) for value in np.quantile(values, [0.05, 0.95]))
    return low if low == high else f"{low} to {high}"


def _shown(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.1g}"
