"""Whatever is written on the page, wherever one goes on it: no number that is none, no plural of one, no comparison
that does not hold."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import vedette
from glass.detectors import detector_of
from vedette import Target
from vedette.glass.page import View, save_page
from vedette.glass.trace import Trace

PICTURE = Path(vedette.__file__).parent / "assets" / "demo" / "chelsea.jpg"
NOUNS = (
    "anchors|boxes|cells|classes|detections|images|levels|looks|matches|objects|others|pairs|pictures|proposals|regions"
)
ONE = re.compile(
    rf"(?<![\d.,])(?<!× )\b(1|[Oo]ne) ({NOUNS})\b|(?<![\d.,])\d*[02-9] (anchor|box|object|pair|region|proposal)\b"
)
NO_NUMBER = re.compile(r"NaN|undefined|\bnull\b|Infinity|\[object|[-−]0(\.0+)?(?![\d.])|\bTrue\b|\bFalse\b")
LESS = re.compile(r"(\d+\.\d+)(?:, less than the |, below |, and )(\d+(?:\.\d+)?)")
MORE = re.compile(r"(\d+\.\d+)(?: with ours)?(?: sure that nothing is here)?, more than (?:the |θ = )?(\d+(?:\.\d+)?)")
WHOLE = """() => document.body.innerText + "\\n" +
    [...document.querySelectorAll("svg text")].map((one) => one.textContent).join("\\n")"""


def contradictions(text: str) -> Iterator[str]:
    """The places of a text that cannot be right."""
    yield from (found[0] for found in ONE.finditer(text))
    yield from (found[0] for found in NO_NUMBER.finditer(text))
    yield from (found[0] for found in LESS.finditer(text) if not float(found[1]) < float(found[2]))
    yield from (found[0] for found in MORE.finditer(text) if not float(found[1]) > float(found[2]))


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


def texts_of(tab: Any) -> Iterator[str]:
    """What stands on the page at every place that a visitor comes to."""

    def everything() -> str:
        return str(tab.evaluate(WHOLE))

    tab.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    yield everything()
    for part in ("found", "near"):
        items = tab.locator(f"[data-part={part}] .item")
        for number in range(min(4, items.count())):
            items.nth(number).click()
            for moment in tab.locator("[data-part=moments] button").all():
                moment.click()
                yield str(tab.locator("[data-panel=follow]").inner_text())
    place = tab.locator("[data-part=stage]").bounding_box()
    for across, down in ((0.1, 0.1), (0.5, 0.5), (0.8, 0.6)):
        tab.mouse.click(place["x"] + across * place["width"], place["y"] + down * place["height"])
        yield everything()
    tab.click("[data-tab=network]")
    names = dict.fromkeys(one.get_attribute("data-step") for one in tab.locator("[data-part=figure] [data-step]").all())
    for name in names:
        tab.locator(f"[data-part=figure] [data-step='{name}']").last.click()
        yield everything()
    tab.click("[data-tab=truth]")
    yield everything()
    for number in range(tab.locator("[data-part=truth] ul").first.locator(".item").count()):
        tab.locator("[data-part=truth] ul").first.locator(".item").nth(number).click()
        yield everything()
    tab.click("[data-part=begin-tour]")
    while tab.locator("#tour").is_visible():
        yield everything()
        tab.click("[data-tour=next]")


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
