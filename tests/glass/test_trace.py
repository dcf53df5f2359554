"""The trace of every detector: its detections are those of `detect`, and every candidate is lost once or kept."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import vedette
from glass.detectors import DETECTORS, detector_of, every_detector, pictures
from papers import tiny
from test_names import NAMES, PHOTO, SMALL
from vedette.errors import InputError
from vedette.glass.record import Reason
from vedette.glass.stage import Stage
from vedette.infer.detector import Detector
from vedette.ops.boxes import iou
from vedette.structures import Detections, InputSpec


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


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_zoo_is_explained(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = next(small for kind, small in SMALL.items() if name.startswith(kind))
    model: Any = vedette.build(name, num_classes=2, **settings)
    if getattr(model, "needs_proposals", False):
        pytest.importorskip("cv2")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    detector = Detector(model, device="cpu")
    for score in (0.0, 0.4):
        trace = vedette.explain(detector, PHOTO, score=score)
        assert_equal(trace.detections, detector.detect(PHOTO, score=score))
        for stage in trace.passes[0].stages:
            assert_accounted(stage)
            assert_explained(stage)


def test_where_an_anchor_is_and_what_levels_there_are() -> None:
    trace = vedette.explain(Detector(tiny.refinedet(), device="cpu"), Image.new("RGB", (64, 64)), score=0.0)
    place = trace.where(torch.tensor([0, 109, 254]))
    assert [column.tolist() for column in place] == [[0, 0, 3], [0, 4, 0], [0, 4, 0], [0, 1, 2]]
    levels = trace.levels()
    assert [(level.rows, level.columns, level.per_cell, level.first) for level in levels] == [
        *((8, 8, 3, 0), (4, 4, 3, 192), (2, 2, 3, 240), (1, 1, 3, 252))
    ]
    assert [level.stride for level in levels] == [(8.0, 8.0), (16.0, 16.0), (32.0, 32.0), (64.0, 64.0)]
    assert levels[0].shapes[1].tolist() == [32, 32]


def test_a_step_says_in_a_line_what_it_did() -> None:
    trace = vedette.explain(Detector(tiny.ssd(), device="cpu"), Image.new("RGB", (64, 64)), score=0.9)
    assert str(trace.step("anchors")) == "anchors: 380 in, 380 on"
    on = int((trace.passes[0].stages[0].scores >= 0.9).sum())
    assert str(trace.step("floor")) == f"floor: 1140 in, {on} on; {1140 - on} under the floor"


def test_what_cannot_be_explained_is_refused() -> None:
    class Silent(torch.nn.Module):
        input_spec = InputSpec(size=64)

    with pytest.raises(InputError, match="Silent has no `find`"):
        vedette.explain(Detector(Silent(), device="cpu"), Image.new("RGB", (64, 64)))
    with pytest.raises(InputError, match="give a number from 0 to 1"):
        vedette.explain(Detector(tiny.ssd(), device="cpu"), Image.new("RGB", (64, 64)), score=2)
