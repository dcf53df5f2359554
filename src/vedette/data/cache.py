"""Where what was worked out once is kept for the next time."""

import os
from pathlib import Path

from vedette.data.atomic import write_whole
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


def check_cache(file: Path) -> None:
    """Raises InputError where a file cannot be kept in its folder: before the minutes of work that it takes to make."""
    trial = file.with_suffix(".trial")
    try:
        write_whole(trial, lambda stream: stream.write(b"\0"))
        trial.unlink(missing_ok=True)
    except (InputError, OSError) as error:
        raise InputError(f"{error}; set XDG_CACHE_HOME to another folder") from None
