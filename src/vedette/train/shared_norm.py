"""Batch norm that learns from the whole batch, however many processes have parts of it.

Statistics of a part are not those of the whole, so two processes would learn something else than one with twice the
batch. PyTorch's SyncBatchNorm does the same on GPUs alone.

Shapes: `B` images of this process, `C` channels.
"""

from typing import Any

import torch
from torch import Tensor, nn

from vedette.ops.boxes import exact
from vedette.parts.layers import BatchNorm


class SharedNorm(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of all processes."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        return _normalized(self, x) if self.training else super().forward(x)


class SharedNormAct(SharedNorm):
    """The same that goes on with an activation, EfficientNet-Lite0's and timm's, which may drop something before."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) → the same shape."""
        drop: Any = getattr(self, "drop", nn.Identity())
        activated: Tensor = self.act(drop(super().forward(x)))  # type: ignore[operator]
        return activated


def share_norms(model: nn.Module, processes: int) -> None:
    """Makes the model's batch norms shared ones where there are several, in place; weights and their names stay."""
    for module in model.modules() if processes > 1 else ():
        if type(module) in (nn.BatchNorm2d, BatchNorm):
            module.__class__ = SharedNorm
        elif isinstance(module, nn.BatchNorm2d) and hasattr(module, "act"):
            module.__class__ = SharedNormAct


def _normalized(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """By mean and variance over the images and cells of all processes, which become part of the running ones."""
    values = exact(x)
    count = values.new_full((1,), x.shape[0] * x.shape[2] * x.shape[3])
    total = _sum_of_all(torch.cat([values.sum((0, 2, 3)), count]))
    mean, number = total[:-1] / total[-1], total[-1]
    centred = values - mean[:, None, None]
    variance = _sum_of_all(centred.square().sum((0, 2, 3))) / number
    _follow(norm, mean.detach(), (variance * number / (number - 1)).detach())
    scaled = centred * (variance + norm.eps).rsqrt()[:, None, None]
    return (scaled * norm.weight[:, None, None] + norm.bias[:, None, None]).to(x.dtype)


@torch.no_grad()
def _follow(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """The running statistics go a step towards these, as PyTorch's do."""
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked += 1
    share = 1 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean), share)
    norm.running_var.lerp_(variance.to(norm.running_var), share)


class _SumOfAll(torch.autograd.Function):
    """The sum over the processes; a value's gradient is the sum of what all processes want of it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        together = values.clone()
        torch.distributed.all_reduce(together)
        return together

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        together = gradient.contiguous().clone()
        torch.distributed.all_reduce(together)
        return together


def _sum_of_all(values: Tensor) -> Tensor:
    summed: Tensor = _SumOfAll.apply(values)
    return summed
