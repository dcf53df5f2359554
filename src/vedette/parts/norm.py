"""Convolutions of new layers, and batch norm that also trains where a batch holds a single value a channel."""

import torch.nn.functional as F
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm2d):
    """Batch norm; on one image's 1×1 map, which has no statistics of its own, it uses the running ones."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        if x.shape[0] * x.shape[2] * x.shape[3] > 1:
            return super().forward(x)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def convolution(
    incoming: int, outgoing: int, kernel: int, stride: int = 1, padding: int | None = None, *, norm: bool = False
) -> nn.Module:
    """A convolution with a bias, or with batch norm; at stride 1 it keeps the size unless `padding` is given."""
    around = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(incoming, outgoing, kernel, stride, around, bias=not norm)
    return nn.Sequential(conv, BatchNorm(outgoing)) if norm else conv
