"""numpy's arrays in a plain pickle, as tensors; nothing that the file names is looked up, let alone run.

Stand-ins take the place of numpy's constructors, of which a malformed dtype ends the process. Python's own unpickler,
not the one in C, which fills memory for a memo entry of a high number.
"""

import pickle
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

CODES = ("b1", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8")  # of the dtypes that a tensor has too
UNUSED = {
    code[0]
    for code in (
        *(pickle.EMPTY_SET, pickle.FROZENSET, pickle.ADDITEMS, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
        *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID, pickle.INST, pickle.OBJ),
    )
}
ORDERS = ("<", ">", "=", "|")


class Dtype:
    """As numpy pickles one: a code, and the order of the bytes as its state."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, *_: Any) -> None:
        if code not in CODES:
            raise pickle.UnpicklingError(f"no tensor has the dtype {code!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *fields = state[:5]
        if order not in ORDERS or fields != [None] * 3:
            raise pickle.UnpicklingError(f"no tensor has a dtype with the state {state!r}")
        self.order = order


class Array:
    """As numpy pickles one: empty at first, then shape, dtype, order and bytes as its state."""

    __slots__ = ("tensor",)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        self.tensor = tensor_of(_as_bytes(data), dtype, shape, "F" if fortran else "C")


class _Call:
    """A function that a file may call, and do nothing else with: a file could set attributes of a plain one."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *given: Any) -> Any:
        return self.function(*given)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a function has no state")


def tensor_of(data: bytes, dtype: Dtype, shape: tuple[int, ...], order: Any = "C") -> Tensor:
    """The bytes of an array as a tensor of its own; raises ValueError where they do not fit the shape."""
    if not isinstance(dtype, Dtype) or any(not isinstance(side, int) or side < 0 for side in shape):
        raise ValueError(f"no array has the shape {shape!r}")
    values = np.frombuffer(data, f"{dtype.order}{dtype.code}").reshape(shape, order=order)
    return torch.from_numpy(values.astype(f"={dtype.code}", order="C"))


def _scalar(dtype: Dtype, data: Any) -> Array:
    number = Array()
    number.tensor = tensor_of(_as_bytes(data), dtype, ())
    return number


def _from_buffer(data: Any, dtype: Dtype, shape: tuple[int, ...], order: str) -> Array:
    array = Array()
    array.tensor = tensor_of(_as_bytes(data), dtype, shape, order)
    return array


def _as_bytes(text: Any, *_: Any) -> bytes:
    """Python 2's bytes come as text of Latin letters."""
    return text.encode("latin1") if isinstance(text, str) else bytes(memoryview(text))


class Names(dict[Any, Any]):
    """A dict of names; a key of tuples in tuples would end the process when it is hashed."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, str | int):
            raise pickle.UnpicklingError("a key that is no name")
        super().__setitem__(key, value)

    @classmethod
    def of(cls, pairs: Iterable[tuple[Any, Any]] = ()) -> "Names":
        """Of pairs of a name and a value."""
        names = cls()
        for key, value in pairs:
            names[key] = value
        return names


STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Dtype,
    ("_codecs", "encode"): _Call(_as_bytes),
    ("__builtin__", "bytes"): _Call(lambda: b""),  # how Python 3 writes no bytes at all for Python 2
    ("collections", "OrderedDict"): _Call(Names.of),
}
for core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    STAND_INS[core + ".multiarray", "_reconstruct"] = _Call(lambda *_: Array())
    STAND_INS[core + ".multiarray", "scalar"] = _Call(_scalar)
    STAND_INS[core + ".numeric", "_frombuffer"] = _Call(_from_buffer)


class _Unpickler(pickle._Unpickler):
    """Without what no array needs and a file could do harm with: sets, buffers, extensions, objects of others."""

    dispatch: ClassVar[dict[int, Any]] = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code not in UNUSED
    }

    def load_empty_dictionary(self) -> None:
        """One that takes names alone."""
        self.append(Names())  # type: ignore[attr-defined]

    def load_dict(self) -> None:
        """The same from a row of keys and values."""
        row = self.pop_mark()  # type: ignore[attr-defined]
        self.append(Names.of(zip(row[::2], row[1::2], strict=True)))  # type: ignore[attr-defined]

    def load_bytearray8(self) -> None:
        """Python's own takes as much memory as the file says, before it reads."""
        length = int.from_bytes(self.read(8), "little")  # type: ignore[attr-defined]
        self.append(bytearray(self.read(length)))  # type: ignore[attr-defined]

    dispatch |= {pickle.EMPTY_DICT[0]: load_empty_dictionary, pickle.DICT[0]: load_dict}
    dispatch |= {pickle.BYTEARRAY8[0]: load_bytearray8}

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for exactly this name of exactly this module; raises UnpicklingError for every other one."""
        if (module, name) not in STAND_INS:
            raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {module}.{name}")
        return STAND_INS[module, name]


def read_arrays(content: bytes) -> Any:
    """What a pickle holds, as detectron2's zoo has them: {"model": {name: array}}; the arrays of a dict as tensors.

    Raises UnpicklingError for a name that is not numpy's, and whatever a damaged file makes the reader raise.
    """
    read = _Unpickler(BytesIO(content), encoding="latin1").load()
    held = read.get("model", read) if isinstance(read, dict) else read
    if not isinstance(held, dict):
        return held
    return {name: value.tensor if isinstance(value, Array) else value for name, value in held.items()}
