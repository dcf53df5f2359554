"""Figures of the trace: of every step of every paper, well formed; what they show is what the step left."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

import vedette
from glass.detectors import detector_of, every_detector, pictures
from papers import tiny
from vedette import Target
from vedette.errors import InputError
from vedette.glass.figure_steps import MOST_BOXES, step_figure
from vedette.glass.phrases import many
from vedette.glass.trace import Trace
from vedette.glass.training import How
from vedette.infer.detector import Detector

SVG = "{http://www.w3.org/2000/svg}"


def traced(model: Any = None, score: float = 0.2, **how: Any) -> Trace:
    torch.manual_seed(3)
    detector = Detector(model or tiny.refinedet(), classes=tuple("abc"), device="cpu")
    return vedette.explain(detector, pictures()[0], score=score, **how)


def target() -> Target:
    """Two objects and one that is smaller than every anchor."""
    boxes = torch.tensor([[10.0, 12.0, 50.0, 44.0], [56.0, 20.0, 84.0, 55.0], [2.0, 2.0, 6.0, 6.0]])
    return Target(boxes, torch.tensor([0, 2, 1]))


def count(svg: str, kind: str) -> int:
    return sum(one.get("class") == f"b {kind}" for one in ElementTree.fromstring(svg).iter())


@every_detector
def test_every_step_is_drawn(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    detector = detector_of(name, monkeypatch, tmp_path)
    for score in (0.2, 1.0):
        trace = vedette.explain(detector, pictures()[0], score=score)
        for step in trace.steps:
            figure = trace.figure(step.name)
            root = ElementTree.fromstring(figure.svg)
            assert root.find(f".//{SVG}image") is not None
            assert figure.name == step.name
            assert figure._repr_svg_() == figure.svg


def test_suppression_shows_who_stays_and_who_goes() -> None:
    trace = traced()
    step, svg = trace.step("suppress"), trace.figure("suppress").svg
    on, off = int(step.kept.sum()), int((~step.kept).sum())
    assert off > MOST_BOXES
    assert (count(svg, "on"), count(svg, "off")) == (min(on, MOST_BOXES), MOST_BOXES)
    assert f"{on} went on; {off} suppressed." in svg
    few = traced(tiny.refinedet(candidates=20))
    step, svg = few.step("suppress"), few.figure("suppress").svg
    assert (count(svg, "on"), count(svg, "off")) == (int(step.kept.sum()), int((~step.kept).sum()))
    assert svg.count('class="line"') == count(svg, "off")


def test_one_overlap_is_no_range() -> None:
    trace = traced(tiny.refinedet(candidates=20))
    step = trace.step("suppress")
    told = step.overlap[~step.kept]
    low, high = f"{float(told.min()):.2f}", f"{float(told.max()):.2f}"
    assert low < high
    assert f"The overlap (IoU) of the two is {low} to {high}." in trace.figure("suppress").svg
    step.overlap[~step.kept] = 0.7149
    step.overlap[(~step.kept).nonzero()[0]] = 0.7051
    assert "The overlap (IoU) of the two is 0.71." in step_figure(trace, step)


def test_regions_that_nobody_scored_have_no_scores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, scored in (("R-CNN", False), ("FPN", True)):  # there by selective search, here by the RPN
        trace = vedette.explain(detector_of(name, monkeypatch, tmp_path), pictures()[0], score=0.2)
        assert ('class="plate"' in trace.figure("regions").svg) == scored


def test_moves_begin_and_end_where_the_boxes_do() -> None:
    trace = traced()
    step = trace.step("refine")
    best = int(step.scores.argmax())
    root = ElementTree.fromstring(trace.figure("refine").svg)
    canvas = root.find(f"{SVG}svg")
    assert canvas is not None
    scale = float(canvas.get("width") or 0) / trace.picture.width
    for kind, box in (("from", trace.step("anchors").boxes[best]), ("on", step.boxes[best])):
        (drawn,) = [one for one in canvas if one.get("class") == f"b {kind}"]
        assert float(drawn.get("x") or 0) == pytest.approx(float(box[0]) * scale, abs=0.06)
        assert float(drawn.get("width") or 0) == pytest.approx(float(box[2] - box[0]) * scale, abs=0.06)


def test_the_grid_shows_the_anchors_of_a_cell_on_each_level() -> None:
    trace = traced()
    assert count(trace.figure("grid").svg, "on") == 4 * 3
    assert trace.figure("anchors").svg == trace.figure("grid").svg
    assert count(trace.figure("grid", level=0).svg, "on") == 3
    with pytest.raises(InputError, match="level is 4: this detector has 0 to 3"):
        trace.figure("grid", level=4)


def test_heat_is_where_the_scores_are() -> None:
    trace = traced()
    scores = trace.passes[0].stages[0].scores[:192, 1].view(8, 8, 3).amax(2)
    svg = trace.figure("scores", level=0, label=1).svg
    assert f"fully at {float(trace.passes[0].stages[0].scores[:, 1].max()):.2f}" in svg
    assert f"● {float(scores.max()):.2f}" in svg
    assert "Scores of b" in svg
    assert "How sure the ARM is" in trace.figure("objectness").svg


def test_matches_are_those_of_the_target() -> None:
    trace = traced(target=target())
    svg = trace.figure("matches").svg
    assert count(svg, "gt") == 3 * 2  # three objects in two heads
    positives = {head.name: int((head.matched >= 0).sum()) for head in trace.training.heads}
    assert f"arm: {many(positives['arm'], 'match', 'matches')}, " in svg
    assert f"odm: {many(positives['odm'], 'match', 'matches')}, " in svg
    as_best = [(head.how == How.AS_BEST).sum() for head in trace.training.heads]
    assert count(svg, "best") == int(sum(as_best)) > 0


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="no figure 'pool': there are anchors, refine, floor"):
        traced().figure("pool")
    with pytest.raises(InputError, match="label is 3: this detector has 0 to 2"):
        traced().figure("scores", label=3)
    with pytest.raises(InputError, match="nobody asks SSD"):
        traced(tiny.ssd()).figure("objectness")
    with pytest.raises(InputError, match="scores regions, not cells"):
        traced(tiny.faster_rcnn()).figure("scores")
    with pytest.raises(InputError, match="ground truth"):
        traced().figure("matches")


def test_saving(tmp_path: Path) -> None:
    figure = traced().figure("keep")
    figure.save(tmp_path / "keep.svg")
    assert (tmp_path / "keep.svg").read_text(encoding="utf-8") == figure.svg
    with pytest.raises(InputError, match=r"keep.png: figures are SVG"):
        figure.save(tmp_path / "keep.png")
    with pytest.raises(InputError, match=r"cannot be written"):
        figure.save(tmp_path / "none" / "keep.svg")


def test_notebooks_show_traces_and_detections() -> None:
    trace = traced()
    html = trace._repr_html_()
    assert trace.figure("diagram").svg in html
    assert trace.detections._repr_html_() in html
    assert trace._repr_png_() == trace.detections._repr_png_()
    assert (trace._repr_png_() or b"").startswith(b"\x89PNG")
    assert "Nothing was found." in traced(score=1.0)._repr_html_()
