"""Objects lost by a hand-made network whose reason is known: a case for each reason."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

import vedette
from glass.detectors import noise
from glass.planted import OBJECT, PICTURE, SURE, UNSURE, anchor, crowd, refinedet, two_stage
from papers import tiny
from vedette.errors import InputError
from vedette.glass.lost import Lost
from vedette.glass.record import Reason
from vedette.infer import detector as infer_detector
from vedette.infer.detector import Detector
from vedette.ops.boxes import iou
from vedette.structures import HeadOutput


def lost(say: Callable[[HeadOutput, HeadOutput], None], box: Any = OBJECT, label: int = 0, **config: Any) -> Lost:
    return vedette.explain(refinedet(say, **config), PICTURE, score=0.5).lost(box, label)


def score_of(logit: float) -> float:
    """Against a background of 10 and two other classes at 0."""
    own, rest = torch.tensor(logit).exp(), torch.tensor(10.0).exp() + 2
    return float(own / (own + rest))


def test_found() -> None:
    def say(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1] = SURE

    found = lost(say)
    assert (found.reason, found.step, found.iou) == (Reason.KEPT, "frame", 1.0)
    assert found.box.tolist() == list(OBJECT)
    assert found.score == pytest.approx(score_of(SURE))
    assert found.source == anchor(4, 4)


def test_no_anchor_reaches_it() -> None:
    one = lost(lambda arm, odm: None, (30.0, 30.0, 36.0, 35.0))
    assert (one.reason, one.step) == (Reason.NO_ANCHOR, "anchors")
    assert one.iou == pytest.approx(6 * 5 / 32**2, abs=0.01)


def test_filtered_by_the_arm() -> None:
    def say(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1] = SURE
        arm.logits[..., 0] = 6.0  # 0.9975, above θ
        arm.logits[0, anchor(4, 4), 0] = 5.0  # the least sure of them, 0.9933

    one = lost(say)
    assert (one.reason, one.step, one.source) == (Reason.EASY, "refine", anchor(4, 4))
    assert one.score == pytest.approx(1 - 0.993307, abs=1e-5)
    assert lost(say, theta=0.995).reason == Reason.KEPT


def test_under_the_floor_since_another_class_won() -> None:
    def say(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1], odm.logits[0, anchor(4, 4), 3] = 10.0, SURE

    one = lost(say)
    assert (one.reason, one.step) == (Reason.UNDER_FLOOR, "floor")
    assert (one.won, one.source) == (2, anchor(4, 4))
    assert one.won_score > 0.99
    assert one.score < 0.01


def test_beyond_the_best() -> None:
    def say(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1], odm.logits[0, anchor(0, 0), 2] = UNSURE, SURE

    one = lost(say, candidates=1)
    assert (one.reason, one.step, one.iou) == (Reason.BEYOND_COUNT, "pick", 1.0)
    assert lost(say, candidates=2).reason == Reason.KEPT


def test_beyond_what_is_kept() -> None:
    def say(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1], odm.logits[0, anchor(0, 0), 2] = UNSURE, SURE

    one = lost(say, keep=1)
    assert (one.reason, one.step) == (Reason.BEYOND_KEEP, "keep")


def test_suppressed_by_a_neighbour() -> None:
    one = lost(crowd)
    assert (one.reason, one.step, one.source) == (Reason.SUPPRESSED, "suppress", anchor(4, 5))
    assert one.by is not None
    assert one.by.tolist() == [36, 20, 68, 52]
    assert one.overlap == pytest.approx(0.6)
    assert one.iou == pytest.approx(0.6)
    assert lost(crowd, nms_iou=0.61).reason == Reason.KEPT


def test_weakened_by_a_neighbour() -> None:
    one = lost(crowd, nms="linear")
    assert (one.reason, one.step) == (Reason.WEAKENED, "suppress")
    assert one.by is not None
    assert one.by.tolist() == [36, 20, 68, 52]
    detector = refinedet(crowd, nms="linear")
    step = vedette.explain(detector, PICTURE, score=0.2).step("suppress")
    weakened = int((step.source == anchor(4, 5)).nonzero()[0])
    assert step.scores[weakened] == pytest.approx(score_of(UNSURE))
    assert step.after[weakened] == pytest.approx(0.4 * score_of(UNSURE))
    assert step.kept[weakened]


def test_badly_placed_by_the_second_move() -> None:
    def say(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1] = SURE
        odm.deltas[0, anchor(4, 4), 0] = 24 / 32 / 0.1  # 24 pixels to the right

    one = lost(say)
    assert (one.reason, one.step, one.above) == (Reason.MISPLACED, "decode", "refine")
    assert one.iou == pytest.approx(8 / 44)  # cut at the picture: [44, 20, 64, 52]
    assert one.box.tolist() == [44, 20, 76, 52]


def test_badly_placed_by_the_first_move() -> None:
    def say(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 4), 1] = SURE
        arm.deltas[0, anchor(4, 4), 0] = 24 / 32 / 0.1

    assert lost(say).above == "anchors"


def test_what_cannot_be_an_object_is_refused() -> None:
    trace = vedette.explain(refinedet(crowd), PICTURE)
    with pytest.raises(InputError, match=r"box is \[5.0, 5.0, 5.0, 9.0\]: give x1, y1, x2, y2 in pixels"):
        trace.lost((5, 5, 5, 9), 0)
    with pytest.raises(InputError, match="label is 3: this detector has 0 to 2"):
        trace.lost(OBJECT, 3)


def test_not_proposed_and_proposed() -> None:
    box = (24.0, 8.0, 56.0, 40.0)
    one = vedette.explain(two_stage(1), PICTURE, score=0.99).lost(box, 1)
    assert (one.reason, one.step) == (Reason.NOT_PROPOSED, "rpn keep")
    assert one.iou == pytest.approx(1.0)
    assert one.score == pytest.approx(1 / (1 + 2.718281828**-5))
    other = vedette.explain(two_stage(2), PICTURE, score=0.99).lost(box, 1)
    assert (other.reason, other.step) == (Reason.UNDER_FLOOR, "floor")
    assert other.source == (1 * 4 + 2) * 6 + 3
    picked = vedette.explain(two_stage(50, before_nms=(50, 1)), PICTURE, score=0.99).lost(box, 1)
    assert (picked.reason, picked.step) == (Reason.NOT_PROPOSED, "rpn pick")
    small = vedette.explain(two_stage(50, least_side=40.0), PICTURE, score=0.99).lost(box, 1)
    assert (small.reason, small.step) == (Reason.NOT_PROPOSED, "rpn refine")


def test_no_region_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        infer_detector, "cached_proposals", lambda *_: torch.tensor([[0.0, 0, 30, 30], [30, 30, 62, 62]])
    )
    trace = vedette.explain(Detector(tiny.fast_rcnn(), device="cpu"), PICTURE, score=0.99)
    one = trace.lost((40.0, 2.0, 60.0, 20.0), 0)
    assert (one.reason, one.step) == (Reason.NO_ANCHOR, "regions")
    assert trace.lost((30.0, 30.0, 62.0, 62.0), 0).reason == Reason.UNDER_FLOOR
    monkeypatch.setattr(infer_detector, "cached_proposals", lambda *_: torch.zeros(0, 4))
    nothing = vedette.explain(Detector(tiny.fast_rcnn(), device="cpu"), PICTURE).lost(OBJECT, 0)
    assert (nothing.reason, nothing.source) == (Reason.NO_ANCHOR, -1)


def test_lost_among_several_looks() -> None:
    """Mirrored, the picture is said to hold the same: so each look finds another object, and one is one too many."""

    def say(arm: HeadOutput, odm: HeadOutput) -> None:
        odm.logits[0, anchor(4, 2), 1] = SURE

    detector = refinedet(say)
    trace = vedette.explain(detector, PICTURE, flip=True)
    left, right = (4.0, 20.0, 36.0, 52.0), (28.0, 20.0, 60.0, 52.0)
    assert len(trace.detections) == 2
    assert trace.lost(left, 0).reason == trace.lost(right, 0).reason == Reason.KEPT
    model: Any = detector.model
    model.config = replace(model.config, keep=1)
    one = vedette.explain(detector, PICTURE, flip=True)
    reasons = {one.lost(box, 0).reason for box in (left, right)}
    assert reasons == {Reason.KEPT, Reason.BEYOND_KEEP}


def test_objects_that_are_found_are_told_so_and_others_not() -> None:
    """On random networks: KEPT exactly where a detection of the class reaches the object."""
    torch.manual_seed(1)
    for make in (tiny.ssd, tiny.refinedet, tiny.retinanet, tiny.faster_rcnn):
        detector = Detector(make(), device="cpu")
        for score in (0.01, 0.3):
            trace = vedette.explain(detector, noise(64, 64), score=score)
            corners = torch.rand(30, 2) * 40
            boxes = torch.cat([corners, corners + 5 + torch.rand(30, 2) * 30], 1)
            for number, box in enumerate(boxes):
                label = number % 3
                own = trace.detections.boxes[trace.detections.labels == label]
                found = bool((iou(own, box[None]) >= 0.5).any())
                assert (trace.lost(box, label).reason == Reason.KEPT) == found
