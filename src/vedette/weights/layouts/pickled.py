"""State dicts from PyTorch's pickled files, read without running anything that they contain."""

import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

from torch import Tensor

from vedette.errors import InputError
from vedette.weights.finite import check_finite
from vedette.weights.layouts.arrays import Array
from vedette.weights.layouts.inert import Made
from vedette.weights.layouts.nesting import Weights, is_tensor, weights_in
from vedette.weights.layouts.torch_files import Stored, read_file

SHOWN = 3
EXTRA = "_extra_state"  # of modules, which is no weight


class Picked(NamedTuple):
    """The weights of a file, one state dict of those that it has."""

    tensors: dict[str, Tensor]
    place: str  # where it was
    others: tuple[str, ...]  # where the other ones are


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth file by name, whatever they are of; raises InputError as `read_content` and `pick` do."""
    return pick(path, read_content(path)).tensors


def read_content(path: Path) -> Any:
    """What a file holds, for `pick`: tensors are not read yet, and objects of the file's own classes are inert.

    Raises InputError where the file is missing, damaged or of another kind.
    """
    try:
        return read_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnpicklingError:
        raise InputError(f"{path}: not a PyTorch checkpoint") from None
    except NotImplementedError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception:  # whatever a damaged file makes the readers raise
        kind = "safetensors file" if path.suffix == ".safetensors" else "PyTorch checkpoint"
        raise InputError(f"{path}: a damaged {kind}, or none at all") from None


def pick(path: Path, content: Any, has: str | None = None, key: str | None = None) -> Picked:
    """The state dict of a file's content that has a tensor whose name is the expression `has`.

    key: which, where there are several; else the one that is not an average over a training.

    Raises InputError where there is none, or more than one and no key to choose, or one with other than finite tensors.
    """
    found = _found(path, content, has)
    chosen = _chosen(path, found, key)
    tensors = {name: _read(path, name, value) for name, value in chosen.tensors.items() if not name.endswith(EXTRA)}
    check_finite(tensors, path)
    return Picked(tensors, chosen.place, tuple(one.place for one in found if one is not chosen))


def _found(path: Path, content: Any, has: str | None) -> list[Weights]:
    try:
        found = weights_in(content, has)
    except Exception:  # a module that is none
        raise InputError(f"{path}: a damaged PyTorch checkpoint, or none at all") from None
    if not found:
        raise InputError(f"{path}: {no_weights(content)}")
    return found


def _chosen(path: Path, found: list[Weights], key: str | None) -> Weights:
    places = ", ".join(one.place for one in found)
    if key is not None:
        named = [one for one in found if key in (one.place, *one.copies)]
        if not named:
            raise InputError(f"--key {key}: {path} has no weights there; it has {places}")
        return named[0]
    plain = [one for one in found if not one.averaged] or found
    if len(plain) > 1:
        raise InputError(
            f"{path}: holds the weights of {len(found)} models: {places}; choose one: --key {plain[0].place}"
        )
    return plain[0]


def _read(path: Path, name: str, value: Any) -> Tensor:
    if not is_tensor(value):
        why = _needs(value) if isinstance(value, Made) else f"is {_what_it_is(value)}, not a tensor"
        raise InputError(f"{path}: {name[:80]!r} {why}; save the state dict alone")
    try:
        return value.read() if isinstance(value, Stored | Array) else value
    except Exception:  # whatever a damaged file makes the readers raise
        raise InputError(f"{path}: a damaged PyTorch checkpoint, or none at all") from None


def no_weights(content: Any) -> str:
    """Why nothing of a file's content is a state dict: for a message."""
    foreign = _first_foreign(content)
    if foreign is not None:
        return f"{_needs(foreign)}; save model.state_dict() alone"
    return f"holds {_what_it_is(content)}, not a state dict; save model.state_dict()"


def _needs(made: Made) -> str:
    return f"needs {_printable(made.name)} to be read, and pickled code is not run here"


def _first_foreign(content: Any) -> Made | None:
    """What code of a file's own would make, among the content's first hundred things."""
    waiting = [content]
    for _ in range(100):
        value = waiting.pop(0) if waiting else None
        if isinstance(value, Made):
            return value
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return None


def _what_it_is(value: Any) -> str:
    if isinstance(value, dict) and value:
        keys = ", ".join(repr(key[:60]) for key in list(value)[:SHOWN])
        return f"a dict of {keys}{' …' if len(value) > SHOWN else ''}"
    return "a dict without names" if isinstance(value, dict) else f"a {type(value).__name__}"


def _printable(name: str) -> str:
    """A name of a file's, which may be anything, in one line."""
    return re.sub(r"[^\w.<>]", "?", name)[:100]
