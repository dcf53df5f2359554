"""Where what was worked out once is kept for the next time."""

import os
from pathlib import Path
from tempfile import TemporaryFile

from vedette.errors import InputError


def cache_folder(kind: str) -> Path:
    """vedette/KIND in $XDG_CACHE_HOME, or else in ~/.cache; nothing is lost where it is removed.

    Raises InputError where there is neither.
    """
    root = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(root) if root else Path.home() / ".cache") / "vedette" / kind
    except RuntimeError:  # a container's user without a name
        raise InputError("there is no home folder to keep files in; set XDG_CACHE_HOME to a folder") from None


def check_cache(folder: Path) -> None:
    """Raises InputError where nothing can be kept in a folder: before the minutes of work that it takes to make it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        line = f"{folder}: nothing can be kept there ({error.strerror}); set XDG_CACHE_HOME to another folder"
        raise InputError(line) from None
