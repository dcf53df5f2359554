"""PyTorch's pickled files, whole and damaged in whatever way: a state dict, or one line."""

import io
import random
from pathlib import Path

import pytest
import torch

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
