from pathlib import Path

import pytest
import torch

import vedette
from glass.detectors import detector_of, every_detector, pictures
from papers import tiny
from vedette.glass.life import life_of, overlap, shift, strongest
from vedette.glass.record import Reason
from vedette.infer.detector import Detector


@every_detector
def test_a_detection_ends_where_it_is_found(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector = detector_of(name, monkeypatch, tmp_path, nms="hard")
    trace = vedette.explain(detector, pictures()[0], score=0.2)
    for number in range(min(len(trace.detections), 20)):
        life = life_of(trace, number)
        torch.testing.assert_close(life.end, trace.detections.boxes[number], atol=1e-3, rtol=0)
        assert life.score == pytest.approx(float(trace.detections.scores[number]))
        assert (life.anchor, life.label) == (int(trace.detections.source[number]), int(trace.detections.labels[number]))
        assert life.fate == Reason.KEPT
        assert trace.step(life.first.enter).boxes[life.start].tolist() == life.boxes[life.first.enter].tolist()


def test_the_strongest_may_be_lost() -> None:
    torch.manual_seed(3)
    detector = Detector(tiny.refinedet(), classes=tuple("abc"), device="cpu")
    life = strongest(vedette.explain(detector, pictures()[0], score=1.0))
    assert life is not None
    assert life.fate == Reason.UNDER_FLOOR
    assert life.rival == -1
    assert len(life.victims) == 0
    assert life.others[0][1] <= life.score
    assert len(life.others) == 2


def test_shifts_and_overlaps_by_hand() -> None:
    before, after = torch.tensor([0.0, 0.0, 10.0, 20.0]), torch.tensor([5.0, 0.0, 25.0, 10.0])
    assert shift(before, after) == (10.0, -5.0, 2.0, 0.5)
    assert overlap(before, after) == pytest.approx(50 / 350)
