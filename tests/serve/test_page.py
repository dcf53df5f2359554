"""The page of the service in a browser."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.running import REAL, Server, running

pytestmark = pytest.mark.slow
DEMO = Path(__file__).parents[2] / "src" / "vedette" / "assets" / "demo"
BROWSER = os.environ.get("VEDETTE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
SETTINGS = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a camera that shows a clock


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("refinedet320-lite0", "other=refinedet320-lite0") as server:
        yield server


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def page(server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from opened(server, *request.param)


def opened(server: Server, width: int, height: int) -> Iterator[Any]:
    """An open page, which must have nothing to complain about in the end."""
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium: set VEDETTE_CHROMIUM")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=BROWSER, args=SETTINGS)
        page = browser.new_page(viewport={"width": width, "height": height}, permissions=["camera"])
        page.set_default_timeout(60_000)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(f"http://127.0.0.1:{server.port}/")
        yield page
        browser.close()
        assert complaints == []


def test_a_photograph_its_boxes_and_what_is_chosen_of_them(page: Any) -> None:
    page.set_input_files("#file", str(DEMO / "astronaut.jpg"))
    page.wait_for_selector("#panel:not([hidden])")
    assert page.locator("#boxes g").count() == 2
    assert page.locator("#boxes text").all_text_contents() == ["cat 0.60", "dog 0.90"]  # the best is drawn last
    assert json.loads(page.inner_text("#json"))["detections"][0]["box"] == [0, 0, 256, 256]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown = page.locator("#picture").bounding_box()
    drawn = page.locator("#boxes").bounding_box()
    assert [drawn[key] for key in ("x", "y", "width", "height")] == pytest.approx(
        [shown[key] for key in ("x", "y", "width", "height")], abs=1
    )

    page.evaluate(
        "() => { const at = document.getElementById('score'); at.value = 0.7; at.dispatchEvent(new Event('input')); }"
    )
    assert page.locator("#list li").all_inner_texts() == ["dog\n0.90"]
    assert "score=0.70" in page.inner_text("#curl")
    page.evaluate(
        "() => { const at = document.getElementById('score'); at.value = 0.5; at.dispatchEvent(new Event('input')); }"
    )
    page.get_by_label("dog").uncheck()
    assert page.locator("#list li").all_inner_texts() == ["cat\n0.60"]
    assert "classes=cat" in page.inner_text("#curl")
    page.select_option("#model", "other")
    page.locator("#curl", has_text="model=other").wait_for()


def test_a_photograph_that_is_dropped_and_the_camera(page: Any) -> None:
    drop = """async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 60, height: 40 });
      canvas.getContext("2d").fillRect(0, 0, 60, 40);
      const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
      const data = new DataTransfer();
      data.items.add(new File([blob], "a.png", { type: "image/png" }));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop)
    page.locator("#status", has_text="60 × 40").wait_for()
    page.click("#camera")
    page.locator("#status", has_text="640 × 480").wait_for()
    page.click("#shoot")
    page.wait_for_selector("#picture:not([hidden])")
    assert page.inner_text("#camera") == "Camera"


def test_the_lines_of_python_run(page: Any) -> None:
    page.set_input_files("#file", str(DEMO / "astronaut.jpg"))
    page.wait_for_selector("#panel:not([hidden])")
    lines = page.inner_text("#python").replace('"photo.jpg"', repr(str(DEMO / "astronaut.jpg")))
    said: list[tuple[Any, ...]] = []
    exec(compile(lines, "page", "exec"), {"print": lambda *words: said.append(words)})
    assert said == [("dog", 0.9, [0.0, 0.0, 256.0, 256.0]), ("cat", 0.6, [0.0, 0.0, 512.0, 256.0])]


@pytest.fixture(scope="module")
def with_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With a detector whose steps can be told."""
    file = tmp_path_factory.mktemp("key") / "key"
    file.write_text("secret")
    with running("refinedet320-lite0", "--api-key-file", str(file), program=REAL) as server:
        yield server


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def keyed(with_key: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from opened(with_key, *request.param)


def test_the_glass_box_opens_in_a_tab_that_reaches_nothing(keyed: Any) -> None:
    keyed.fill("#key", "secret")
    keyed.set_input_files("#file", str(DEMO / "astronaut.jpg"))
    keyed.wait_for_selector("#why:not([hidden])")
    asked: list[str] = []
    with keyed.expect_popup() as opening:
        keyed.click("#why")
    tab = opening.value
    tab.on("request", lambda request: asked.append(request.url))
    tab.wait_for_selector("html[data-ready]", state="attached")
    assert tab.title() == "What refinedet320-lite0 finds in the picture"
    assert tab.locator("[data-part=found] li").count() >= 1
    assert tab.evaluate("[self.origin, opener]") == ["null", None]
    assert [url for url in asked if not url.startswith("data:")] == []
    assert tab.evaluate("(() => { try { return sessionStorage.length } catch (error) { return error.name } })()") == (
        "SecurityError"
    )
    assert "512 × 512" in keyed.inner_text("#status")  # as before
    if folder := os.environ.get("VEDETTE_SCREENSHOTS"):
        for name, shown in (("service", keyed), ("glass", tab)):
            shown.screenshot(path=f"{folder}/{name}-{keyed.viewport_size['width']}.png", full_page=name == "service")


def test_what_the_service_refuses_is_said_and_the_tab_closed(keyed: Any) -> None:
    keyed.fill("#key", "secret")
    keyed.set_input_files("#file", str(DEMO / "astronaut.jpg"))
    keyed.wait_for_selector("#why:not([hidden])")
    keyed.evaluate("() => { window.fetch = () => new Promise((_, no) => { window.refuse = no; }); }")
    with keyed.expect_popup() as opening:
        keyed.click("#why")
    keyed.evaluate("refuse(new Error())")
    keyed.locator("#status.bad", has_text="The service does not answer").wait_for()
    until = time.monotonic() + 30
    while not opening.value.is_closed() and time.monotonic() < until:
        keyed.wait_for_timeout(50)
    assert opening.value.is_closed()
    assert keyed.locator("#list li").count() >= 1  # what was found stays
