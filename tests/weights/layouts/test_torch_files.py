"""PyTorch's files: every dtype and view as it was saved, and what only somebody who means harm would write."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vedette.errors import InputError
from vedette.weights.layouts.pickled import read_state_dict


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_is_what_its_storage_holds(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    weights: dict[str, Tensor] = {"view": base[:, 1:, ::2], "turned": base.permute(2, 0, 1), "none": base[:0]}
    weights |= {"number": base[1, 2, 3], "half": base.half(), "bf16": base.bfloat16(), "long": base.long()}
    weights |= {"bool": base > 3, "byte": base.byte(), "double": base.double(), "parameter": nn.Parameter(base[0])}
    torch.save(weights, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    found = read_state_dict(tmp_path / "a.pth")
    assert list(found) == list(weights)
    for name, tensor in weights.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_safetensors_of_others_are_read(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"model.a.weight": torch.ones(2)}, tmp_path / "a.safetensors")
    assert read_state_dict(tmp_path / "a.safetensors")["model.a.weight"].tolist() == [1, 1]


def rewritten(path: Path, change: Callable[[str, bytes], bytes], how: int = zipfile.ZIP_STORED) -> None:
    """The zip with each of its files changed."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, change(name, content))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save({"a": torch.ones(3), "b.c": torch.zeros(5)}, tmp_path / "a.pth")
    return tmp_path / "a.pth"


def test_numbers_in_another_order_are_refused(saved: Path) -> None:
    rewritten(saved, lambda _, content: content)
    assert read_state_dict(saved)["a"].tolist() == [1, 1, 1]
    rewritten(saved, lambda name, content: b"big" if name.endswith("byteorder") else content)
    with pytest.raises(InputError, match=r"a\.pth: not a PyTorch checkpoint"):
        read_state_dict(saved)


def test_a_zip_that_unpacks_to_more_is_refused(saved: Path) -> None:
    rewritten(saved, lambda _, content: content, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match=r"a\.pth: a damaged"):
        read_state_dict(saved)


def test_a_storage_that_is_missing_or_too_small_is_refused(saved: Path) -> None:
    rewritten(saved, lambda name, content: content[:8] if name.endswith("data/0") else content)
    with pytest.raises(InputError, match=r"a\.pth: a damaged"):
        read_state_dict(saved)


def test_a_number_repeated_without_end_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(()).expand(2**29)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth: a damaged"):
        read_state_dict(tmp_path / "a.pth")
