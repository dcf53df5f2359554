"""The state of a run on disk: all that --resume needs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from vedette.data.atomic import write_whole
from vedette.errors import InputError

LAST = "last.pt"
FORMAT = 2  # of what a run keeps in its files; 1 grouped the optimizer's parameters otherwise


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Writes `state`, tensors and plain values; raises InputError where that cannot be."""
    write_whole(path, lambda file: torch.save({"format": FORMAT, **state}, file))


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """The same with a safetensors file, for what is not read with all the rest."""
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    write_whole(path, lambda file: file.write(content))


@contextmanager
def removed_if_damaged(file: Path) -> Iterator[None]:
    """Raises InputError where the file has not what it is to have, and removes it: a resumed run makes it again."""
    try:
        yield
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        file.unlink()
        why = str(error).splitlines()[0]
        raise InputError(f"{file}: is damaged ({why}) and was removed; go on with --resume") from None


def read_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, on the CPU; raises InputError where that is not there, or another version's."""
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume; start the run without --resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path}: not a readable checkpoint ({str(error).splitlines()[0]})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(
            f"{path}: written by another version of vedette, which cannot be gone on with; train anew, in another "
            "folder, with --init and the weights of this one"
        )
    return state
