"""VOC's AP: numbers worked by hand, and a slow oracle written from the definition."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from vedette.evaluate.matching import FALSE_POSITIVE, judge
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import average_precision, voc_average_precision
from vedette.structures import Detections

BOX = [0.0, 0.0, 10.0, 10.0]
FAR = [50.0, 50.0, 60.0, 60.0]


def truth(boxes, labels=None, difficult=None, crowd=None):
    labels = torch.zeros(len(boxes), dtype=torch.int64) if labels is None else torch.tensor(labels)
    marks = [None if mark is None else torch.tensor(mark) for mark in (difficult, crowd)]
    return Truth.of(torch.tensor(boxes).reshape(-1, 4), labels, *marks)


def ap(found, truths, metric="voc12", iou=0.5, num_classes=1):
    return voc_average_precision(found, truths, num_classes, iou, metric)


# hits of the textbook's curve: of 5 boxes three are found, by detections 1, 3 and 6
HITS = np.array([True, False, True, False, False, True])


def test_area_by_hand():
    # best precision at recall 0.2, 0.4, 0.6: 1, 2/3, 1/2
    assert average_precision(HITS, 5, "voc12") == pytest.approx((1 + 2 / 3 + 1 / 2) / 5)


def test_eleven_points_by_hand():
    # recall >= 0, .1, .2 → 1; .3, .4 → 2/3; .5, .6 → 1/2; beyond → 0
    assert average_precision(HITS, 5, "voc07") == pytest.approx((3 * 1 + 2 * 2 / 3 + 2 / 2) / 11)


def test_the_envelope_lifts_an_early_dip():
    hits = np.array([False, True, True])  # precision 0, 1/2, 2/3
    assert average_precision(hits, 2, "voc12") == pytest.approx(2 / 3)
    assert average_precision(hits, 2, "voc07") == pytest.approx(2 / 3)


@pytest.mark.parametrize("found", range(11))
def test_a_point_that_recall_just_reaches_counts(found):
    hits = np.ones(found, dtype=bool)
    assert average_precision(hits, 10, "voc07") == pytest.approx((found + 1) / 11 if found else 0.0)


def test_an_overlap_of_exactly_the_threshold_is_not_enough(make_detections):
    found = make_detections([[0.0, 0.0, 10.0, 5.0]], [0.9], [0])
    assert ap([found], [truth([BOX])]).mean_ap == 0.0
    assert ap([found], [truth([BOX])], iou=0.499).mean_ap == 1.0


def test_the_devkit_counts_an_overlap_of_exactly_the_threshold(make_detections):
    found, wanted = make_detections([[0.0, 0.0, 10.0, 5.0]], [0.9], [0]), truth([BOX])
    result = voc_average_precision([found], [wanted], 1, overlap="from")
    assert (result.mean_ap, result.overlap) == (1.0, "from")
    assert voc_average_precision([found], [wanted], 1, iou=0.501, overlap="from").mean_ap == 0.0
    elsewhere = make_detections([FAR], [0.9], [1])  # of a class without boxes: it overlaps none, not even by 0
    assert judge([elsewhere], [wanted], 0.0, "from").kind.tolist() == [FALSE_POSITIVE]


def test_no_one_is_added_to_sides(make_detections):
    found = make_detections([[0.0, 0.0, 2.0, 1.1]], [0.9], [0])  # IoU 0.55; with + 1 it would be 0.7
    assert ap([found], [truth([[0.0, 0.0, 2.0, 2.0]])], iou=0.6).mean_ap == 0.0


def test_a_second_detection_of_a_box_is_a_false_positive(make_detections):
    found = make_detections([BOX, BOX, FAR], [0.9, 0.8, 0.7], [0, 0, 0])
    result = ap([found], [truth([BOX, FAR])])
    assert result.curves[0].precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert result.mean_ap == pytest.approx((1 + 2 / 3) / 2)


def test_there_is_no_second_choice(make_detections):
    near = [0.0, 0.0, 10.0, 9.0]
    found = make_detections([BOX, [0.0, 0.0, 10.0, 9.8]], [0.9, 0.8], [0, 0])
    # both overlap BOX most; the second also overlaps `near` by 0.92, which COCO would let it have
    assert ap([found], [truth([BOX, near])]).per_class[0] == pytest.approx(0.5)


@pytest.mark.parametrize("mark", ["difficult", "crowd"])
def test_marked_boxes_neither_count_nor_punish(make_detections, mark):
    found = make_detections([FAR, FAR, BOX], [0.9, 0.8, 0.7], [0, 0, 0])
    result = ap([found], [truth([BOX, FAR], **{mark: [False, True]})])
    assert result.mean_ap == 1.0
    assert result.positives.tolist() == [1]
    assert result.curves[0].scores.tolist() == pytest.approx([0.7])


@pytest.mark.parametrize("difficult", [[True, False], [False, True]])
def test_of_boxes_overlapped_equally_the_first_is_taken(make_detections, difficult):
    result = ap([make_detections([BOX], [0.9], [0])], [truth([BOX, BOX], difficult=difficult)])
    assert result.mean_ap == float(not difficult[0])


def test_boxes_of_another_class_or_image_do_not_count(make_detections):
    found = [make_detections([BOX], [0.9], [1]), make_detections([BOX], [0.8], [0])]
    result = ap(found, [truth([BOX], [0]), truth([FAR], [1])], num_classes=2)
    assert result.per_class.tolist() == [0.0, 0.0]


def test_equal_scores_go_by_image(make_detections):
    hit, miss = make_detections([BOX], [0.5], [0]), make_detections([FAR], [0.5], [0])
    assert ap([hit, miss], [truth([BOX]), truth([])]).mean_ap == 1.0
    assert ap([miss, hit], [truth([]), truth([BOX])]).mean_ap == 0.5


def test_a_class_without_boxes_is_left_out_of_the_mean(make_detections):
    found = make_detections([BOX, FAR], [0.9, 0.8], [0, 1])
    result = ap([found], [truth([BOX, FAR], [0, 2], difficult=[False, True])], num_classes=4)
    assert result.mean_ap == 1.0
    assert np.isnan(result.per_class).tolist() == [False, True, True, True]


@pytest.mark.parametrize("metric", ["voc07", "voc12"])
def test_nothing_at_all(make_detections, metric):
    nothing = make_detections([], [], [])
    assert math.isnan(ap([], [], metric).mean_ap)
    assert math.isnan(ap([nothing], [truth([])], metric).mean_ap)
    assert ap([nothing], [truth([BOX])], metric).mean_ap == 0.0
    assert math.isnan(ap([make_detections([BOX], [0.5], [0])], [truth([])], metric).mean_ap)


def test_wrong_arguments_are_refused(make_detections):
    with pytest.raises(ValueError, match="voc10"):
        ap([], [], "voc10")
    with pytest.raises(ValueError, match="1 images with detections, but 2 with truths"):
        ap([make_detections([], [], [])], [truth([]), truth([])])


@pytest.mark.parametrize("metric", ["voc07", "voc12"])
@pytest.mark.parametrize("seed", range(40))
def test_equals_the_definition(make_scene, seed, metric):
    found, truths = make_scene(seed, images=seed % 7)
    result = voc_average_precision(found, truths, 4, 0.5, metric)
    for label in range(4):
        expected = oracle(found, truths, label, metric)
        assert result.per_class[label] == pytest.approx(expected, nan_ok=True, abs=1e-12)
    assert result.mean_ap == pytest.approx(mean_of([ap for ap in result.per_class if ap == ap]), nan_ok=True)


def mean_of(values):
    return sum(values) / len(values) if values else float("nan")


def oracle(found: list[Detections], truths: list[Truth], label: int, metric: str) -> float:
    """AP of a class, one detection and one box at a time, in fractions (the boxes are whole numbers)."""
    rows = [
        (-score, image, box)
        for image, one in enumerate(found)
        for box, score, of in zip(one.boxes.tolist(), one.scores.tolist(), one.labels.tolist(), strict=True)
        if of == label
    ]
    taken, hits, wrong, curve = set(), 0, 0, []
    positives = sum(is_to_be_found(t, row) for t in truths for row in range(len(t)) if t.labels[row] == label)
    for _, image, box in sorted(rows, key=lambda row: row[0]):
        gt, best, best_iou = truths[image], None, Fraction(0)
        for row in range(len(gt)):
            if gt.labels[row] == label and overlap(box, gt.boxes[row].tolist()) > best_iou:
                best, best_iou = row, overlap(box, gt.boxes[row].tolist())
        if best_iou > Fraction(1, 2):
            if not is_to_be_found(gt, best):
                continue
            if (image, best) not in taken:
                taken.add((image, best))
                hits += 1
                curve.append((Fraction(hits, positives), Fraction(hits, hits + wrong)))
                continue
        wrong += 1
        curve.append((Fraction(hits, positives) if positives else 0, Fraction(hits, hits + wrong)))
    return float(area_under(curve, metric)) if positives else float("nan")


def area_under(curve, metric):
    def best_at(recall):
        return max((p for r, p in curve if r >= recall), default=Fraction(0))

    if metric == "voc07":
        return sum(best_at(Fraction(t, 10)) for t in range(11)) / 11
    recalls = [Fraction(0), *sorted({r for r, _ in curve})]
    return sum((high - low) * best_at(high) for low, high in pairwise(recalls))


def is_to_be_found(gt: Truth, row: int) -> bool:
    return not gt.difficult[row] and not gt.crowd[row]


def overlap(a, b) -> Fraction:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return Fraction(int(width * height), int(union))
