"""The state of a run on disk: all that --resume needs, written so that a crash never leaves half a file."""

import os
from pathlib import Path
from typing import Any

import torch

from vedette.errors import InputError

LAST = "last.pt"


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Writes `state` (tensors and plain values) to a temporary file beside `path`, then renames it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, on the CPU; raises InputError where there is nothing to read."""
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume; start the run without --resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]})") from error
    return state
