"""An exported file by its path: which library runs it, and one line where it cannot."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from vedette.errors import InputError
from vedette.infer.backends.session import Session
from vedette.weights.exported import SUFFIXES

HOMES = dict(zip(SUFFIXES, ("onnx", "openvino", "pt2"), strict=True))


def is_exported(path: Path) -> bool:
    """Whether a file's suffix is one that `vedette export` writes."""
    return path.suffix.lower() in SUFFIXES


def open_session(path: Path, bf16: bool = False) -> Session:
    """bf16: it runs in bfloat16. Raises InputError for a file that cannot be read or is not ours, and where the library
    or its kernels are missing.
    """
    home: Any = import_module(f"vedette.infer.backends.{HOMES[path.suffix.lower()]}")
    session: Session = home.open_session(path, bf16)
    return session


def needed(package: str, why: str) -> Any:
    """A package of the extra `export`; raises InputError that names what to install."""
    try:
        return import_module(package)
    except ImportError:
        raise InputError(f'{why}: needs {package}; pip install "vedette[export]"') from None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever a library raises at a file becomes one line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # each library has its own, and some raise RuntimeError for everything
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
        raise InputError(f"{path}: cannot be read ({reason}); copy it or export it again") from None
