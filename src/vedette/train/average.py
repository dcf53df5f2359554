"""Averaged weights: what is evaluated and kept is the moving average of the weights, not their last value."""

from copy import deepcopy

import torch
from torch import Tensor, nn


class Average(nn.Module):
    """An exponential moving average of a model's weights and buffers that warms up: the first steps count more."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.module, self.decay = deepcopy(model), decay

    @torch.no_grad()
    def update(self, model: nn.Module, steps: int, stopped: Tensor) -> None:
        """Takes the model in after a step, before which it made `steps`; not where `stopped` is 1, on its device."""
        share = 1 - min(self.decay, (1 + steps) / (10 + steps)) if steps else 1.0
        (own, own_counts), (new, new_counts) = _floats_and_others(self.module), _floats_and_others(model)
        ways = torch._foreach_sub(new, own)
        torch._foreach_mul_(ways, share * (1 - stopped))
        torch._foreach_add_(own, ways)
        for count, value in zip(own_counts, new_counts, strict=True):
            count.copy_(value)


def _floats_and_others(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The model's weights and buffers: those that can be averaged, and those that are taken as they are."""
    tensors = [*model.parameters(), *model.buffers()]
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    return floats, [tensor for tensor in tensors if not tensor.is_floating_point()]
