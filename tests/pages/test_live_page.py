"""The live page in a browser, from a disk and with the network off: a photograph goes in, Python's boxes come out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import vedette
from pages.texts import contradictions, texts_of
from vedette.cli.main import run
from vedette.errors import InputError
from vedette.glass.live import MOST
from vedette.glass.web import FOLDER, read_web

pytestmark = pytest.mark.slow

DEMO = Path(vedette.__file__).parent / "assets" / "demo"
WEB = Path(__file__).parents[2] / FOLDER
NAME = "refinedet320-lite0"
PIXELS, SCORES = 0.5, 0.01
BOXES = """() => [...document.querySelectorAll("[data-part=marks] rect.over")].reverse().map((mark) =>
    ["x", "y", "width", "height"].map((name) => Number(mark.getAttribute(name))))"""
DROP = """(file) => {
    const given = new DataTransfer();
    given.items.add(new File([Uint8Array.from(file.bytes)], file.name, { type: "image/jpeg" }));
    const event = { bubbles: true, cancelable: true };
    const dropped = new DragEvent("drop", { ...event, dataTransfer: given });
    const pasted = new ClipboardEvent("paste", { ...event, clipboardData: given });
    document.body.dispatchEvent(file.paste ? pasted : dropped);
}"""


@pytest.fixture(scope="module")
def live_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript", reason="the extra export is missing")
    try:
        read_web(WEB)
    except InputError as error:
        pytest.skip(str(error))
    page = tmp_path_factory.mktemp("live") / "live.html"
    assert run(["explain", "--live", "--model", NAME, "--web", str(WEB), "--out", str(page)]) == 0
    return page


@pytest.fixture
def opened(opened: Callable[..., Any], live_page: Path) -> Callable[..., Any]:
    """Opens the live page; waking the detector takes its time."""
    return partial(opened, live_page, timeout=120_000)


def give(tab: Any, photograph: Path) -> None:
    tab.set_input_files("[data-live=file]", str(photograph))
    tab.wait_for_selector(f"html[data-shown='{photograph.name}']", state="attached")


def assert_found_as_in_python(tab: Any, photograph: Path) -> None:
    found = vedette.load(NAME, device="cpu").detect(photograph, score=0.5)
    assert len(found) > 0
    left, top, width, height = torch.tensor(tab.evaluate(BOXES)).view(-1, 4).T
    boxes = torch.stack([left, top, left + width, top + height], 1)
    torch.testing.assert_close(boxes, found.boxes, atol=PIXELS, rtol=0)
    items = [item.inner_text().split() for item in tab.locator("[data-part=found] .item").all()]
    assert [words[1:-1] for words in items] == [name.split() for name in found.names]
    scores = torch.tensor([float(words[-1]) for words in items])
    torch.testing.assert_close(scores, found.scores, atol=SCORES, rtol=0)


def test_it_is_small_and_its_own(live_page: Path) -> None:
    assert live_page.stat().st_size < MOST
    text = live_page.read_text(encoding="utf-8")
    assert "Copyright (c) Microsoft Corporation" in text
    assert "https://" not in text.replace("https://github.com/microsoft/onnxruntime", "")


def test_photographs_are_found_as_in_python(opened: Callable[..., Any], tmp_path: Path) -> None:
    tab = opened(reduced_motion="reduce")
    for name in ("astronaut.jpg", "chelsea.jpg"):
        give(tab, DEMO / name)
        assert_found_as_in_python(tab, DEMO / name)
    turned, large = tmp_path / "turned.jpg", tmp_path / "large.jpg"
    picture = Image.open(DEMO / "astronaut.jpg").convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    picture.crop((40, 0, 400, 512)).transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif, quality=95)
    picture.resize((4000, 3000), Image.Resampling.BICUBIC).save(large, quality=90)
    for photograph in (turned, large):
        give(tab, photograph)
        assert_found_as_in_python(tab, photograph)


def test_dropped_pasted_and_what_is_no_picture(opened: Callable[..., Any], tmp_path: Path) -> None:
    tab = opened(reduced_motion="reduce")
    for name, paste in (("dropped.jpg", False), ("pasted.jpg", True)):
        tab.evaluate(DROP, {"name": name, "paste": paste, "bytes": list((DEMO / "chelsea.jpg").read_bytes())})
        tab.wait_for_selector(f"html[data-shown='{name}']", state="attached")
        assert_found_as_in_python(tab, DEMO / "chelsea.jpg")
    letter = tmp_path / "letter.jpg"
    letter.write_text("no picture")
    tab.set_input_files("[data-live=file]", str(letter))
    tab.wait_for_selector("[data-live=told].wrong")
    assert tab.locator("[data-live=told]").inner_text().startswith("letter.jpg: no picture that this browser can read")
    tab.locator("[data-live=sample]").first.click()
    tab.wait_for_selector("html[data-shown='astronaut.jpg']", state="attached")
    assert "person" in tab.locator("[data-part=found]").inner_text()


def test_the_whole_glass_box_is_there(opened: Callable[..., Any]) -> None:
    """After a second picture, so that nothing of the first is left."""
    tab = opened(reduced_motion="reduce")
    give(tab, DEMO / "astronaut.jpg")
    give(tab, DEMO / "chelsea.jpg")
    trace = vedette.explain(vedette.load(NAME, device="cpu"), DEMO / "chelsea.jpg")
    tab.keyboard.press("j")
    assert tab.locator("[data-part=moments] button").count() > 6
    tab.click("[data-tab=network]")
    for step in trace.steps:
        tab.locator(f"[data-part=figure] [data-step='{step.name}']").last.click()
        counts = tab.locator("[data-part=step] .count").inner_text()
        assert counts == f"{len(step):,} came in, {int(step.kept.sum()):,} went on"
    assert tab.locator("[data-part=figure] [data-step=pick]").get_attribute("data-in") == str(len(trace.step("pick")))
    tab.click("[data-layer=heat]")
    assert float(tab.locator("[data-part=highest]").inner_text()) > 0
    tab.click("[data-layer=found]")
    tab.click("[data-part=stage]", position={"x": 200, "y": 150})
    assert tab.locator("[data-part=answer] .answer").count() > 0
    tab.keyboard.press("Escape")
    tab.click("[data-part=begin-tour]")
    stops = int(tab.locator("[data-tour=count]").inner_text().split()[-1])
    assert stops > 9
    for _ in range(stops):
        assert tab.locator("[data-tour=text]").inner_text().endswith(".")
        tab.click("[data-tour=next]")
    assert not tab.locator("#tour").is_visible()


def test_nothing_on_the_page_contradicts(opened: Callable[..., Any]) -> None:
    """Of either picture, and what is left out is told once."""
    tab = opened(reduced_motion="reduce")
    for name in ("astronaut.jpg", "chelsea.jpg"):
        give(tab, DEMO / name)
        told = list(texts_of(tab))
        assert len(told) > 20
        assert sorted({wrong for text in told for wrong in contradictions(text)}) == []
        left_out = [one.inner_text() for one in tab.locator("[data-part=left-out] li").all()]
        assert len(left_out) > 4
        assert len(set(left_out)) == len(left_out)
        tab.keyboard.press("a")  # shows what is annotated: here nobody annotated anything
        assert tab.locator("[data-tab=truth], [data-layer=truth]").count() == 0


def test_on_a_phone_nothing_is_cut(opened: Callable[..., Any]) -> None:
    tab = opened(width=360, is_mobile=True, has_touch=True)
    give(tab, DEMO / "chelsea.jpg")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
