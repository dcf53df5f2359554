"""The site as it is built: every link inside it leads somewhere, and no page fetches anything from elsewhere."""

import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("mkdocstrings")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FETCHED = {"src", "srcset", "data", "poster"}  # attributes whose address a browser loads by itself


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that links can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.places |= {values[name] for name in ("id", "name") if name in values}
        self.loads += [values[name] for name in FETCHED & values.keys()]
        if "href" in values:
            (self.loads if tag == "link" else self.links).append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    """All pages but the one for addresses that there are not, whose own are absolute."""
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}


def test_links_inside_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            known = pages[target].places if target in pages else {unquote(parts.fragment)}
            if not target.is_relative_to(site) or not target.is_file() or unquote(parts.fragment) not in known:
                dead.append(f"{path.relative_to(site)}: {link}")
    assert not dead


def test_pages_load_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    loads = {load for page in pages.values() for load in page.loads}
    assert not {load for load in loads if urlsplit(load).netloc or urlsplit(load).scheme not in ("", "data")}


def test_styles_load_nothing_from_elsewhere(site: Path) -> None:
    assert not [path.name for path in site.rglob("*.css") if "url(http" in path.read_text(encoding="utf-8")]


def test_code_beside_the_text_is_there(site: Path, pages: dict[Path, Page]) -> None:
    text = (site / "learn" / "refinedet.html").read_text(encoding="utf-8")
    assert "RefineDet.is_easy" in text
    assert "emptiness" in text
    assert "vedette.papers.refinedet.RefineDet.is_easy" in pages[site / "learn" / "refinedet.html"].places


def test_search_works_from_a_disk(site: Path) -> None:
    """Without a server, where browsers start no worker (docs/development.md)."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(offline=True).new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("requestfailed", lambda request: said.append(request.url))
        page.goto((site / "learn" / "ssd.html").as_uri())
        page.click(".md-search__input")
        page.keyboard.type("transfer connection block")
        page.locator(".md-search-result__link").first.click()
        page.wait_for_url("**/refinedet.html*")
        browser.close()
    assert not said
