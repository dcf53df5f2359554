"""What a picture teaches: the papers' own matches and losses, who counts, and what is moved."""

from pathlib import Path
from typing import Any

import pytest
import torch

import vedette
from glass.detectors import detector_of, every_detector, pictures
from papers import tiny
from vedette import Target
from vedette.errors import InputError
from vedette.glass.training import How
from vedette.infer.detector import Detector
from vedette.ops.boxes import iou

BOXES = torch.tensor([[10.0, 12.0, 50.0, 44.0], [56.0, 20.0, 84.0, 55.0], [1.0, 1.0, 5.0, 4.0]])


def target() -> Target:
    return Target(BOXES, torch.tensor([0, 2, 1]))


@every_detector
def test_terms_and_gradients_are_those_of_the_loss(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector = detector_of(name, monkeypatch, tmp_path)
    training = vedette.explain(detector, pictures()[0], target()).training
    model: Any = detector.model
    assert all(parameter.grad is None for parameter in model.parameters())
    total = sum(training.losses.values())
    assert total > 0
    assert sum(training.shares.values()) == pytest.approx(1.0)
    learning = {part.split(".")[0] for part, p in model.named_parameters() if p.requires_grad}
    assert training.gradients.keys() == learning
    assert max(training.gradients.values()) > 0
    for head in training.heads:
        assert head.boxes.shape == (len(head.matched), 4)
        assert len(head.how) == len(head.counts) == len(head.loss) == len(head.matched)
        assert not (head.counts & (head.matched == -2)).any()
        assert torch.equal(head.matched >= 0, head.how != How.NONE)
        assert head.counts.any()


@pytest.mark.parametrize("name", ["SSD", "M2Det", "RefineDet"])
def test_the_mined_negatives_and_the_matches_sum_to_the_loss(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    detector = detector_of(name, monkeypatch, tmp_path)
    training = vedette.explain(detector, pictures()[0], target()).training
    for head in training.heads:
        positives = int((head.matched >= 0).sum())
        term = {"arm": "arm_class", "odm": "odm_class"}.get(head.name, "class")
        assert float(head.loss[head.counts].sum()) / positives == pytest.approx(training.losses[term], rel=1e-4)
        assert int((head.counts & (head.matched == -1)).sum()) <= 3 * positives
        assert head.counts[head.matched >= 0].all()


def test_each_object_of_ssd_takes_an_anchor_however_small_it_is() -> None:
    torch.manual_seed(0)
    detector = Detector(tiny.ssd(), device="cpu")
    (head,) = vedette.explain(detector, pictures()[0], target()).training.heads
    assert set(head.matched.tolist()) >= {0, 1, 2}
    overlap = iou(head.boxes, BOXES)
    small = (head.matched == 2).nonzero().flatten()
    assert len(small) == 1  # no anchor overlaps it by half: the bipartite step gave it one
    assert head.how[small].tolist() == [How.AS_BEST]
    by_threshold = head.how == How.BY_THRESHOLD
    assert bool((overlap[by_threshold].gather(1, head.matched[by_threshold, None]) >= 0.5).all())


def test_ignored_objects_take_nothing() -> None:
    torch.manual_seed(0)
    ignored = Target(BOXES[:1], torch.tensor([0]), torch.tensor([True]))
    (head,) = vedette.explain(Detector(tiny.ssd(), device="cpu"), pictures()[0], ignored).training.heads
    assert (head.matched < 0).all()
    assert (head.matched == -2).any()


def test_without_ground_truth_nothing_is_learned() -> None:
    trace = vedette.explain(Detector(tiny.ssd(), device="cpu"), pictures()[0])
    with pytest.raises(InputError, match="without ground truth there is nothing to learn"):
        _ = trace.training
