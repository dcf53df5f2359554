"""What kind of error each false detection is, what mending a kind is worth, and which class is taken for which.

The kinds are those of TIDE (Bolya et al., TIDE: A General Toolbox for Identifying Object Detection Errors, ECCV 2020,
section 2.2), with hits by VOC's rules (`vedette.evaluate.matching.judge`). hotcoco counts such errors and confusions
too, but neither says which detections they are, so that no picture could be shown, nor knows difficult boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vedette.evaluate.matching import (
    FALSE_POSITIVE,
    HIT,
    NOT_JUDGED,
    Bools,
    Ints,
    Outcomes,
    Overlap,
    boxes_of,
    enough,
    most_overlapped,
)
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import VocMetric, summarise
from vedette.structures import Detections

BACKGROUND_IOU = 0.1  # TIDE's: a box that overlaps less has nothing to do with an object
CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND, MISSED = KINDS = (
    "classification",
    "localisation",
    "both",
    "duplicate",
    "background",
    "missed",
)


@dataclass(frozen=True, eq=False)
class Errors:
    """Of each of the D detections, at any score; boxes are those to find, 0..G-1."""

    kind: Ints  # (D,) place in KINDS, -1 for what is no false positive
    box: Ints  # (D,) the box that a classification or localisation error is about, else -1
    other: Ints  # (D,) the box of another class that a false positive covers well enough for a hit, else -1


@dataclass(frozen=True, eq=False)
class Confusions:
    """What the boxes to find were taken for by the detections of at least some score."""

    matrix: Ints  # (C + 1, C + 1) annotated × detected; last row: nothing annotated; last column: missed
    by: Ints  # (G,) the detection that found a box or took it for another class, -1: missed, or not to be found
    loose: Bools  # (D,) false positives that are about no box in `by`: the last row's


def classify(
    outcomes: Outcomes,
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    iou: float = 0.5,
    overlap: Overlap = "above",
) -> Errors:
    """The kind of each false positive, the first of these that fits; "well": by the IoU of a hit; "a bit": ≥ 0.1.

    localisation: a bit, but not well, on a box of its class. classification: well on a box of another class.
    duplicate: well on a box of its class, which another detection hit. background: on no box even a bit. both: a bit
    on a box of another class.
    """
    counted = np.flatnonzero(outcomes.counts)
    boxes, truth_boxes = boxes_of(detections), boxes_of(truths)[counted]
    images, labels = outcomes.truth_image[counted], outcomes.truth_label[counted]
    classes = 1 + max(outcomes.label.max(initial=-1), labels.max(initial=-1))
    keys = outcomes.image * classes + outcomes.label
    own, own_iou = most_overlapped(boxes, keys, truth_boxes, images * classes + labels)
    other, other_iou = most_overlapped(boxes, outcomes.image, truth_boxes, images, unlike=(outcomes.label, labels))
    well, well_on_other = enough(own_iou, iou, overlap), enough(other_iou, iou, overlap)
    kinds = [
        ((own_iou >= BACKGROUND_IOU) & ~well, LOCALISATION),
        (well_on_other, CLASSIFICATION),
        (well, DUPLICATE),
        (np.maximum(own_iou, other_iou) < BACKGROUND_IOU, BACKGROUND),
    ]
    false = outcomes.kind == FALSE_POSITIVE
    kind = np.select([fits for fits, _ in kinds], [KINDS.index(name) for _, name in kinds], KINDS.index(BOTH))
    kind = np.where(false, kind, -1)
    box = np.select([kind == KINDS.index(LOCALISATION), kind == KINDS.index(CLASSIFICATION)], [own, other], -1)

    def among_all(rows: Ints) -> Ints:
        return np.append(counted, -1)[rows]

    return Errors(kind, among_all(box), among_all(np.where(false & well_on_other, other, -1)))


def missed_boxes(outcomes: Outcomes, errors: Errors, score: float = 0.0) -> Bools:
    """(G,) boxes to find that no detection of at least `score` hits, nor nearly: by its class or its place alone."""
    missed = outcomes.counts.copy()
    shown = outcomes.score >= score
    missed[outcomes.truth[shown & (outcomes.kind == HIT)]] = False
    missed[errors.box[shown & (errors.box >= 0)]] = False
    return missed


def count_kinds(outcomes: Outcomes, errors: Errors, score: float) -> dict[str, int]:
    """How many errors of each kind the detections of at least `score` make."""
    kinds = errors.kind[(outcomes.score >= score) & (errors.kind >= 0)]
    counts = np.bincount(kinds, minlength=len(KINDS)).tolist()
    return dict(zip(KINDS, counts, strict=True)) | {MISSED: int(missed_boxes(outcomes, errors, score).sum())}


def gains(outcomes: Outcomes, errors: Errors, num_classes: int, iou: float, metric: VocMetric) -> dict[str, float]:
    """By how much mAP rises when all errors of one kind, at any score, are mended: TIDE's dAP. NaN without boxes.

    A detection of the wrong class or place becomes a hit where its box has none; of several the best does. All other
    false ones go, and missed boxes are no longer to be found.
    """
    before = summarise(outcomes, num_classes, iou, metric).mean_ap
    return {
        kind: summarise(_mended(outcomes, errors, kind), num_classes, iou, metric).mean_ap - before for kind in KINDS
    }


def _mended(outcomes: Outcomes, errors: Errors, name: str) -> Outcomes:
    if name == MISSED:
        return replace(outcomes, counts=outcomes.counts & ~missed_boxes(outcomes, errors))
    wrong = errors.kind == KINDS.index(name)
    kind, label = np.where(wrong, NOT_JUDGED, outcomes.kind), outcomes.label.copy()
    order = outcomes.by_score()
    able = order[wrong[order] & ~_is_hit(outcomes)[errors.box[order]] & (errors.box[order] >= 0)]
    _, first = np.unique(errors.box[able], return_index=True)
    kind[able[first]], label[able[first]] = HIT, outcomes.truth_label[errors.box[able[first]]]
    return replace(outcomes, kind=kind, label=label)


def _is_hit(outcomes: Outcomes) -> Bools:
    """(G + 1,) the last for no box."""
    hit = np.zeros(len(outcomes.counts) + 1, dtype=bool)
    hit[outcomes.truth[outcomes.kind == HIT]] = True
    return hit


def confuse(outcomes: Outcomes, errors: Errors, num_classes: int, score: float) -> Confusions:
    """Each box to find once: found, where a detection of its class hits it; else taken for the class of the best false
    positive that covers it well enough for a hit and no box of another class more; else missed. The other false
    positives stand in the row of nothing annotated. Only detections of at least `score`."""
    shown = outcomes.score >= score
    by = np.full(len(outcomes.counts), -1)
    order = outcomes.by_score()[::-1]  # the best last: of several it stays
    false = order[shown[order] & (errors.other[order] >= 0)]
    by[errors.other[false]] = false
    hits = np.flatnonzero(shown & (outcomes.kind == HIT))
    by[outcomes.truth[hits]] = hits
    loose = shown & (outcomes.kind == FALSE_POSITIVE)
    loose[by[by >= 0]] = False
    counted = np.flatnonzero(outcomes.counts)
    taken_for = np.where(by >= 0, np.append(outcomes.label, -1)[by], num_classes)[counted]
    matrix = np.zeros((num_classes + 1, num_classes + 1), dtype=np.int64)
    np.add.at(matrix, (outcomes.truth_label[counted], taken_for), 1)
    matrix[num_classes, :num_classes] = np.bincount(outcomes.label[loose], minlength=num_classes)[:num_classes]
    return Confusions(matrix, by, loose)
