"""Annotated images: reading, checking, writing, loading; data sets of other packages, both ways."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vedette.data.huggingface import from_huggingface, to_huggingface
    from vedette.data.supervision import from_supervision, to_supervision

__all__ = ["from_huggingface", "from_supervision", "to_huggingface", "to_supervision"]


def __getattr__(name: str) -> Any:
    """Imported when they are first used: the command line's help imports this package, and must not wait for numpy."""
    if name in __all__:
        return getattr(import_module(f"vedette.data.{name.split('_')[-1]}"), name)
    raise AttributeError(f"module 'vedette.data' has no attribute {name!r}")
