"""Where what was worked out once is kept for the next time."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """vedette/KIND in $XDG_CACHE_HOME, or else in ~/.cache; nothing is lost where it is removed."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "vedette" / kind
