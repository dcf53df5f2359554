"""Depthwise convolutions with strides or large kernels, made to train fast on a CPU."""

import torch
from torch import Tensor, nn

from vedette.backbones.efficientnet_lite0 import pad_same

SLOW_FROM = 5  # the smallest kernel whose bf16 gradients oneDNN computes without its fast kernels, whatever its stride


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution that learns in float32 on a CPU, under autocast too; parameters and results are the same.

    oneDNN has fast bf16 kernels for the gradients of 3×3 depthwise convolutions of stride 1 alone. With the others in
    bf16 too, a training step takes nearly twice as long: see benchmarks/depthwise.py.
    """

    def __init__(self, conv: nn.Conv2d, pads_same: bool) -> None:
        """pads_same: it pads as TensorFlow does, by its input's size."""
        kept = {name: getattr(conv, name) for name in ("kernel_size", "stride", "padding", "dilation", "groups")}
        super().__init__(conv.in_channels, conv.out_channels, **kept, device="meta")
        self.weight, self.bias = conv.weight, conv.bias
        self.pads_same = pads_same

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → (B, C, H', W'), in the type of `x`."""
        if self.pads_same:
            x = pad_same(x, self.kernel_size, self.stride)
        if x.device.type != "cpu" or not torch.is_grad_enabled():  # bf16 is fast where nobody asks for a gradient
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            bias = None if self.bias is None else self.bias.float()
            out: Tensor = self._conv_forward(x.float(), self.weight.float(), bias)
        return out.to(x.dtype)


def quicken_depthwise(body: nn.Module, pads_same: type[nn.Conv2d]) -> None:
    """Replaces, in place, the depthwise convolutions whose gradients would be slow; they keep names and parameters.

    pads_same: the class of convolutions that pad as TensorFlow does.
    """
    for module in list(body.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and _is_slow(child):
                setattr(module, name, DepthwiseConv2d(child, isinstance(child, pads_same)))


def _is_slow(conv: nn.Conv2d) -> bool:
    depthwise = conv.groups == conv.in_channels == conv.out_channels > 1
    slow = min(conv.kernel_size) >= SLOW_FROM or max(conv.stride) > 1
    return depthwise and slow and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
