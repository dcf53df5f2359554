"""The ground truth on the page: every object with what became of it, who learns it, and what the picture teaches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import vedette
from glass.detectors import detector_of
from vedette import Target
from vedette.glass.page import View, save_page
from vedette.glass.trace import Trace
from vedette.glass.training import How

pytestmark = pytest.mark.slow

PICTURE = Path(vedette.__file__).parent / "assets" / "demo" / "chelsea.jpg"
FAR = [2.0, 2.0, 8.0, 7.0]  # no anchor comes near


def annotated(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trace:
    """The best detection is annotated, a small object that none reaches, and an ignored one."""
    detector = detector_of(name, monkeypatch, tmp_path, keep=30)
    found = detector.detect(PICTURE, score=0.001)
    boxes = torch.stack([found.boxes[0], torch.tensor(FAR), found.boxes[0] * 0.5])
    target = Target(boxes, torch.tensor([int(found.labels[0]), 0, 1]), torch.tensor([False, False, True]))
    return vedette.explain(detector, PICTURE, target, score=float(found.scores[:12].min()))


@pytest.mark.parametrize("name", ["RefineDet", "M2Det", "FPN", "R-CNN", "RetinaNet"])
def test_each_object_tells_what_became_of_it_and_who_learns_it(
    name: str, opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trace = annotated(name, monkeypatch, tmp_path)
    save_page(tmp_path / "page.html", [View(name, trace)], PICTURE.name)
    tab = opened(tmp_path / "page.html", reduced_motion="reduce")
    tab.keyboard.press("a")
    panel = tab.locator("[data-panel=truth]")
    assert panel.is_visible()
    assert panel.locator("h3").first.inner_text() == "3 objects annotated, 1 of them ignored; 1 of 2 found"
    assert tab.locator("[data-part=marks] .over.truth").count() == 3
    told = [item.inner_text().split(" ", 2)[-1] for item in panel.locator("ul").first.locator(".item").all()]
    assert told[0].endswith(" found")
    assert told[1].endswith(str(trace.lost(FAR, 0).reason))
    assert told[2].endswith(" ignored")
    for number in range(2):
        panel.locator("ul").first.locator(".item").nth(number).click()
        learners = panel.locator(".answer ul .item")
        assert learners.count() == len(trace.training.heads)
        for place, head in enumerate(trace.training.heads):
            learners.nth(place).click()
            own = head.matched == number
            best = own & (head.how == How.AS_BEST)
            assert tab.locator("[data-part=marks] .over.anchor").count() == min(60, int(best.sum()))
            lines = tab.locator("[data-part=marks] .over.kept, [data-part=marks] .over.anchor")
            assert lines.count() == min(60, int(own.sum()))
            assert ("by threshold" in learners.nth(place).inner_text()) == bool((own & ~best).any())
    panel.locator("ul").first.locator(".item").nth(2).click()
    assert "neither to be found nor learned" in panel.locator(".answer").inner_text()
    background = panel.locator(".item", has_text="as background").last
    background.click()
    counted = int(trace.training.heads[-1].background.sum())
    assert background.get_attribute("aria-pressed") == "true"
    assert tab.locator("[data-part=marks] .over.suppressed").count() == min(60, counted)
    shares = [int(cell.inner_text().split()[0]) for cell in panel.locator(".terms td:nth-child(3)").all()]
    assert sum(shares) == pytest.approx(100, abs=2)
    tab.click("[data-layer=found]")
    assert tab.locator("[data-part=marks] .over.truth").count() == 0


def test_what_is_found_changes_with_the_knobs(
    opened: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trace = annotated("RefineDet", monkeypatch, tmp_path)
    save_page(tmp_path / "page.html", [View("RefineDet", trace)], PICTURE.name)
    tab = opened(tmp_path / "page.html", 390, reduced_motion="reduce")
    tab.click("[data-tab=knobs]")
    tab.evaluate(
        """() => {
            const knob = document.querySelector("[data-knob=floor]");
            knob.value = 1;
            knob.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    tab.click("[data-tab=truth]")
    panel = tab.locator("[data-panel=truth]")
    assert panel.locator("h3").first.inner_text().endswith("; 0 of 2 found")
    assert "under the floor" in panel.locator(".item").first.inner_text()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
