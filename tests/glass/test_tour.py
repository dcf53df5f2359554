"""The tour: its numbers are the trace's, its sentences read well for none, one and many."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import vedette
from glass.detectors import detector_of, every_detector, pictures
from papers import tiny
from vedette.glass.guide import Guide
from vedette.glass.life import Life
from vedette.glass.phrases import apart, many
from vedette.glass.record import Reason
from vedette.glass.tour import tour
from vedette.glass.trace import Trace
from vedette.infer.detector import Detector
from vedette.ops.boxes import iou


def traced(score: float = 0.3, model: Any = None, picture: Image.Image | None = None, **how: Any) -> Trace:
    torch.manual_seed(3)
    detector = Detector(model or tiny.refinedet(), classes=("ant", "bee", "cat"), device="cpu")
    return vedette.explain(detector, picture or pictures()[0], score=score, **how)


def stop(trace: Trace, title: str) -> dict[str, Any]:
    (found,) = [one for one in tour(trace) if one["title"] == title]
    return found


@every_detector
def test_every_stop_opens_a_step_and_shows_what_there_is(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    detector = detector_of(name, monkeypatch, tmp_path)
    for picture, score in zip(pictures(), (0.0, 0.3, 1.0), strict=True):
        trace = vedette.explain(detector, picture, score=score)
        stops = tour(trace)
        assert 5 <= len(stops) <= 14
        names = {step.name for step in trace.steps}
        for one in stops:
            assert set(one) == {"title", "text", "step", "selection"}
            assert one["step"] in names
            assert one["text"].endswith(".")
            assert not re.search(r"  |\bno boxes say|nan|\bone (boxes|anchors|pairs)\b", one["text"])
            if one["selection"] and "detection" in one["selection"]:
                assert one["selection"]["detection"] < len(trace.detections)
            elif one["selection"]:
                assert len(one["selection"]["box"]) == 4
                assert 0 <= one["selection"]["label"] < 3
                look = trace.passes[one["selection"]["look"]]
                end = Life(look, one["selection"]["row"], one["selection"]["label"]).end
                assert one["selection"]["box"] == [round(side, 1) for side in end.tolist()]


def test_the_strongest_detection_is_followed() -> None:
    trace = traced()
    found, step = trace.detections, trace.step("anchors")
    source = int(found.source[0])
    text = stop(trace, "One of them")["text"]
    assert f"anchor {source:,}:" in text
    overlap = float(iou(step.boxes[source][None], found.boxes[:1]))
    assert text.endswith(f"is {overlap:.2f}.")
    place = trace.where(torch.tensor(source))
    assert f"row {int(place.row) + 1} of" in text
    assert f"column {int(place.column) + 1} of" in text
    assert f"it says {float(step.scores[source]):.2f}" in stop(trace, "Is there anything at all?")["text"]


def test_moves_are_those_of_the_boxes() -> None:
    trace = traced()
    source = int(trace.detections.source[0])
    (before, after) = (trace.step(name).boxes[source] for name in ("anchors", "refine"))
    across = float((after[0] + after[2] - before[0] - before[2]) / 2)
    wide = float((after[2] - after[0]) / (before[2] - before[0]))
    text = stop(trace, "The first move")["text"]
    assert f"by {abs(across):.0f} to the {'right' if across >= 0 else 'left'}" in text
    assert f"{wide:.2f} times its width" in text


def test_the_crowd_is_counted() -> None:
    trace = traced(0.2)
    step = trace.step("suppress")
    own = int(((step.source == trace.detections.source[0]) & (step.labels == trace.detections.labels[0])).nonzero()[0])
    victims = (step.by == own).nonzero().flatten()
    best = victims[step.scores[victims].argmax()]
    assert len(victims) > 1
    text = stop(trace, "One object, one box")["text"]
    assert text.startswith(f"{['No', 'One', 'Two', 'Three', 'Four', 'Five', 'Six'][len(victims)]} other boxes say")
    assert f"(IoU) of {float(step.overlap[best]):.2f} with ours" in text


def test_the_second_best_is_told_who_suppressed_it() -> None:
    trace = traced(0.2)
    life = Guide(trace).runner_up
    assert life is not None
    assert life.fate == Reason.SUPPRESSED
    step = trace.step("suppress")
    lost = (~step.kept).nonzero().flatten()
    best = int(lost[step.scores[lost].argmax()])
    assert (int(step.rows[best]), int(step.labels[best])) == (life.row, life.label)
    assert f"IoU of {float(step.overlap[best]):.2f}." in stop(trace, "Why not the second?")["text"]


def test_easy_anchors_are_counted() -> None:
    trace = traced(0.2, tiny.refinedet(theta=0.6))
    easy = trace.step("refine").counts()[Reason.EASY]
    assert 10 < easy < 255
    assert stop(trace, "What is surely nothing")["text"].startswith(f"Of {easy} anchors among 255 the ARM")
    assert "Of no anchor" in stop(traced(), "What is surely nothing")["text"]


def test_a_picture_where_nothing_is_found() -> None:
    trace = traced(1.0)
    assert len(trace.detections) == 0
    first, *_, last = tour(trace)
    scores = trace.passes[0].stages[-1].scores
    assert "nothing was found" in first["text"]
    assert f"with {float(scores.max()):.2f}." in first["text"]
    assert "is under the floor" in stop(trace, "Where it ended")["text"]
    assert last["text"].startswith("That is the whole way, from anchors to what was found: 255 → 765 → 0.")


@pytest.mark.parametrize(
    ("keep", "says"), [(1, "one object here: a"), (3, "three objects here: a"), (9, "and four more")]
)
def test_one_and_many_objects(keep: int, says: str) -> None:
    trace = traced(0.0, tiny.refinedet(keep=keep))
    first = tour(trace)[0]["text"]
    assert says in first
    assert ("We shall follow it" in first) == (keep == 1)
    assert "an ant" not in first or "a ant" not in first


def test_just_missed_is_the_highest_under_the_floor() -> None:
    trace = traced(0.3)
    scores = trace.passes[0].stages[-1].scores
    assert (
        f"the highest score is {apart(float(scores[scores < 0.3].max()), 0.3)}, of"
        in stop(trace, "Just missed")["text"]
    )


@pytest.mark.parametrize("vote", [False, True])
def test_several_looks(vote: bool) -> None:
    trace = traced(0.25, scales=(64, 128), flip=True, vote=vote)
    step = trace.step("merge suppress")
    text = stop(trace, "Several looks")["text"]
    assert f"looks found {len(step):,} boxes together" in text
    assert trace.merge is not None
    row = trace.merge.row_of(0)
    look = int(trace.merge.looks[row])
    assert f"Ours is of look {look + 1} ({trace.passes[look]})" in text
    gone = many(int((step.by == row).sum()), "box", "boxes")
    assert f", and {gone} of all looks gave way to it." in text
    assert ("in the mean" in text) == trace.vote
    assert len(trace.detections) > 0
    assert tour(trace)[2]["selection"] == {"detection": 0}
    hero = Guide(trace).hero
    assert hero is not None
    if not vote:
        torch.testing.assert_close(hero.end, trace.detections.boxes[0], atol=0.01, rtol=0)
