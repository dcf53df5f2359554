"""The site's hooks: which page shows which file of the repository, which links lead there, symbols as code."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from papers import tiny
from vedette.infer.detector import Detector

Files = pytest.importorskip("mkdocs.structure.files").Files
TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    return import_module("website.sources")


@pytest.fixture
def shown(hook: ModuleType) -> Callable[[str, str], str]:
    """The Markdown of a page at a place of the site, its links led on."""

    def on_page(place: str, text: str) -> str:
        page = SimpleNamespace(file=SimpleNamespace(src_uri=place))
        return hook.on_page_markdown(text, page=page, config=None, files=None)

    return on_page


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("docs/papers/ssd.md", "papers/ssd.md"),
        ("docs/images/demo.jpg", "images/demo.jpg"),
        ("src/vedette/papers/ssd.py", "source/src/vedette/papers/ssd.py.md"),
        ("README.md", "source/README.md"),
        ("docs/logs", "source/docs/logs.md"),
    ],
)
def test_places(hook: ModuleType, path: str, place: str) -> None:
    assert hook.place_of(path) == place
    assert hook.origin_of(place) == path


@pytest.mark.parametrize(
    ("place", "text", "led"),
    [
        ("papers/ssd.md", "[f](../../src/vedette/papers/ssd.py)", "[f](../source/src/vedette/papers/ssd.py.md)"),
        ("papers/ssd.md", "[m](m2det.md#how-many)", "[m](m2det.md#how-many)"),
        ("index.md", "[r](../README.md#train)", "[r](source/README.md#train)"),
        ("source/README.md", "![d](docs/images/demo.jpg)", "![d](../images/demo.jpg)"),
        ("source/README.md", "[e](docs/evaluation.md)", "[e](../evaluation.md)"),
        ("source/docs/logs.md", "- [a](logs/fuzz.txt)", "- [a](../../logs/fuzz.txt)"),
        ("index.md", "[o](https://arxiv.org/abs/1512.02325) [h](#here)", None),
        ("source/tools/reading.py.md", "[x](../README.md)", None),
        ("index.md", "[gone](../no-such-file.py)", None),
    ],
)
def test_links(shown: Callable[[str, str], str], place: str, text: str, led: str | None) -> None:
    assert shown(place, text) == (text if led is None else led)


def test_a_file_is_shown_whole(hook: ModuleType) -> None:
    text = hook.text_of("tools/reading.py")
    assert "\n# tools/reading.py\n" in text
    assert (TOOLS / "reading.py").read_text() in text


def test_a_folder_is_a_list(hook: ModuleType) -> None:
    assert "- [seed0](ablation/seed0)\n- [seed1](ablation/seed1)\n" in hook.text_of("docs/logs/ablation")


def test_a_symbol_is_shown_as_code_on_learn_pages_alone() -> None:
    code = import_module("website.code")
    text = "Before.\n\n::: vedette.papers.ssd.SSD.forward\n\nAfter."
    page = SimpleNamespace(file=SimpleNamespace(src_uri="learn/ssd.md"))
    shown = code.on_page_markdown(text, page=page, config=None, files=None)
    assert "::: vedette.papers.ssd.SSD.forward\n    options:\n" in shown
    assert "\n      show_source: true\n" in shown
    assert "\n      heading: SSD.forward\n" in shown
    page.file.src_uri = "reference/models.md"
    assert code.on_page_markdown(text, page=page) == text


def test_the_photographs_glass_boxes_are_pages_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learn leads to them where the comment stands."""
    glass = import_module("website.glass")
    monkeypatch.setattr("vedette.load", lambda *_, **__: Detector(tiny.refinedet(), device="cpu"))
    config: Any = SimpleNamespace(
        site_dir="site", use_directory_urls=False, plugins=SimpleNamespace(_current_plugin="glass")
    )
    glass.glass_boxes.cache_clear()
    made = {file.src_uri: file for file in glass.on_files(Files([]), config=config)}
    glass.glass_boxes.cache_clear()
    assert list(made) == ["learn/chelsea.html", "learn/astronaut.html"]
    assert "<h1>What refinedet320-lite0 finds in chelsea.jpg</h1>" in made["learn/chelsea.html"].content_string
    assert not any(file.is_documentation_page() for file in made.values())
    learn = (TOOLS.parent / "docs" / "learn" / "refinedet.md").read_text(encoding="utf-8")
    shown = glass.on_page_markdown(learn)
    assert all(f"({Path(uri).name})" in shown for uri in made)
    assert glass.PLACE not in shown
