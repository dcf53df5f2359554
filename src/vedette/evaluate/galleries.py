"""From each number of a report to the pictures in which what it counts is: which boxes, of which images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vedette.evaluate.album import Gallery, by_area, gallery
from vedette.evaluate.analysis import Analysis
from vedette.evaluate.errors import KINDS, MISSED, missed_boxes
from vedette.evaluate.matching import FALSE_POSITIVE, HIT, Ints

OF_A_CLASS, OF_A_KIND, OF_A_CONFUSION = 4, 8, 4  # pictures at most
CONFUSIONS = 20  # pairs of classes at most, the most frequent


def galleries(analysis: Analysis) -> dict[str, Gallery]:
    """By the id that a link names; none for what is not there."""
    every = [*_of_classes(analysis), *_of_kinds(analysis), *_of_confusions(analysis)]
    return {one.id: one for one in every if one.total}


def confused_pairs(analysis: Analysis) -> list[tuple[int, int, int]]:
    """(annotated, detected, boxes) of the pairs of classes that are confused most, the most frequent first."""
    pairs = analysis.confusions.matrix[:-1, :-1].copy()
    np.fill_diagonal(pairs, 0)
    order = np.argsort(-pairs, axis=None, kind="stable")[:CONFUSIONS]
    rows, columns = np.unravel_index(order, pairs.shape)
    chosen = zip(rows.tolist(), columns.tolist(), pairs[rows, columns].tolist(), strict=True)
    return [pair for pair in chosen if pair[2]]


def _of_classes(analysis: Analysis) -> Iterator[Gallery]:
    """Found and false detections, the best first; missed boxes, the largest first."""
    outcomes = analysis.outcomes
    order = outcomes.by_score()
    order = order[outcomes.score[order] >= analysis.score]
    found = np.zeros(len(outcomes.counts), dtype=bool)
    found[outcomes.truth[order[outcomes.kind[order] == HIT]]] = True
    for label, name in enumerate(analysis.classes):
        own = order[outcomes.label[order] == label]
        yield _detected(analysis, f"found-{label}", f"{name}: found", own[outcomes.kind[own] == HIT], OF_A_CLASS)
        false = own[outcomes.kind[own] == FALSE_POSITIVE]
        yield _detected(analysis, f"false-{label}", f"{name}: false positives", false, OF_A_CLASS)
        missed = np.flatnonzero(outcomes.counts & ~found & (outcomes.truth_label == label))
        yield _annotated(analysis, f"missed-{label}", f"{name}: missed", missed, OF_A_CLASS)


def _of_kinds(analysis: Analysis) -> Iterator[Gallery]:
    outcomes, errors = analysis.outcomes, analysis.errors
    order = outcomes.by_score()
    order = order[outcomes.score[order] >= analysis.score]
    for number, kind in enumerate(KINDS):
        if kind == MISSED:
            rows = np.flatnonzero(missed_boxes(outcomes, errors, analysis.score))
            yield _annotated(analysis, f"kind-{kind}", f"Errors: {kind}", rows, OF_A_KIND)
        else:
            rows = order[errors.kind[order] == number]
            yield _detected(analysis, f"kind-{kind}", f"Errors: {kind}", rows, OF_A_KIND)


def _of_confusions(analysis: Analysis) -> Iterator[Gallery]:
    """Detections that take a box for another class, the best first."""
    outcomes, by = analysis.outcomes, analysis.confusions.by
    for annotated, detected, _ in confused_pairs(analysis):
        rows = by[(by >= 0) & (outcomes.truth_label == annotated)]
        rows = rows[outcomes.label[rows] == detected]
        rows = rows[np.argsort(-outcomes.score[rows], kind="stable")]
        title = f"{analysis.classes[annotated]} detected as {analysis.classes[detected]}"
        yield _detected(analysis, f"confused-{annotated}-{detected}", title, rows, OF_A_CONFUSION)


def _detected(analysis: Analysis, id: str, title: str, rows: Ints, most: int) -> Gallery:
    return gallery(id, title, rows, analysis.outcomes.image, analysis.boxes, most)


def _annotated(analysis: Analysis, id: str, title: str, rows: Ints, most: int) -> Gallery:
    boxes = analysis.truth_boxes
    return gallery(id, title, by_area(boxes, rows), analysis.outcomes.truth_image, boxes, most)
