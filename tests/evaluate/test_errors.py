"""Kinds of errors, what mending them is worth, and confusions: by hand, by hotcoco, slowly."""

import math

import numpy as np
import pytest
import torch

from vedette.evaluate.coco import _as_coco, _rows
from vedette.evaluate.errors import KINDS, classify, confuse, count_kinds, gains, missed_boxes
from vedette.evaluate.matching import FALSE_POSITIVE, HIT, judge
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import summarise
from vedette.structures import Detections

CAT, COW, DOG = range(3)
A, B = [0.0, 0.0, 10.0, 10.0], [40.0, 0.0, 50.0, 10.0]
BESIDE_A, BESIDE_B = [6.0, 0.0, 16.0, 10.0], [46.0, 0.0, 56.0, 10.0]  # IoU 0.25
FAR = [80.0, 80.0, 90.0, 90.0]


def truth(boxes, labels, difficult=None):
    mark = None if difficult is None else torch.tensor(difficult)
    return Truth.of(torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels, dtype=torch.int64), mark)


@pytest.fixture
def scene(make_detections):
    """A cat at A, a cow at B; one detection of each kind, best first."""
    rows = [
        (A, 0.9, CAT),  # hit
        (A, 0.8, CAT),  # duplicate
        (B, 0.7, DOG),  # classification
        (BESIDE_B, 0.6, COW),  # localisation
        (BESIDE_A, 0.5, DOG),  # both
        (FAR, 0.4, CAT),  # background
    ]
    return [make_detections(*map(list, zip(*rows, strict=True)))], [truth([A, B], [CAT, COW])]


def judged(scene, iou=0.5):
    outcomes = judge(*scene, iou)
    return outcomes, classify(outcomes, *scene, iou)


def names(errors):
    return [None if kind < 0 else KINDS[kind] for kind in errors.kind]


def test_each_kind(scene):
    _, errors = judged(scene)
    assert names(errors) == [None, "duplicate", "classification", "localisation", "both", "background"]
    assert errors.box.tolist() == [-1, -1, 1, 1, -1, -1]
    assert errors.other.tolist() == [-1, -1, 1, -1, -1, -1]


def test_a_box_that_is_nearly_found_is_not_missed(scene):
    outcomes, errors = judged(scene)
    assert missed_boxes(outcomes, errors).tolist() == [False, False]
    assert missed_boxes(outcomes, errors, 0.75).tolist() == [False, True]
    assert missed_boxes(outcomes, errors, 0.95).tolist() == [True, True]


def test_counts_are_those_from_a_score_on(scene):
    counts = count_kinds(*judged(scene), 0.65)
    assert counts == dict.fromkeys(KINDS, 0) | {"duplicate": 1, "classification": 1}
    assert count_kinds(*judged(scene), 0.0) == dict.fromkeys(KINDS, 1) | {"missed": 0}


def test_what_mending_is_worth(scene):
    """Cats have AP 1 and cows 0: a mended class or place makes the cow's 1; a suppressed one changes nothing."""
    worth = gains(*judged(scene), 3, 0.5, "voc12")
    assert worth == pytest.approx(dict.fromkeys(KINDS, 0.0) | {"classification": 0.5, "localisation": 0.5})


def test_missed_boxes_are_no_longer_to_be_found(make_detections):
    scene = [make_detections([A], [0.9], [CAT])], [truth([A, B], [CAT, CAT])]
    assert gains(*judged(scene), 1, 0.5, "voc12")["missed"] == pytest.approx(0.5)


def test_of_several_that_are_mended_the_best_counts_once(make_detections):
    """Two cats far off, then a cow called dog twice: the better of these becomes the hit, the other goes."""
    found = make_detections([FAR, B, B], [0.9, 0.8, 0.7], [COW, DOG, DOG])
    scene = [found], [truth([B], [COW])]
    assert gains(*judged(scene), 3, 0.5, "voc12")["classification"] == pytest.approx(0.5)


def test_several_badly_placed_ones_mend_one_box(make_detections):
    scene = [make_detections([BESIDE_B, BESIDE_B], [0.9, 0.8], [COW, COW])], [truth([B], [COW])]
    assert gains(*judged(scene), 3, 0.5, "voc12")["localisation"] == pytest.approx(1.0)


def test_a_box_is_taken_for_the_class_of_the_better_detection(make_detections):
    for order in ([DOG, CAT], [CAT, DOG]):
        outcomes, errors = judged(([make_detections([B, B], [0.9, 0.8], order)], [truth([B], [COW])]))
        matrix = confuse(outcomes, errors, 3, 0.5).matrix
        assert matrix[COW, order[0]] == matrix[3, order[1]] == 1
        assert matrix.sum() == 2


def test_difficult_boxes_are_no_objects_to_err_about(make_detections):
    scene = [make_detections([BESIDE_A, A], [0.9, 0.8], [CAT, DOG])], [truth([A], [CAT], [True])]
    assert names(judged(scene)[1]) == ["background", "background"]


def test_exactly_half_is_a_hit_where_it_is_asked_for(make_detections):
    found, boxes = [make_detections([[0.0, 0.0, 10.0, 5.0]], [0.9], [DOG])], [truth([A], [CAT])]
    for overlap, kind in (("above", "both"), ("from", "classification")):
        assert names(classify(judge(found, boxes, overlap=overlap), found, boxes, overlap=overlap)) == [kind]


@pytest.mark.parametrize("boxes", [[], [A]])
def test_nothing_found(make_detections, boxes):
    scene = [make_detections([], [], [])], [truth(boxes, [CAT] * len(boxes))]
    outcomes, errors = judged(scene)
    assert count_kinds(outcomes, errors, 0.5) == dict.fromkeys(KINDS, 0) | {"missed": len(boxes)}
    confusions = confuse(outcomes, errors, 2, 0.5)
    assert confusions.matrix.tolist() == [[0, 0, len(boxes)], [0, 0, 0], [0, 0, 0]]
    assert math.isnan(gains(outcomes, errors, 2, 0.5, "voc12")["classification"]) == (not boxes)


def test_nothing_to_find(make_detections):
    scene = [make_detections([A], [0.9], [COW])], [truth([], [])]
    outcomes, errors = judged(scene)
    assert names(errors) == ["background"]
    assert confuse(outcomes, errors, 2, 0.5).matrix.tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def plain_scene(seed, images=8):
    """No difficult box, no crowd, no equal scores, no box touches another, no IoU is a threshold: all rules agree."""
    generator = torch.Generator().manual_seed(seed)
    found, truths = [], []
    for _ in range(images):
        corners = torch.tensor([[100.0 * place, 0.0] for place in range(4)])
        boxes = torch.cat([corners, corners + 40], 1)
        labels = torch.randint(3, (4,), generator=generator)
        shifts = (50 * torch.rand(16, 4, generator=generator) - 25) * torch.tensor([1.0, 0, 1, 0])
        near = boxes.repeat(4, 1) + shifts
        near = near[(near[:, 2:] > near[:, :2]).all(1)]
        scores, order = torch.rand(len(near), generator=generator).sort(descending=True)
        guessed = torch.randint(3, (len(near),), generator=generator)
        found.append(Detections(near[order], scores, guessed, order))
        truths.append(truth(boxes.tolist(), labels.tolist()))
    return found, truths


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_hotcocos(seed):
    hotcoco = pytest.importorskip("hotcoco")
    scene = plain_scene(seed)
    gt = _as_coco(scene[1], 3)
    theirs = hotcoco.COCOeval(gt, gt.load_res(_rows(scene[0])), "bbox")
    theirs.evaluate()
    counts = theirs.tide_errors()["counts"]
    ours = count_kinds(*judged(scene), 0.0)
    assert list(ours.values()) == [counts[name] for name in ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")]


def iou_of(a, b):
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return wide * high / (sum(areas) - wide * high)


def slow_matrix(outcomes, found, truths, classes, score):
    """One box after the other, one detection after the other."""
    matrix = np.zeros((classes + 1, classes + 1), dtype=int)
    base, used = 0, set()
    all_boxes = [box for image in found for box in image.boxes.tolist()]
    shown = [d for d in range(len(outcomes.score)) if outcomes.score[d] >= score]
    best_other = {}
    for image, one in enumerate(truths):
        for d in shown:
            if outcomes.image[d] != image or outcomes.kind[d] != FALSE_POSITIVE:
                continue
            others = [
                (iou_of(all_boxes[d], box), -row)
                for row, box in enumerate(one.boxes.tolist())
                if outcomes.counts[base + row] and int(one.labels[row]) != outcomes.label[d]
            ]
            if others and max(others)[0] > 0.5:
                best_other[d] = base - max(others)[1]
        base += len(one)
    for row in range(base):
        if not outcomes.counts[row]:
            continue
        hits = [d for d in shown if outcomes.kind[d] == HIT and outcomes.truth[d] == row]
        wrong = sorted((d for d in shown if best_other.get(d) == row), key=lambda d: (-outcomes.score[d], d))
        by = (hits or wrong or [None])[0]
        used.add(by)
        matrix[outcomes.truth_label[row], classes if by is None else outcomes.label[by]] += 1
    for d in shown:
        if outcomes.kind[d] == FALSE_POSITIVE and d not in used:
            matrix[classes, outcomes.label[d]] += 1
    return matrix


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("score", [0.0, 0.5])
def test_confusions_are_what_a_slow_count_says(make_scene, seed, score):
    found, truths = make_scene(seed)
    outcomes, errors = judged((found, truths))
    confusions = confuse(outcomes, errors, 3, score)
    assert confusions.matrix.tolist() == slow_matrix(outcomes, found, truths, 3, score).tolist()
    shown = outcomes.score >= score
    assert confusions.matrix[:3].sum() == outcomes.counts.sum()  # each box once
    assert np.trace(confusions.matrix) == (shown & (outcomes.kind == HIT)).sum()
    assert confusions.matrix[:, :3].sum() == (shown & (outcomes.kind >= 0)).sum()  # and each judged detection


def test_suppressing_all_that_is_false_by_kinds_never_lowers_ap(make_scene):
    found, truths = make_scene(1)
    outcomes, errors = judged((found, truths))
    worth = gains(outcomes, errors, 3, 0.5, "voc12")
    assert min(worth.values()) >= 0
    assert summarise(outcomes, 3, 0.5, "voc12").mean_ap + max(worth.values()) <= 1 + 1e-9
