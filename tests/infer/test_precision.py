"""bf16 is the default only where the device computes in it."""

import pytest
import torch

from vedette.infer.precision import fast_precision


@pytest.mark.parametrize(
    ("amx", "avx512", "expected"),
    [(True, False, "bf16"), (False, True, "bf16"), (True, True, "bf16"), (False, False, "fp32")],
)
def test_a_cpu_trains_in_bf16_where_it_has_instructions(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx512: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    assert fast_precision(torch.device("cpu")) == expected


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_is_asked_without_imitation(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert fast_precision(torch.device("cuda")) == ("bf16" if native else "fp32")


def test_other_devices_train_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert fast_precision(torch.device("meta")) == "fp32"
