"""numpy's arrays in a pickle: stand-ins for numpy's constructors, of which a malformed dtype ends the process.

An array becomes a tensor when it is asked for; others, such as those of texts beside the weights, do no harm.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vedette.weights.layouts.inert import Call, StandIns

CODES = ("b1", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8")  # of the dtypes that a tensor has too
ORDERS = ("<", ">", "=", "|")


class Dtype:
    """As numpy pickles one: a code, and the order of the bytes in its state."""

    __slots__ = ("code", "state")

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.state = code, (3, "=", None, None, None)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __str__(self) -> str:
        """Order and code as numpy reads them; raises ValueError for a dtype that no tensor has."""
        _, order, *fields = self.state[:5]
        if self.code not in CODES or order not in ORDERS or fields != [None] * 3:
            raise ValueError(f"no tensor has the dtype {self.code!r}")
        return f"{order}{self.code}"


class Array:
    """As numpy pickles one: empty at first, then shape, dtype, order and bytes as its state."""

    __slots__ = ("state",)

    def __init__(self, *state: Any) -> None:
        self.state = state

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.state = (data, dtype, shape, "F" if fortran else "C")

    def read(self) -> Tensor:
        """The array as a tensor of its own; raises ValueError or TypeError where its bytes do not fit its shape."""
        data, dtype, shape, order = self.state
        if not isinstance(dtype, Dtype) or any(not isinstance(side, int) or side < 0 for side in shape):
            raise ValueError(f"no array has the shape {shape!r}")
        values = np.frombuffer(_as_bytes(data), str(dtype)).reshape(shape, order=order)
        return torch.from_numpy(values.astype(f"={dtype.code}", order="C"))


def _as_bytes(text: Any, *_: Any) -> bytes:
    """Python 2's bytes come as text of Latin letters."""
    return text.encode("latin1") if isinstance(text, str) else bytes(memoryview(text))


ARRAYS: StandIns = {
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): Dtype,
    ("_codecs", "encode"): Call(_as_bytes),
    ("__builtin__", "bytes"): Call(lambda: b""),  # how Python 3 writes no bytes at all for Python 2
    **{
        (f"{core}.{module}", name): Call(make)
        for core in ("numpy.core", "numpy._core")  # numpy 1 and 2
        for module, name, make in (
            ("multiarray", "_reconstruct", lambda *_: Array()),
            ("numeric", "_frombuffer", Array),
        )
    },
}
