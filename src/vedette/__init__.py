"""Vedette: anchor-based object detectors, each in one file that reads like its paper."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vedette.errors import InputError
    from vedette.export.backends import load
    from vedette.glass.trace import explain
    from vedette.infer.detector import Detector
    from vedette.structures import Detections, InputSpec, Target
    from vedette.zoo import build, models

__version__ = version("vedette")
__all__ = ["Detections", "Detector", "InputError", "InputSpec", "Target", "build", "explain", "load", "models"]

_HOMES = {
    "build": "vedette.zoo",
    "explain": "vedette.glass.trace",
    "load": "vedette.export.backends",
    "models": "vedette.zoo",
    "Detector": "vedette.infer.detector",
    "Detections": "vedette.structures",
    "InputSpec": "vedette.structures",
    "Target": "vedette.structures",
    "InputError": "vedette.errors",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used: torch takes seconds to load, `--help` must not."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'vedette' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
