"""Averaged weights: what is evaluated and kept is the moving average of the weights, not their last value."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and buffers that warms up: the first updates count more."""

    def average(own: Sequence[Tensor], new: Sequence[Tensor], updates: Tensor | int) -> None:
        n = int(updates)
        share = 1 - min(decay, (1 + n) / (10 + n))
        for old, value in zip(own, new, strict=True):
            if old.is_floating_point():
                old.lerp_(value, share)
            else:
                old.copy_(value)

    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)
