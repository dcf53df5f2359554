"""AP of chosen images, intervals and the paired test: by hand, by the metrics themselves, by simulation."""

import math

import numpy as np
import pytest
import torch

from vedette.evaluate.coco import coco_average_precision
from vedette.evaluate.compare import compare
from vedette.evaluate.resample import judge_images, pool
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import voc_average_precision

A, NOWHERE = [0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0]
METRICS = ("voc07", "voc12", "coco")


def cat(count=1):
    return Truth.of(torch.tensor([A] * count).reshape(-1, 4), torch.zeros(count, dtype=torch.int64))


def ap_of(found, truths, classes, metric, ids=None):
    if metric == "coco":
        return coco_average_precision(found, truths, classes, ids).per_class
    return voc_average_precision(found, truths, classes, metric=metric).per_class


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_all_images_once_is_the_metric_itself(make_scene, metric, seed):
    scene = make_scene(seed, images=7)
    judged = judge_images(*scene, 4, metric)
    wanted = ap_of(*scene, 4, metric)
    assert judged.average_precision(np.ones((1, 7), np.int32))[0] == pytest.approx(wanted, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_a_choice_of_images_is_the_metric_on_these(make_scene, metric, seed):
    """Images left out, once and several times, as if they were a data set of their own."""
    found, truths = make_scene(seed, images=8)
    for number, image in enumerate(found):  # no equal scores: their order would differ
        image.scores.add_(torch.rand(len(image.scores), generator=torch.Generator().manual_seed(number)) / 100)
    judged = judge_images(found, truths, 4, metric)
    weights = np.random.default_rng(seed).multinomial(8, [1 / 8] * 8, 5).astype(np.int32)
    for row, own in zip(judged.average_precision(weights), weights, strict=True):
        chosen = np.repeat(np.arange(8), own)
        wanted = ap_of([found[i] for i in chosen], [truths[i] for i in chosen], 4, metric)
        assert row == pytest.approx(wanted, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_images_left_out_are_not_there(make_scene, metric):
    found, truths = make_scene(3, images=8)
    judged = judge_images(found, truths, 3, metric)
    for kept in ([0, 1, 2, 5], [7], [4, 6]):
        weights = np.isin(np.arange(8), kept)[None].astype(np.int32)
        wanted = ap_of([found[i] for i in kept], [truths[i] for i in kept], 3, metric)
        assert judged.average_precision(weights)[0] == pytest.approx(wanted, nan_ok=True, abs=1e-12)


def test_an_image_drawn_twice_by_hand(make_detections):
    """A false one at 0.9 in the first image, a hit at 0.8 in the second, one box each.

    As they are: precision 1/2 at recall 1/2. The second twice: 2/3 at recall 2/3. The first twice: 1/3 at 1/3."""
    found = [make_detections([NOWHERE], [0.9], [0]), make_detections([A], [0.8], [0])]
    judged = judge_images(found, [cat(), cat()], 1, "voc12")
    weights = np.array([[1, 1], [1, 2], [2, 1], [0, 2], [2, 0]], np.int32)
    assert judged.average_precision(weights)[:, 0].tolist() == pytest.approx([1 / 4, 4 / 9, 1 / 9, 1, 0])


@pytest.mark.parametrize("metric", METRICS)
def test_models_pooled_and_taken_apart_again(make_scene, metric):
    """Swapping nothing is the one model, swapping all the other."""
    found, truths = make_scene(0)
    other = make_scene(1)[0]
    both = pool(judge_images(found, truths, 3, metric), judge_images(other, truths, 3, metric))
    one = np.repeat([1, 0], 6)[None].astype(np.int32)
    for weights, own in ((one, found), (1 - one, other)):
        wanted = ap_of(own, truths, 3, metric)
        assert both.average_precision(weights)[0] == pytest.approx(wanted, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize("kept", [range(6), [0, 1, 4], [2, 5]])
def test_cocos_ids_order_equal_scores(make_scene, kept):
    found, truths = make_scene(2)
    ids = [6, 5, "b", 1, "a", 2]
    judged = judge_images(found, truths, 3, "coco", image_ids=ids)
    part = ([of[row] for row in kept] for of in (found, truths))
    wanted = ap_of(*part, 3, "coco", [ids[row] for row in kept])
    weights = np.isin(np.arange(6), kept)[None].astype(np.int32)
    assert judged.average_precision(weights)[0] == pytest.approx(wanted, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_model_and_itself(make_scene, metric):
    judged = judge_images(*make_scene(0), 4, metric)
    found = compare(judged, judged, 60)
    for one in (found.mean, *found.per_class[:3]):
        assert (one.value, one.low, one.high, one.p) == (0, 0, 0, 1)
    assert all(math.isnan(value) for value in vars(found.per_class[3]).values())


def many(make_detections, chance, seed, images=40):
    """One cat an image, found with that chance, else a false one."""
    generator = np.random.default_rng(seed)
    rows = zip(generator.random(images) < chance, generator.random(images).tolist(), strict=True)
    return [make_detections([A if hit else NOWHERE], [score], [0]) for hit, score in rows]


def test_a_plainly_better_model(make_detections):
    truths = [cat() for _ in range(40)]
    weak, good = (judge_images(many(make_detections, chance, 0), truths, 1, "voc12") for chance in (0.2, 0.9))
    found = compare(weak, good, 200)
    assert found.mean.low > 0.3
    assert found.mean.p == pytest.approx(1 / 201)
    back = compare(good, weak, 200)
    assert back.mean.value == -found.mean.value
    assert back.mean.high < -0.3


def test_the_smallest_test_by_hand(make_detections):
    """One image, found by the second alone: swapped or not they differ by 1, so p is 1; the interval is a point."""
    first, second = ([make_detections([box], [0.9], [0])] for box in (NOWHERE, A))
    found = compare(*(judge_images(one, [cat()], 1, "voc12") for one in (first, second)), 50)
    assert vars(found.mean) == {"value": 1, "low": 1, "high": 1, "p": 1}


def test_a_seed_repeats_and_another_does_not(make_scene):
    truths = make_scene(0)[1]
    one, two = (judge_images(make_scene(seed)[0], truths, 3, "voc12") for seed in (0, 1))
    assert compare(one, two, 70, seed=1) == compare(one, two, 70, seed=1)
    assert compare(one, two, 70, seed=1) != compare(one, two, 70, seed=2)


def test_says_how_far_it_is(make_scene):
    judged, heard = judge_images(*make_scene(0), 3, "voc12"), []
    compare(judged, judged, 120, progress=lambda done, of: heard.append((done, of)))
    assert heard == [(50, 120), (100, 120), (120, 120)]


def test_intervals_hold_the_truth_about_as_often_as_they_say(make_detections):
    """Scores are alike, so AP is about the square of the chance: models of 0.5 and 0.8 on samples of 60 images."""
    truths = [cat() for _ in range(4000)]
    models = [judge_images(many(make_detections, chance, 9, 4000), truths, 1, "voc12") for chance in (0.5, 0.8)]
    whole = np.ones((1, 4000), np.int32)
    truly = float(models[1].average_precision(whole)[0, 0] - models[0].average_precision(whole)[0, 0])
    held = alike = 0
    for trial in range(60):
        own = [judge_images(many(make_detections, c, 100 + trial, 60), truths[:60], 1, "voc12") for c in (0.5, 0.8)]
        found = compare(*own, 100, seed=trial).mean
        held += found.low <= truly <= found.high
        same = [judge_images(many(make_detections, 0.5, 7 * trial + s, 60), truths[:60], 1, "voc12") for s in (1, 2)]
        alike += compare(*same, 100, seed=trial).mean.p <= 0.1
    assert held >= 51  # 57 of 60 are expected
    assert alike <= 12  # of 6 expected
