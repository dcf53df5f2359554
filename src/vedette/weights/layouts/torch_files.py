"""PyTorch's files, of today (a zip) and of before 1.6, and plain pickles: what they hold, tensors by their place.

A tensor's numbers are read when it is asked for, so an optimizer's state costs nothing.
"""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor

from vedette.weights.layouts.arrays import ARRAYS
from vedette.weights.layouts.inert import Call, StandIns, Unpickler

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the older format
HEADERS = 3  # pickles before the content: magic, protocol, what machine wrote it
LARGEST = 2**28  # numbers of a tensor that repeats itself; VGG-16's largest layer has 2**27
STORAGES = {
    "Double": torch.float64, "Float": torch.float32, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool,
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """Of a storage: its dtype, which is in the name of its class."""

    dtype: torch.dtype

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a class has no state")


@dataclass(frozen=True)
class Storage:
    """A run of numbers, not yet read."""

    dtype: torch.dtype
    fetch: Callable[[], bytes]

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a storage has no state")


class Stored:
    """A tensor, not yet read: a storage and where in it the tensor lies."""

    __slots__ = ("offset", "size", "storage", "stride")

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> None:
        numbers = (offset, *size, *stride)
        if not isinstance(storage, Storage) or any(type(n) is not int or n < 0 for n in numbers):
            raise pickle.UnpicklingError("no tensor is like that")
        self.storage, self.offset, self.size, self.stride = storage, offset, tuple(size), tuple(stride)

    def __setstate__(self, state: Any) -> None:
        """Attributes that somebody gave it."""

    def read(self) -> Tensor:
        """The tensor; raises RuntimeError or ValueError where its storage is too small for it."""
        content = self.storage.fetch()
        numbers = torch.frombuffer(bytearray(content), dtype=self.storage.dtype) if content else torch.empty(0)
        count = prod(self.size)
        if count > max(numbers.numel(), LARGEST):
            raise ValueError("a tensor much larger than what is stored of it")
        return numbers.to(self.storage.dtype).as_strided(self.size, self.stride, self.offset)


def _as_it_is(tensor: Any, *_: Any) -> Any:
    return tensor


def _of_a_type(function: Any, _: Any, given: Any, __: Any) -> Any:
    """A tensor with attributes, or of a class of its own: the plain one."""
    if not isinstance(function, Call):
        raise pickle.UnpicklingError("a tensor of an unknown kind")
    return function(*given)


TENSORS: StandIns = {
    **ARRAYS,
    **{("torch", f"{name}Storage"): Kind(dtype) for name, dtype in STORAGES.items()},
    ("torch.storage", "UntypedStorage"): Kind(torch.uint8),
    ("torch._utils", "_rebuild_tensor"): Call(Stored),
    ("torch._utils", "_rebuild_tensor_v2"): Call(Stored),
    ("torch._utils", "_rebuild_parameter"): Call(_as_it_is),
    ("torch._utils", "_rebuild_parameter_with_state"): Call(_as_it_is),
    ("torch._tensor", "_rebuild_from_type_v2"): Call(_of_a_type),
}


def read_file(path: Path) -> Any:
    """What a .pth, .pt, .pkl or .safetensors file holds: dicts, lists, `Stored` tensors and inert objects.

    Raises UnpicklingError for a file of another kind, NotImplementedError for TorchScript, OSError, and whatever a
    damaged file makes the readers raise.
    """
    content = path.read_bytes()
    if path.suffix == ".safetensors":
        return load_safetensors(content)
    if content.startswith(ZIP):
        return _read_zip(content)
    if not content.startswith(PICKLE):
        raise pickle.UnpicklingError("neither a zip nor a pickle")
    return _read_old(content) if _begins_with_magic(content) else Unpickler(BytesIO(content), ARRAYS).load()


def _read_zip(content: bytes) -> Any:
    archive = ZipFile(BytesIO(content))
    names = archive.namelist()
    if any(name.rpartition("/")[2] == "constants.pkl" for name in names):
        raise NotImplementedError("a TorchScript file, which is not read; save model.state_dict()")
    pickled = next((name for name in names if name.rpartition("/")[2] == "data.pkl"), None)
    if pickled is None or any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
        raise BadZipFile("not as torch.save writes them")
    folder = pickled.removesuffix("data.pkl")
    if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
        raise pickle.UnpicklingError("Unsupported byte order")

    def storage(pid: Any) -> Storage:
        _, kind, key, *_ = pid
        return Storage(_dtype(kind), lambda: archive.read(f"{folder}data/{key}"))

    return Unpickler(BytesIO(archive.read(pickled)), TENSORS, storage).load()


def _begins_with_magic(content: bytes) -> bool:
    try:
        return bool(Unpickler(BytesIO(content[:64]), {}).load() == MAGIC)
    except Exception:  # no whole object in so few bytes: another pickle
        return False


def _read_old(content: bytes) -> Any:
    """The content, then the keys of its storages, then each one's count and numbers."""
    file = BytesIO(content)
    _, protocol, machine = (Unpickler(file, {}).load() for _ in range(HEADERS))
    if protocol != PROTOCOL or not machine.get("little_endian"):
        raise pickle.UnpicklingError("Unsupported byte order")
    dtypes: dict[str, torch.dtype] = {}
    places: dict[str, slice] = {}

    def kept(pid: Any) -> Any:
        if pid[0] == "module":  # a class, with its source
            return pid[1]
        what, kind, key, _, _, view = pid
        if what != "storage" or view is not None or not isinstance(key, str):
            raise pickle.UnpicklingError("a storage that is a part of another")
        dtypes[key] = _dtype(kind)
        return Storage(dtypes[key], lambda: content[places[key]])

    read = Unpickler(file, TENSORS, kept).load()
    for key in Unpickler(file, {}).load():
        size = int.from_bytes(file.read(8), "little") * dtypes[key].itemsize
        places[key] = slice(file.tell(), file.tell() + size)
        file.seek(size, 1)
    return read


def _dtype(kind: Any) -> torch.dtype:
    if not isinstance(kind, Kind):
        raise pickle.UnpicklingError("a storage of an unknown kind")
    return kind.dtype
