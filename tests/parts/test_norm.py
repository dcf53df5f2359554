"""Batch norm that survives a single value a channel."""

import pytest
import torch
from torch import nn

from vedette.parts.norm import BatchNorm


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (1, 3, 2, 1), (2, 3, 4, 4)])
def test_is_batch_norm_where_there_are_statistics(shape: tuple[int, ...]) -> None:
    ours, theirs, x = BatchNorm(3), nn.BatchNorm2d(3), torch.randn(shape)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_one_value_a_channel_uses_the_running_statistics() -> None:
    norm, x = BatchNorm(3), torch.randn(1, 3, 1, 1)
    norm.running_mean[:], norm.running_var[:] = torch.randn(3), torch.rand(3) + 0.5
    norm.weight.data, norm.bias.data = torch.randn(3), torch.randn(3)
    before = norm.running_mean.clone()
    shown = norm(x)
    assert torch.equal(norm.running_mean, before)
    assert torch.equal(shown, norm.eval()(x))
    shown.sum().backward()
    assert torch.isfinite(norm.weight.grad).all()


def test_no_images() -> None:
    assert BatchNorm(3)(torch.zeros(0, 3, 2, 2)).shape == (0, 3, 2, 2)
