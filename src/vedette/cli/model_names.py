"""What a page calls the detectors that the command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

OF_TRAININGS = ("best", "last")  # weights of every training, so that the folder tells which one it was


def called(models: Sequence[str]) -> list[str]:
    """A weight file by its name without suffix, a training's with its folder's; all as given where two are alike."""
    names = [_called(model) for model in models]
    return names if len(set(names)) == len(names) else list(models)


def _called(model: str) -> str:
    file = Path(model)
    if not file.is_file():
        return model
    folder = file.absolute().parent.name
    return f"{folder}/{file.stem}" if file.stem in OF_TRAININGS and folder else file.stem
