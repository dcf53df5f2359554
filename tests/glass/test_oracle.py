"""What mending a step is worth, by hand: precision over recall with and without the objects that it lost."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vedette.evaluate.truth import Truth
from vedette.glass.lost import Lost
from vedette.glass.lost_objects import LostObject, Survey
from vedette.glass.oracle import ask, mended, usual_scores
from vedette.glass.record import Reason
from vedette.structures import Detections

A, B, C, NOWHERE = [0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 30.0, 30.0], [40.0, 40.0, 50.0, 50.0], [60.0, 0.0, 70.0, 10.0]


def lost_object(row: int, label: int, kind: tuple[str, Reason] = ("floor", Reason.UNDER_FLOOR)) -> LostObject:
    nothing: dict[str, Any] = {"iou": 0.0, "score": 0.0, "source": 0, "won": -1, "won_score": 0.0}
    own = Lost(kind[1], kind[0], torch.zeros(4), by=None, overlap=0.0, above="", **nothing)
    return LostObject(0, row, label, (0.0, 0.0, 1.0, 1.0), own, False)


def survey(
    found: Sequence[tuple[list[float], float, int]],
    objects: Sequence[tuple[list[float], int]],
    lost: Sequence[LostObject],
) -> Survey:
    """One picture; steps: anchors, floor."""
    boxes, scores, labels = zip(*found, strict=True) if found else ((), (), ())
    own = Detections(
        torch.tensor(boxes).reshape(-1, 4),
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(labels, dtype=torch.int64),
        torch.zeros(len(scores), dtype=torch.int64),
    )
    truth = Truth.of(torch.tensor([box for box, _ in objects]), torch.tensor([label for _, label in objects]))
    steps, nothing = ("anchors", "floor"), torch.zeros(0, 2)
    return Survey(("a", "b"), 0.5, [truth], [own], tuple(lost), steps, nothing, nothing, SimpleNamespace(), 64)


def test_a_lost_object_is_found_as_surely_as_the_others() -> None:
    """Before: false, hit: precision 1/2 at recall 1/2, nothing beyond. After: false, hit, hit: 2/3 at both."""
    one = survey([(NOWHERE, 0.95, 0), (A, 0.9, 0)], [(A, 0), (B, 0)], [lost_object(1, 0)])
    oracle = ask(one)
    assert oracle.before.mean_ap == pytest.approx(0.25)
    assert oracle.every.mean_ap == pytest.approx(2 / 3)
    assert oracle.gain(("floor", Reason.UNDER_FLOOR)) == pytest.approx(2 / 3 - 1 / 4)


def test_a_weaker_detection_of_it_gives_its_place() -> None:
    """Hit 0.9, false 0.6, weak hit 0.2: precisions 1 and 2/3. After: two hits before the false one, and no second."""
    one = survey([(A, 0.9, 0), (NOWHERE, 0.6, 0), (B, 0.2, 0)], [(A, 0), (B, 0)], [lost_object(1, 0)])
    oracle = ask(one)
    assert oracle.before.mean_ap == pytest.approx((1 + 2 / 3) / 2)
    assert oracle.every.mean_ap == 1.0
    outcomes = mended(one, list(one.lost))
    assert outcomes.kind.tolist() == [1, 0, -1, 1]
    assert outcomes.score.tolist() == pytest.approx([0.9, 0.6, 0.2, 0.9])


def test_each_step_gives_back_its_own() -> None:
    """Of class a one of three is found, of class b none of one."""
    anchors, floor = ("anchors", Reason.NO_ANCHOR), ("floor", Reason.UNDER_FLOOR)
    lost = [lost_object(1, 0, floor), lost_object(2, 0, anchors), lost_object(3, 1, anchors)]
    one = survey([(A, 0.9, 0)], [(A, 0), (B, 0), (C, 0), (C, 1)], lost)
    oracle = ask(one)
    assert one.kinds == [anchors, floor]
    assert oracle.before.mean_ap == pytest.approx(1 / 6)
    assert oracle.gain(floor) == pytest.approx(1 / 6)
    assert oracle.gain(anchors) == pytest.approx(1 / 6 + 1 / 2)
    assert oracle.every.mean_ap == 1.0


def test_the_usual_score_is_the_median_of_what_is_found() -> None:
    """Of class a 0.9, 0.8 and 0.6 hit, 0.95 does not, 0.4 is too weak; of class b nothing."""
    found = [(NOWHERE, 0.95, 0), (A, 0.9, 0), (B, 0.8, 0), (C, 0.6, 0), ([80.0, 0.0, 90.0, 9.0], 0.4, 0)]
    objects = [(A, 0), (B, 0), (C, 0), ([80.0, 0.0, 90.0, 9.0], 0)]
    assert usual_scores(survey(found, objects, [])).tolist() == pytest.approx([0.8, 0.5])
