"""Averaged weights: what is evaluated and kept is the moving average of the weights, not their last value."""

from copy import deepcopy

import torch
from torch import Tensor, nn


class Average(nn.Module):
    """An exponential moving average of a model's weights and buffers that warms up: the first updates count more."""

    n_averaged: Tensor

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.module, self.decay = deepcopy(model), decay
        self.register_buffer("n_averaged", torch.tensor(0))  # on the CPU: a GPU would have to be asked

    @torch.no_grad()
    def update(self, model: nn.Module, stopped: Tensor) -> None:
        """Takes the model in; not where `stopped`, on the model's device, is 1 instead of 0."""
        done = int(self.n_averaged)
        share = 1 - min(self.decay, (1 + done) / (10 + done)) if done else 1.0
        (own, own_counts), (new, new_counts) = _floats_and_others(self.module), _floats_and_others(model)
        ways = torch._foreach_sub(new, own)
        torch._foreach_mul_(ways, share * (1 - stopped))
        torch._foreach_add_(own, ways)
        for count, value in zip(own_counts, new_counts, strict=True):
            count.copy_(value)
        self.n_averaged += 1


def _floats_and_others(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The model's weights and buffers: those that can be averaged, and those that are taken as they are."""
    tensors = [*model.parameters(), *model.buffers()]
    floats = [tensor for tensor in tensors if tensor.is_floating_point()]
    return floats, [tensor for tensor in tensors if not tensor.is_floating_point()]
