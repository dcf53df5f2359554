"""Pages in a browser, from a disk and with the network off."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing")
    if not CHROMIUM.exists():
        pytest.skip("chromium is missing")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page from the disk; at the end nothing was asked of the network and no error was said."""
    wrong: list[str] = []
    contexts = []

    def open_page(path: Path, width: int = 1280, timeout: float = 30_000, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **settings)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(timeout)  # milliseconds
        tab.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda request: wrong.append(request.url) if not is_own(request.url) else None)
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-ready]", state="attached")
        return tab

    def is_own(url: str) -> bool:
        return url.startswith(("file://", "data:", "blob:"))

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
