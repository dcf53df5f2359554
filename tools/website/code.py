"""A hook of mkdocs: on the Learn pages a symbol (`::: vedette.…`) is shown as its code, not as its documentation."""

import re
from typing import Any

SYMBOL = re.compile(r"^::: (vedette\.\w+\.\w+)\.(\S+)$", re.MULTILINE)  # module, name in it
OPTIONS = {
    "heading_level": 4,
    "members": "[]",
    "separate_signature": "false",
    "show_bases": "false",
    "show_docstring_description": "false",
    "show_signature": "false",
    "show_source": "true",
}


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Tells mkdocstrings so below every symbol."""
    if not page.file.src_uri.startswith("learn/"):
        return markdown
    options = "".join(f"\n      {name}: {value}" for name, value in OPTIONS.items())
    named = "\n      heading: \\2\n      toc_label: \\2"
    return SYMBOL.sub(rf"::: \1.\2\n    options:{options}{named}", markdown)
