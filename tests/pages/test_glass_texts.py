"""Whatever is written on the page, wherever one goes on it: no number that is none, no plural of one, no comparison
that does not hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import vedette
from glass.detectors import detector_of
from pages.texts import contradictions, texts_of
from vedette import Target
from vedette.glass.page import View, save_page
from vedette.glass.trace import Trace

PICTURE = Path(vedette.__file__).parent / "assets" / "demo" / "chelsea.jpg"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("1 boxes went", ["1 boxes"]),
        ("one pairs", ["one pairs"]),
        ("21 boxes, 1,001 pairs, 3 × 1 cells, 0.1 boxes", []),
        ("2 box", ["2 box"]),
        ("moved -0 px, NaN, −0.00", ["-0", "NaN", "−0.00"]),
        ("-0.5, 1-2", []),
        ("a has 0.104, less than the 0.104 that are asked for", ["0.104, less than the 0.104"]),
        ("an IoU of 0.45, more than 0.45: gone; 0.46, more than 0.45", ["0.45, more than 0.45"]),
        ("the nearest has an IoU of 0.50, and 0.5 is needed", ["0.50, and 0.5"]),
        ("an IoU of 0.49 with it, below 0.5", []),
    ],
)
def test_what_cannot_be_right_is_seen(text: str, wrong: list[str]) -> None:
    assert list(contradictions(text)) == wrong


def annotated(trace: Trace) -> Trace:
    """The same with ground truth: near the best pair, and where nothing is."""
    best = trace.passes[0].stages[-1]
    box = trace.passes[0].frame.boxes(best.references[int(best.scores.max(1).values.argmax())][None])
    boxes = torch.cat([box.clamp(min=0), torch.tensor([[2.0, 2.0, 9.0, 8.0]])])
    return vedette.explain(trace.detector, trace.picture, Target(boxes, torch.tensor([0, 1])), score=trace.score)


@pytest.mark.slow
@pytest.mark.parametrize("found", ["a dozen", "one", "none"])
@pytest.mark.parametrize("name", ["RefineDet", "M2Det", "FPN", "R-CNN"])
def test_nothing_on_the_page_contradicts(
    name: str, found: str, opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    detector = detector_of(name, monkeypatch, tmp_path, keep=30)
    scores = detector.detect(PICTURE, score=0.02).scores  # a dozen: the last of them just misses
    floor = {"a dozen": float(scores[:12].min()) + 2e-5, "one": float(scores[0]), "none": 1.0}[found]
    trace = annotated(vedette.explain(detector, PICTURE, score=floor))
    save_page(tmp_path / "page.html", [View(name, trace)], PICTURE.name)
    tab = opened(tmp_path / "page.html", reduced_motion="reduce")
    told = list(texts_of(tab))
    assert len(told) > 20
    assert sorted({wrong for text in told for wrong in contradictions(text)}) == []
