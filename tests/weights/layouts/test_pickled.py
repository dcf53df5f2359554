"""PyTorch's pickled files, whole and damaged in whatever way: a state dict, or one line."""

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from vedette.errors import InputError
from vedette.weights.layouts.pickled import read_state_dict


def test_names_lose_what_data_parallel_put_before_them(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.a": torch.ones(2)}}, tmp_path / "whole.pth")
    assert read_state_dict(tmp_path / "whole.pth")["a"].tolist() == [1, 1]


@pytest.mark.parametrize("seed", [3, 5, 12, 13, 33, 162, 224])  # each makes torch raise another kind of error
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_damaged_file_is_told_in_a_line(tmp_path: Path, seed: int) -> None:
    stream, chance = io.BytesIO(), random.Random(seed)
    torch.save({"a": torch.ones(3)}, stream, _use_new_zipfile_serialization=False)
    damaged = bytearray(stream.getvalue())
    for _ in range(chance.randint(1, 4)):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    path = tmp_path / "damaged.pth"
    path.write_bytes(damaged[: chance.randrange(len(damaged))] if seed % 2 else damaged)
    with pytest.raises(InputError, match=r"damaged\.pth: "):
        read_state_dict(path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "b": torch.tensor([1.0, torch.nan])}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=r"bad\.pth: 1 of 2 values of b are not finite"):
        read_state_dict(tmp_path / "bad.pth")


def save_script(path: Path) -> None:
    """As `torch.jit.save` does it: the module's pickle, and its code beside it."""
    with zipfile.ZipFile(path, "w") as archive:
        for inside in ("data.pkl", "constants.pkl"):
            archive.writestr(f"net/{inside}", b"\x80\x02c__torch__\nNet\n.")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        (
            "cut.safetensors",
            lambda path: path.write_bytes(save({"a": torch.ones(30)})[:-9]),
            "a damaged safetensors file",
        ),
        ("jit.pt", save_script, "a TorchScript file, which is not read; save model.state_dict()"),
        ("numbers.pth", lambda path: torch.save({1: {2: torch.ones(3)}}, path), "holds a dict without names, not a"),
        ("nothing.pth", lambda path: torch.save({}, path), "holds a dict without names, not a state dict"),
    ],
)
def test_a_file_without_weights_is_called_what_it_is(
    tmp_path: Path, name: str, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(InputError) as told:
        read_state_dict(tmp_path / name)
    assert message in str(told.value)
