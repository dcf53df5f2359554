"""Where what can be made again is kept between commands."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """vedette/NAME in $XDG_CACHE_HOME, or else in ~/.cache."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "vedette" / name
