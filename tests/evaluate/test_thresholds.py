"""The scores that stand out, by hand; ties, nothing found, nothing to find, and a slow oracle."""

import math

import pytest
import torch

from vedette.evaluate.matching import FALSE_POSITIVE, HIT, judge
from vedette.evaluate.thresholds import Aims, Point, Points, shown_score, sweep
from vedette.evaluate.truth import Truth

A, B, C, D = ([x, 0.0, x + 10.0, 10.0] for x in (0.0, 20.0, 40.0, 60.0))
NOWHERE = [[0.0, y, 10.0, y + 10.0] for y in (50.0, 70.0, 90.0)]


def truth(boxes, labels=None, difficult=None):
    labels = [0] * len(boxes) if labels is None else labels
    mark = None if difficult is None else torch.tensor(difficult)
    return Truth.of(torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64), mark)


@pytest.fixture
def outcomes(make_detections):
    """Four boxes; hit at 0.9, false at 0.75, hits at 0.5 and 0.5, false at 0.25 and 0.125."""
    found = make_detections([A, NOWHERE[0], B, C, NOWHERE[1], NOWHERE[2]], [0.9, 0.75, 0.5, 0.5, 0.25, 0.125], [0] * 6)
    return judge([found], [truth([A, B, C, D])])


def test_counts_at_each_score(outcomes):
    """Equal scores are one step: no score lets in one of the two at 0.5 alone."""
    whole = sweep(outcomes)
    assert whole.scores.tolist() == pytest.approx([0.9, 0.75, 0.5, 0.25, 0.125])
    assert whole.hits.tolist() == [1, 1, 3, 3, 3]
    assert whole.false.tolist() == [0, 1, 1, 2, 3]
    assert whole.precision.tolist() == pytest.approx([1, 1 / 2, 3 / 4, 3 / 5, 3 / 6])
    assert whole.recall.tolist() == pytest.approx([1 / 4, 1 / 4, 3 / 4, 3 / 4, 3 / 4])
    assert whole.f1.tolist() == pytest.approx([2 / 5, 2 / 6, 6 / 8, 6 / 9, 6 / 10])


def test_the_scores_that_stand_out(outcomes):
    points = sweep(outcomes).points(Aims(precision=0.6, recall=0.7))
    assert points.best_f1 == Point(0.5, 0.75, 0.75, 0.75)
    assert points.at_precision == Point(0.25, 0.6, 0.75, pytest.approx(2 / 3))  # the lowest, though 0.5 at 0.75
    assert points.at_recall == Point(0.5, 0.75, 0.75, 0.75)  # the highest
    assert sweep(outcomes).points(Aims(recall=0.76)).at_recall is None


def test_of_equally_good_scores_the_highest(make_detections):
    """One of two boxes hit: 2 / (1 + 2); both, and two false: 4 / (4 + 2)."""
    found = make_detections([A, NOWHERE[0], NOWHERE[1], B], [0.9, 0.8, 0.7, 0.6], [0] * 4)
    points = sweep(judge([found], [truth([A, B])])).points(Aims())
    assert points.best_f1.f1 == pytest.approx(2 / 3)
    assert points.best_f1.score == pytest.approx(0.9)


def test_between_beyond_and_below_all_scores(outcomes):
    whole = sweep(outcomes)
    assert whole.at(0.6).precision == 0.5
    assert whole.at(0.0).precision == 0.5
    assert whole.at(0.5).recall == 0.75  # from the score on
    nothing = whole.at(0.95)
    assert math.isnan(nothing.precision)
    assert (nothing.recall, nothing.f1) == (0, 0)


def test_difficult_boxes_and_other_classes_do_not_count(make_detections):
    found = make_detections([A, B, C], [0.9, 0.8, 0.7], [0, 0, 1])
    outcomes = judge([found], [truth([A, B, C, D], [0, 0, 1, 2], [False, True, False, False])])
    whole = sweep(outcomes, 0)
    assert (whole.hits.tolist(), whole.false.tolist(), whole.positives) == ([1], [0], 1)
    unseen = sweep(outcomes, 2)
    assert unseen.points(Aims()) == Points(None, None, None)
    assert unseen.at(0.5).f1 == 0


def test_a_class_without_boxes(make_detections):
    whole = sweep(judge([make_detections([A], [0.9], [0])], [truth([B], [1])]), 0)
    assert whole.points(Aims(precision=0.0, recall=0.0)) == Points(None, None, None)
    assert math.isnan(whole.at(0.5).recall)
    assert whole.at(0.5).precision == 0
    assert math.isnan(whole.at(0.95).f1)


def test_the_score_that_is_shown(outcomes, make_detections):
    assert shown_score(sweep(outcomes), Aims()) == (0.5, "the best F1 over all classes, 0.75")
    assert shown_score(sweep(outcomes), Aims(score=0.3))[0] == 0.3
    hopeless = judge([make_detections(NOWHERE, [0.03125, 0.0234375, 0.015625], [0] * 3)], [truth([A, B])])
    score, why = shown_score(sweep(hopeless), Aims())
    assert score == 0.0234375  # two boxes, two detections
    assert "no detection hits" in why
    nothing = judge([make_detections([], [], [])], [truth([A])])
    assert shown_score(sweep(nothing), Aims()) == (0.5, "nothing is detected at any")
    assert sweep(nothing).points(Aims()) == Points(None, None, None)


@pytest.mark.parametrize("seed", range(5))
def test_is_what_counting_says(make_scene, seed):
    outcomes = judge(*make_scene(seed))
    whole = sweep(outcomes)
    best = None
    for score in sorted(set(outcomes.score.tolist()), reverse=True):
        kinds = [kind for kind, own in zip(outcomes.kind, outcomes.score, strict=True) if own >= score]
        hits, false = kinds.count(HIT), kinds.count(FALSE_POSITIVE)
        missed = sum(outcomes.counts.tolist()) - hits
        f1 = 2 * hits / (2 * hits + false + missed)
        if hits and (best is None or f1 > best[1]):
            best = score, f1
        assert whole.at(score).f1 == pytest.approx(f1)
    point = whole.points(Aims()).best_f1
    assert (point.score, point.f1) == pytest.approx(best)
