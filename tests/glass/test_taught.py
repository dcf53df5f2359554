"""What the page is told of a picture's ground truth: the very numbers of the trace's training."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vedette
from glass.detectors import detector_of, every_detector, pictures
from papers import tiny
from vedette import Target
from vedette.glass.taught import MOST, taught
from vedette.glass.training import How, spread
from vedette.infer.detector import Detector

BOXES = torch.tensor([[10.0, 12.0, 50.0, 44.0], [56.0, 20.0, 84.0, 55.0], [1.0, 1.0, 5.0, 4.0]])
TARGET = Target(BOXES, torch.tensor([0, 2, 1]), torch.tensor([False, True, False]))


def numbers(column: dict[str, Any]) -> Any:
    kind = {"float32": "<f4", "int32": "<i4", "uint8": "u1"}[column["type"]]
    return np.frombuffer(base64.b64decode(column["data"]), kind).reshape(column["shape"])


@every_detector
def test_it_is_the_training_of_the_trace(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trace = vedette.explain(detector_of(name, monkeypatch, tmp_path), pictures()[0], TARGET)
    told = taught(trace)
    assert told is not None
    assert [one["ignored"] for one in told["objects"]] == [False, True, False]
    assert [one["box"] for one in told["objects"]] == BOXES.tolist()
    assert sum(term["loss"] for term in told["terms"]) == pytest.approx(sum(trace.training.losses.values()))
    assert sum(term["share"] for term in told["terms"]) == pytest.approx(1.0)
    assert {part["name"]: part["gradient"] for part in told["parts"]} == trace.training.gradients
    for head, own in zip(told["heads"], trace.training.heads, strict=True):
        learn = own.matched >= 0
        assert numbers(head["learn"]["objects"]).tolist() == own.matched[learn].tolist()
        assert numbers(head["learn"]["best"]).sum() == (own.how == How.AS_BEST).sum()
        assert np.array_equal(numbers(head["learn"]["boxes"]), own.boxes[learn].numpy())
        assert head["background"]["count"] == (own.counts & (own.matched == -1)).sum()
        assert head["ignored"]["count"] == (own.matched == -2).sum()
        assert len(numbers(head["ignored"]["boxes"])) == min(MOST, head["ignored"]["count"])
        losses = numbers(head["background"]["losses"])
        assert len(losses) == len(numbers(head["background"]["boxes"])) == min(MOST, head["background"]["count"])
        assert losses.tolist() == sorted(losses.tolist(), reverse=True)


def test_the_hardest_of_the_background_are_told() -> None:
    torch.manual_seed(0)
    trace = vedette.explain(Detector(tiny.ssd(), device="cpu"), pictures()[0], TARGET)
    (head,), (told,) = trace.training.heads, taught(trace)["heads"]  # type: ignore[index]
    mined = head.loss[head.counts & (head.matched == -1)]
    assert numbers(told["background"]["losses"])[0] == pytest.approx(float(mined.max()))
    assert float(mined.max()) > 0


def test_without_ground_truth_nothing_is_told() -> None:
    assert taught(vedette.explain(Detector(tiny.ssd(), device="cpu"), pictures()[0])) is None


def test_rows_are_spread_from_the_first_to_the_last() -> None:
    assert spread(torch.arange(3), 3).tolist() == [0, 1, 2]
    assert spread(torch.arange(10), 4).tolist() == [0, 3, 6, 9]
