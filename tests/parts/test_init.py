"""How new layers start."""

from math import sqrt

import pytest
import torch
from torch import nn

from vedette.parts.init import initialize


def layers() -> list[nn.Module]:
    up = nn.ConvTranspose2d(64, 32, 2, stride=2)
    return [nn.Sequential(nn.Conv2d(64, 128, 3), nn.ReLU()), up, nn.Conv2d(64, 64, 1, bias=False)]


def test_xavier_is_uniform_within_its_bounds() -> None:
    modules = layers()
    initialize(modules, "xavier")
    weight = modules[0][0].weight
    bound = sqrt(6 / (9 * 64 + 9 * 128))
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / sqrt(3), rel=0.02)


def test_gaussian_has_a_standard_deviation_of_a_hundredth() -> None:
    modules = layers()
    initialize(modules, "gaussian")
    for weight in (modules[0][0].weight, modules[1].weight, modules[2].weight):
        assert weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("kind", ["xavier", "gaussian"])
def test_biases_start_at_zero(kind: str) -> None:
    modules = layers()
    initialize(modules, kind)  # type: ignore[arg-type]
    assert not torch.cat([modules[0][0].bias, modules[1].bias]).any()
