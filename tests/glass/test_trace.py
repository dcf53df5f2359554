"""The trace of every detector: its detections are those of `detect`, and every candidate is lost once or kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import vedette
from papers import tiny
from vedette.errors import InputError
from vedette.glass.record import REASONS, Reason
from vedette.glass.stage import Stage
from vedette.glass.trace import Trace
from vedette.infer.detector import Detector
from vedette.ops.boxes import iou
from vedette.structures import Detections

DETECTORS: dict[str, Callable[..., Any]] = {
    "R-CNN": tiny.rcnn,
    "SPPNet": tiny.sppnet,
    "Fast R-CNN": tiny.fast_rcnn,
    "Faster R-CNN": tiny.faster_rcnn,
    "FPN": tiny.fpn,
    "RetinaNet": tiny.retinanet,
    "SSD": tiny.ssd,
    "RefineDet": tiny.refinedet,
    "M2Det": tiny.m2det,
}
NEED_PROPOSALS = ("R-CNN", "SPPNet", "Fast R-CNN")
every_detector = pytest.mark.parametrize("name", DETECTORS)


def pictures() -> list[Image.Image]:
    """A wide one, a high one that is all one colour, and one of noise."""
    wide = Image.new("RGB", (90, 60), (30, 90, 160))
    wide.paste((220, 40, 40), (10, 12, 50, 44))
    wide.paste((40, 200, 60), (56, 20, 84, 55))
    noise = Image.effect_noise((64, 64), 90).convert("RGB")
    return [wide, Image.new("RGB", (40, 70), (200, 200, 10)), noise]


def detector_of(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **config: Any) -> Detector:
    if name in NEED_PROPOSALS:
        pytest.importorskip("cv2")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        config = {"proposals": 20} | config
    torch.manual_seed(3)
    return Detector(DETECTORS[name](**config), classes=("a", "b", "c"), device="cpu")


def assert_equal(one: Detections, other: Detections) -> None:
    for column in ("boxes", "scores", "labels", "source"):
        assert torch.equal(getattr(one, column), getattr(other, column)), column
    assert one.names == other.names


def assert_accounted(stage: Stage) -> None:
    """Step by step: what comes in is what went on before, and all are lost in the end, or kept."""
    rows, classes = stage.scores.shape
    alive = {(row, label) for row in range(rows) for label in range(classes)}
    lost: dict[tuple[int, int], Reason] = {}
    for step in stage.steps():
        labels = [0] * len(step) if not stage.last else step.labels.tolist()
        single = step.labels.tolist()[:1] != [-1] or not stage.last
        pairs = [
            [(row, label)] if single else [(row, c) for c in range(classes)]
            for row, label in zip(step.rows.tolist(), labels, strict=True)
        ]
        assert sorted(pair for some in pairs for pair in some) == sorted(alive)  # each once
        for number, some in enumerate(pairs):
            assert bool(step.kept[number]) == (step.reason(number) == Reason.KEPT)
            if not step.kept[number]:
                alive -= set(some)
                lost |= dict.fromkeys(some, step.reason(number))
    assert lost.keys() | alive == {(row, label) for row in range(rows) for label in range(classes)}
    assert not lost.keys() & alive
    for (row, label), reason in [*lost.items(), *((pair, Reason.KEPT) for pair in alive)]:
        assert REASONS[int(stage.fates[row, label])] == reason


def assert_explained(stage: Stage, step_scores: Tensor) -> None:
    """Who was suppressed was so by a better one of its class that stayed, with the IoU that is told."""
    rule = stage.search
    (step,) = (step for step in stage.steps() if step.name.endswith("suppress"))
    by = step.by
    for row in (~step.kept).nonzero().flatten().tolist():
        other = int(by[row])
        assert other >= 0
        assert step.labels[row] == step.labels[other]
        overlap = float(iou(step.boxes[row : row + 1].double(), step.boxes[other : other + 1].double())[0, 0])
        assert overlap == pytest.approx(float(step.overlap[row]), abs=1e-4)
        if rule.method == "hard":
            assert step.kept[other]
            assert step.scores[row] <= step.scores[other]
            assert step.overlap[row] > rule.iou - 1e-6
        else:
            assert step.after[row] < step.scores[row]
            assert step.after[row] <= step.after[other]
    if rule.method == "hard":
        assert torch.equal(step.scores, step.after)


@every_detector
@pytest.mark.parametrize("method", ["hard", "linear", "gaussian"])
@pytest.mark.parametrize("score", [0.0, 0.2, 0.34, 0.9])
def test_it_detects_the_same_and_accounts_for_every_candidate(
    name: str, method: str, score: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    detector = detector_of(name, monkeypatch, tmp_path, nms=method, keep=7)
    for picture in pictures():
        trace = vedette.explain(detector, picture, score=score)
        assert_equal(trace.detections, detector.detect(picture, score=score))
        for stage in trace.passes[0].stages:
            assert_accounted(stage)
            assert_explained(stage, stage.scores)
        last = trace.steps[-1]
        own = last.kept.nonzero().flatten()
        assert sorted(last.source[own].tolist()) == sorted(trace.detections.source.tolist())
