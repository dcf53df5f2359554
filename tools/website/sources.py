"""A hook of mkdocs: what pages link to outside of docs/ becomes a page of the site, and so does a folder in it.

On the repository's host a relative link shows the file it names. The site has no repository beside it, so each such
file is shown on a page of its own, with its lines numbered, and a folder as the list of its files. Markdown is shown as
such, and what it links to follows.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(?=[#)])")  # the path of a relative link
WIDE = "---\nhide: [navigation, toc]\n---\n"  # lines of code have 120 letters
PAGES = "source"  # the folder of the site for pages of files


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds a page for every file and folder that is linked to and has none."""
    waiting = {target for file in files.documentation_pages() for target in targets(file.src_uri, file.content_string)}
    made: set[str] = set()
    while waiting:
        path = waiting.pop()
        if needs_page(path) and path not in made:
            made.add(path)
            text = text_of(path)
            files.append(File.generated(config, place_of(path), content=text))
            waiting |= targets(place_of(path), text)
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links to files of the repository to their pages."""
    here = page.file.src_uri

    def lead(link: re.Match[str]) -> str:
        return posixpath.relpath(place_of(target_of(here, link[1])), posixpath.dirname(here) or ".")

    return LINK.sub(lead, markdown) if has_links(origin_of(here)) else markdown


def targets(place: str, text: str) -> set[str]:
    """The paths in the repository that the relative links of a page lead to."""
    return {target_of(place, link) for link in LINK.findall(text)} if has_links(origin_of(place)) else set()


def target_of(place: str, link: str) -> str:
    """The path in the repository of a link on the page at that place of the site."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin_of(place)), link))


def origin_of(place: str) -> str:
    """The path in the repository of what the page at that place shows."""
    path = place.removeprefix(f"{PAGES}/")
    if path == place:
        return f"docs/{place}"
    return path if is_markdown(path) and (ROOT / path).is_file() else path.removesuffix(".md")


def place_of(path: str) -> str:
    """Where the site shows a path of the repository."""
    if not needs_page(path):
        return posixpath.relpath(path, "docs")
    return f"{PAGES}/{path if is_markdown(path) else path + '.md'}"


def needs_page(path: str) -> bool:
    """Whether a path is outside of docs/, or a folder; what does not exist is left to mkdocs to complain of."""
    inside = path == "docs" or path.startswith("docs/")
    return (ROOT / path).exists() and (not inside or (ROOT / path).is_dir())


def is_markdown(path: str) -> bool:
    """Whether its text is a page as it stands."""
    return path.endswith(".md")


def has_links(path: str) -> bool:
    """Whether its page has links: those of Markdown, and of a folder to its files."""
    return is_markdown(path) or (ROOT / path).is_dir()


def text_of(path: str) -> str:
    """The page of a file or a folder."""
    file = ROOT / path
    if file.is_dir():
        return f"# {path}\n\n" + "".join(f"- [{one.name}]({file.name}/{one.name})\n" for one in sorted(file.iterdir()))
    text = file.read_text(encoding="utf-8")
    return text if is_markdown(path) else f"{WIDE}# {path}\n\n~~~~~~ {{.{file.suffix[1:]} linenums=1}}\n{text}~~~~~~\n"
