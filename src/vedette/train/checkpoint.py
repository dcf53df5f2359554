"""The state of a run on disk: all that --resume needs, the last two of them, each sealed by a checksum."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from vedette.data.atomic import write_whole
from vedette.errors import InputError

LAST, PREVIOUS = "last.pt", "previous.pt"
FORMAT = 4  # of what a run keeps in its files
SEAL = b"vedette sha256 "  # and the digest: behind the zip file, where torch.load does not look


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Writes `state`, tensors and plain values; the checkpoint before becomes previous.pt.

    Raises InputError where that cannot be.
    """
    stream = BytesIO()  # torch tells a full disk in words of its own
    torch.save({"format": FORMAT, **state}, stream)
    content = stream.getbuffer()

    def write(file: Any) -> None:
        file.write(content)
        file.write(SEAL + sha256(content).digest())

    write_whole(path, write, before=path.with_name(PREVIOUS))


def read_state(path: Path, say: Callable[[str], None] | None = None) -> dict[str, Any]:
    """What `save_state` wrote, on the CPU; where that is damaged or gone, the one before, which is said.

    Raises InputError where there is none to go on with, or one of another version alone.
    """
    older = path.with_name(PREVIOUS)
    try:
        return _read(path)
    except InputError as error:
        if not older.is_file():
            raise
        why = error
    state = _read(older)
    if say is not None:
        say(f"note: {why}; going on from {older.name}, the checkpoint before")
    path.unlink(missing_ok=True)  # or the next to be saved would put it in the place of the good one
    return state


def has_state(folder: Path) -> bool:
    """Whether there is a checkpoint in the folder."""
    return (folder / LAST).is_file() or (folder / PREVIOUS).is_file()


def epochs_done(folder: Path) -> int:
    """By the folder's run; raises InputError where it has no checkpoint that can be gone on with."""
    try:
        state = _read(folder / LAST)
    except InputError:
        if not (folder / PREVIOUS).is_file():
            raise
        state = _read(folder / PREVIOUS)
    return int(state.get("epoch", 0))


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume; start the run without --resume")
    damaged = InputError(f"{path}: not a whole checkpoint: cut off, or changed since it was written")
    try:
        content = memoryview(path.read_bytes())
        sealed = bytes(content[-len(SEAL) - 32 : -32]) == SEAL
        if sealed and sha256(content[: -len(SEAL) - 32]).digest() != content[-32:]:
            raise damaged
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception:  # whatever a damaged file makes the reader raise
        raise damaged from None
    if not isinstance(state, dict) or not sealed or state.get("format") != FORMAT:
        raise InputError(
            f"{path}: written by another version of vedette, which cannot be gone on with; train anew, in another "
            "folder, with --init and the weights of this one"
        )
    return state


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file, for what is not read with all the rest; raises InputError where it cannot be written."""
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    write_whole(path, lambda file: file.write(content))


@contextmanager
def removed_if_damaged(file: Path) -> Iterator[None]:
    """Raises InputError where the file has not what it is to have, and removes it: a resumed run makes it again."""
    try:
        yield
    except (SafetensorError, KeyError, TypeError, RuntimeError) as error:
        file.unlink(missing_ok=True)
        why = str(error).splitlines()[0]
        raise InputError(f"{file}: is damaged ({why}) and was removed; go on with --resume") from None
