"""numpy's arrays in pickles: every protocol, order and dtype, and files that want more than to be read."""

import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vedette.errors import InputError
from vedette.weights.layouts.arrays import ARRAYS, CODES, Array
from vedette.weights.layouts.inert import Unpickler
from vedette.weights.layouts.pickled import read_state_dict

PYTHON_2 = (  # {"a": numpy.array([1, 2], ">i2")}, as Python 2 and numpy 1 write it
    b"\x80\x02}q\x01U\x01aq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05("
    b"K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02i2K\x00K\x01\x87R(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x04\x00\x01\x00\x02tbs."
)


def read_arrays(content: bytes) -> dict[str, torch.Tensor]:
    """The arrays that a pickle holds, under "model" or not."""
    held = Unpickler(io.BytesIO(content), ARRAYS).load()
    return {name: value.read() for name, value in held.get("model", held).items() if isinstance(value, Array)}


class Reduced:
    """Pickles as a call of `function` with `given`, and with `state` set afterwards."""

    def __init__(self, function: Any, given: tuple[Any, ...], state: Any = None) -> None:
        self.reduced = (function, given) if state is None else (function, given, state)

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("code", CODES)
def test_every_array_is_read_as_it_was(protocol: int, code: str) -> None:
    values = (np.arange(24) % 2 if code == "b1" else np.arange(24)).astype(code).reshape(2, 3, 4)
    swapped = values.astype(values.dtype.newbyteorder(">"))
    arrays = {"plain": values, "fortran": np.asfortranarray(values), "swapped": swapped, "part": values[:, 1:, ::2]}
    arrays |= {"none": values[:0], "number": np.array(values[0, 0, 1])}
    read = read_arrays(pickle.dumps({"model": arrays | {"scalar, which no weight is": values[0, 0, 1]}}, protocol))
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert torch.equal(read[name], torch.from_numpy(array.astype(code, order="C")))


def test_arrays_of_python_2() -> None:
    assert read_arrays(PYTHON_2)["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "name", ["numpy.f2py.__main__ main", "numpy.f2py.__main__ dtype", "numpy.f2py ndarray", "os system", "numpy load"]
)
def test_a_name_that_is_not_an_arrays_is_refused(tmp_path: Path, name: str) -> None:
    module, what = name.split()
    path = tmp_path / "bad.pkl"
    path.write_bytes(b"\x80\x02}U\x05modelc" + f"{module}\n{what}\n".encode() + b"(U\x04-hhhtRs.")
    with pytest.raises(InputError, match=f"needs {module}.{what} to be read, and pickled code is not run here"):
        read_state_dict(path)


@pytest.mark.slow
def test_a_malformed_dtype_ends_no_process(tmp_path: Path) -> None:
    """numpy's own constructor dies of some: another process reads them here."""
    good = (3, "<", None, None, None, -1, -1, 0)
    states = [
        good,
        (4, "|", ("f4", (3,)), None, None, 12, 4, 16),
        (3, "|", None, ("a",), {"a": 1}, 4, 1, 0),
        (9,),
        (),
        1,
    ]
    for number, state in enumerate(states):
        dtype = Reduced(np.dtype, ("f4", False, True), state)
        array = Reduced(*np.zeros(0).__reduce__()[:2], (1, (2,), dtype, False, b"\0" * 8))
        (tmp_path / f"{number}.pkl").write_bytes(pickle.dumps({"model": {"a": array}}, 3))
    program = """
import sys
from pathlib import Path
from vedette.errors import InputError
from vedette.weights.layouts.pickled import read_state_dict
for path in sorted(Path(sys.argv[1]).glob("*.pkl")):
    try:
        print(path.stem, *read_state_dict(path))
    except InputError as error:
        print(path.stem, "checkpoint" in str(error))
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "a", *(word for n in range(1, len(states)) for word in (str(n), "True"))]


@pytest.mark.parametrize(
    ("shape", "data"),
    [((3,), b"\0" * 8), ((-1,), b"\0" * 8), ((2.0,), b"\0" * 8), ((2**40,), b""), ((2,), 8), (2, b"")],
)
def test_shapes_and_bytes_that_do_not_belong_together(tmp_path: Path, shape: Any, data: Any) -> None:
    array = Reduced(*np.zeros(0).__reduce__()[:2], (1, shape, np.dtype("f4"), False, data))
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({"model": {"a": array}}, 2))
    with pytest.raises(InputError, match=r"bad\.pkl: a damaged PyTorch checkpoint"):
        read_state_dict(tmp_path / "bad.pkl")


@pytest.mark.parametrize(
    "name", ["numpy.core.multiarray\n_reconstruct", "numpy\nndarray", "numpy\ndtype", "_codecs\nencode"]
)
@pytest.mark.parametrize("state", [b"}U\x08functionNs", b"N}U\x08functionNs\x86"])
def test_a_file_changes_nothing_for_the_next_one(name: str, state: bytes) -> None:
    """State is given to what was looked up itself: attributes of a function or a class."""
    with pytest.raises(Exception):  # noqa: B017, PT011  # of whatever kind
        read_arrays(b"\x80\x02}U\x01ac" + name.encode() + b"\n" + state + b"bs.")
    assert read_arrays(PYTHON_2)["a"].tolist() == [1, 2]


def test_a_memo_of_a_high_number_takes_no_memory() -> None:
    assert read_arrays(b"\x80\x02}r\xff\xff\xff\xff.") == {}


@pytest.mark.slow  # a process each
@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02})" + b"\x85" * 1_000_000 + b"Ns.",  # a key of tuples in tuples
        b"\x80\x02()" + b"\x85" * 1_000_000 + b"Nd.",
        b"\x80\x02ccollections\nOrderedDict\n((()" + b"\x85" * 1_000_000 + b"Nt" + b"tt" + b"R.",
        b"\x80\x04\x8f()" + b"\x85" * 1_000_000 + b"\x90.",  # in a set
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".",  # a terabyte
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b".",
    ],
)
def test_small_files_that_want_all_memory_or_all_of_the_stack(tmp_path: Path, content: bytes) -> None:
    """In another process, which may take two gigabytes more than it has."""
    (tmp_path / "bad.pkl").write_bytes(content)
    program = """
import resource, sys
from pathlib import Path
from vedette.errors import InputError
from vedette.weights.layouts.pickled import read_state_dict
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**31,) * 2)
try:
    read_state_dict(Path(sys.argv[1]))
except InputError as error:
    print(error)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "bad.pkl")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bad.pkl: " in done.stdout
