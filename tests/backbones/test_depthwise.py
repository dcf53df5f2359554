"""Depthwise convolutions made quick: the same results, names and gradients, whatever the padding."""

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn

from vedette.backbones.depthwise import DepthwiseConv2d, quicken_depthwise


def body() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 8, 5, stride=2, padding=2, groups=8),
        Conv2dSame(8, 8, 5, stride=2, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        Conv2dSame(8, 8, 3, stride=2, groups=8, bias=False),
        nn.Conv2d(8, 8, 5, padding=2, groups=4),
        nn.Conv2d(8, 8, 5, padding=2, groups=8, padding_mode="reflect"),
    )


def test_only_depthwise_kernels_that_are_large_or_have_strides_are_replaced_and_all_keep_their_names() -> None:
    net = body()
    before = net.state_dict()
    quicken_depthwise(net, Conv2dSame)
    replaced = [isinstance(module, DepthwiseConv2d) for module in net]
    assert replaced == [False, True, True, False, True, False, False]
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(after[name].data_ptr() == before[name].data_ptr() for name in before)


@pytest.mark.parametrize("side", [33, 40])
def test_results_and_gradients_are_those_of_the_plain_convolution(side: int) -> None:
    plain = body().double()
    quick = body()
    quick.load_state_dict(plain.state_dict())
    quicken_depthwise(quick, Conv2dSame)
    x = torch.randn(2, 3, side, side)
    expected, found = plain(x.double()), quick(x)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
    expected.square().sum().backward()
    found.square().sum().backward()
    for wanted, own in zip(plain.parameters(), quick.parameters(), strict=True):
        torch.testing.assert_close(own.grad.double(), wanted.grad, rtol=1e-3, atol=1e-3)


def test_under_autocast_the_gradient_is_computed_in_float32_and_the_type_stays() -> None:
    conv = DepthwiseConv2d(nn.Conv2d(4, 4, 5, padding=2, groups=4), pads_same=False)
    x = torch.randn(1, 4, 16, 16, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = conv(x)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    grad = conv.weight.grad
    padded = nn.functional.pad(x.float(), (2, 2, 2, 2))
    expected = torch.stack([padded[0, :, i : i + 16, j : j + 16].sum((1, 2)) for i in range(5) for j in range(5)], 1)
    torch.testing.assert_close(grad.flatten(1), expected, rtol=1e-5, atol=1e-4)


def test_where_nothing_learns_it_is_the_plain_convolution_in_bf16() -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 4, 5, padding=2, groups=4)
    quick, x = DepthwiseConv2d(plain, pads_same=False), torch.randn(1, 4, 16, 16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(quick(x), plain(x))  # weights rounded to bf16: in float32 they are not
