"""The trace of every detector: its detections are those of `detect`, and every candidate is lost once or kept."""

from pathlib import Path
from typing import Any

import pytest
import torch

import vedette
from glass.detectors import DETECTORS, detector_of, pictures
from vedette.glass.record import Reason
from vedette.glass.stage import Stage
from vedette.ops.boxes import iou
from vedette.structures import Detections

every_detector = pytest.mark.parametrize("name", DETECTORS)


def assert_equal(one: Detections, other: Detections) -> None:
    for column in ("boxes", "scores", "labels", "source"):
        assert torch.equal(getattr(one, column), getattr(other, column)), column
    assert one.names == other.names


def assert_accounted(stage: Stage) -> None:
    """Step by step: what comes in is what went on before, and all are lost in the end, or kept."""
    alive = torch.ones_like(stage.scores, dtype=torch.bool)
    fates = torch.full_like(alive, Reason.KEPT.code, dtype=torch.uint8)
    for step in stage.steps():
        seen = torch.zeros_like(alive, dtype=torch.int64)
        pairs: Any = (step.rows,) if (step.labels < 0).all() else (step.rows, step.labels)
        seen.index_put_(pairs, torch.tensor(1), accumulate=True)
        assert torch.equal(seen, alive.long())  # each once
        gone = tuple(index[~step.kept] for index in pairs)
        assert torch.equal(step.kept, step.reasons == Reason.KEPT.code)
        alive[gone] = False
        fates[gone] = step.reasons[~step.kept] if len(pairs) == 2 else step.reasons[~step.kept, None]
    assert torch.equal(alive, fates == Reason.KEPT.code)
    assert torch.equal(fates, stage.fates)


def assert_explained(stage: Stage) -> None:
    """Who was suppressed was so by a better one of its class that stayed, with the IoU that is told."""
    rule = stage.search
    (step,) = (step for step in stage.steps() if step.name.endswith("suppress"))
    acted = step.by >= 0
    assert bool(acted[step.reasons == Reason.SUPPRESSED.code].all())
    assert bool(acted[step.reasons == Reason.WEAKENED.code].all())
    other = step.by[acted]
    assert torch.equal(step.labels[acted], step.labels[other])
    boxes = step.boxes.double()
    overlap = iou(boxes[acted][:, None], boxes[other][:, None])[:, 0, 0]
    torch.testing.assert_close(overlap.float(), step.overlap[acted], atol=1e-4, rtol=0)
    if rule.method == "hard":
        assert bool(step.kept[other].all())
        assert bool((step.scores[acted] <= step.scores[other]).all())
        assert bool((step.overlap[acted] > rule.iou - 1e-6).all())
    else:
        assert bool((step.after[acted] < step.scores[acted]).all())
        assert bool((step.after[acted] <= step.after[other]).all())
    if rule.method == "hard":
        assert torch.equal(step.scores, step.after)


@every_detector
@pytest.mark.parametrize("method", ["hard", "soft"])
def test_it_detects_the_same_and_accounts_for_every_candidate(
    name: str, method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    soft = "linear" if list(DETECTORS).index(name) % 2 else "gaussian"
    detector = detector_of(name, monkeypatch, tmp_path, nms=soft if method == "soft" else "hard", keep=7)
    for picture, score in zip(pictures(), (0.0, 0.2, 0.34), strict=True):
        trace = vedette.explain(detector, picture, score=score)
        assert_equal(trace.detections, detector.detect(picture, score=score))
        for stage in trace.passes[0].stages:
            assert_accounted(stage)
            assert_explained(stage)
        last = trace.steps[-1]
        assert sorted(last.source[last.kept].tolist()) == sorted(trace.detections.source.tolist())


@pytest.mark.parametrize("name", ["RefineDet", "Faster R-CNN"])
@pytest.mark.parametrize("vote", [False, True])
def test_several_looks_are_merged_as_they_are_detected(
    name: str, vote: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    detector = detector_of(name, monkeypatch, tmp_path, keep=9)
    how: dict[str, Any] = {"scales": (64, 128), "flip": True, "vote": vote, "score": 0.3}
    for picture in pictures():
        trace = vedette.explain(detector, picture, **how)
        assert_equal(trace.detections, detector.detect(picture, **how))
        assert [(one.spec.size, one.frame.mirrored) for one in trace.passes] == [
            *((64, False), (64, True), (128, False), (128, True))
        ]
        for one in trace.passes:
            for stage in one.stages:
                assert_accounted(stage)
        merge = trace.merge
        assert merge is not None
        assert len(merge.looks) == sum(len(one.detections) for one in trace.passes)
        assert torch.equal(merge.keep.rows, merge.suppress.rows[merge.suppress.kept])
        assert int(merge.keep.kept.sum()) == len(trace.detections)
        if vote:
            kept = merge.keep.kept.nonzero().flatten()
            assert merge.votes is not None
            assert merge.votes.shape == (len(kept), len(merge.looks))
            mean = merge.votes @ merge.suppress.boxes / merge.votes.sum(1, keepdim=True)
            torch.testing.assert_close(mean, trace.detections.boxes)
