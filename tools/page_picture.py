"""The picture of the glass box in the documentation: a page in a browser, one detection followed.

python tools/page_picture.py page.html docs/images/explain.jpg
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 1280, 840
MOMENT = 2  # of the way: the class is told


def main(page: str, picture: str) -> None:
    """Opens the page, follows its first detection, and saves what is seen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        viewport = {"width": WIDTH, "height": HEIGHT}
        tab = browser.new_context(viewport=viewport, offline=True, reduced_motion="reduce").new_page()
        tab.goto(Path(page).resolve().as_uri())
        tab.locator("[data-part=found] .item").first.click()
        for _ in range(MOMENT):
            tab.click("[data-part=next]")
        tab.screenshot(path=picture, type="jpeg", quality=82)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
