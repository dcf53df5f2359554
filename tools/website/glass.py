"""A hook of mkdocs: the glass boxes of the bundled photographs, pages of the site that Learn leads to.

They are made while the site is built, so they are not in the repository, where nobody would see more than their text:
a comment stands there in place of the links.
"""

from functools import cache
from importlib.resources import as_file, files
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import vedette
from vedette.glass.page import View, page

MODEL, FOLDER = "refinedet320-lite0", "learn"
PHOTOGRAPHS = ("chelsea.jpg", "astronaut.jpg")
PLACE = "<!-- the glass boxes of the photographs -->"
LINKS = " and ".join(f"[{name}]({name.removesuffix('.jpg')}.html)" for name in PHOTOGRAPHS)
SENTENCE = f"Alive, step by step: what the bundled detector made of {LINKS}. Click anywhere, or take the tour."


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds a page for each photograph."""
    for name, text in glass_boxes().items():
        files.append(File.generated(config, f"{FOLDER}/{name.removesuffix('.jpg')}.html", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Leads to them from where the comment stands."""
    return markdown.replace(PLACE, SENTENCE)


@cache
def glass_boxes() -> dict[str, str]:
    """The page of each photograph."""
    detector, made = vedette.load(MODEL, device="cpu"), dict[str, str]()
    for name in PHOTOGRAPHS:
        with as_file(files("vedette") / "assets" / "demo" / name) as photograph:
            made[name] = page([View(MODEL, vedette.explain(detector, photograph))], name)
    return made
