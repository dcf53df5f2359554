"""A hook of mkdocs: the search's index as a script too, which pages opened from a disk can load (search-on-disk.js)."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig


def on_post_build(*, config: MkDocsConfig) -> None:
    """Writes search_index.js, under the name that the theme asks for."""
    index = Path(config.site_dir) / "search" / "search_index.json"
    index.with_suffix(".js").write_text(f"var __index = {index.read_text(encoding='utf-8')}", encoding="utf-8")
