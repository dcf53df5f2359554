"""All that a report says of one detector's findings: judged once, counted from one score on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vedette.evaluate.errors import Confusions, Errors, classify, confuse, count_kinds, gains
from vedette.evaluate.matching import Floats, Outcomes, Overlap, boxes_of, judge
from vedette.evaluate.measure import Metric
from vedette.evaluate.thresholds import Aims, Points, Sweep, shown_score, sweep
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import VocResult, summarise
from vedette.structures import Detections


@dataclass(frozen=True, eq=False)
class Analysis:
    """D detections and G annotated boxes of B images and C classes, by VOC's rules at one IoU."""

    classes: tuple[str, ...]
    outcomes: Outcomes
    boxes: Floats  # (D, 4) annotated pixels
    truth_boxes: Floats  # (G, 4)
    result: VocResult
    aims: Aims
    sweeps: tuple[Sweep, ...]  # of all classes together, then of each
    points: tuple[Points, ...]  # the same
    score: float  # of the least detections that are counted
    why: str  # that one
    errors: Errors
    kinds: dict[str, int]  # errors from that score on
    gains: dict[str, float]  # in mAP, of mending a kind at any score
    confusions: Confusions

    def numbers(self) -> dict[str, Any]:
        """For machines: scores and errors by name, None for what there is not."""
        overall, *each = self.points
        return {
            "score": self.score,
            "scores": {
                "precision": self.aims.precision,
                "recall": self.aims.recall,
                "overall": asdict(overall),
                "per_class": {name: asdict(points) for name, points in zip(self.classes, each, strict=True)},
            },
            "errors": {kind: {"count": count, "gain": self.gains[kind]} for kind, count in self.kinds.items()},
            "confusions": self.confusions.matrix.tolist(),
        }


def analyse(
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    classes: tuple[str, ...],
    metric: Metric = "voc12",
    iou: float = 0.5,
    overlap: Overlap = "above",
    aims: Aims | None = None,
) -> Analysis:
    """Judges the detections of B images against their B truths, labels into `classes`; see `judge` for the rules.

    metric: of the AP of each class; VOC's by area where it is "coco".
    """
    aims = aims or Aims()
    voc = "voc12" if metric == "coco" else metric
    outcomes = judge(detections, truths, iou, overlap)
    sweeps = (sweep(outcomes), *(sweep(outcomes, label) for label in range(len(classes))))
    score, why = shown_score(sweeps[0], aims)
    errors = classify(outcomes, detections, truths, iou, overlap)
    return Analysis(
        classes,
        outcomes,
        boxes_of(detections),
        boxes_of(truths),
        summarise(outcomes, len(classes), iou, voc, overlap),
        aims,
        sweeps,
        tuple(each.points(aims) for each in sweeps),
        score,
        why,
        errors,
        count_kinds(outcomes, errors, score),
        gains(outcomes, errors, len(classes), iou, voc),
        confuse(outcomes, errors, len(classes), score),
    )
