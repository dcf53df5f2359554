"""What makes one step of all its batches, in all processes: the numbers that its losses are divided by.

Each process learns from its own share, accelerate takes the mean of the gradients, and of the batches of a step their
mean too. So a loss that is to be Σ / N of the whole step is the batch's own sum over N / (processes · batches).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from vedette.parts.losses import current_step

Value = TypeVar("Value")


class WholeStep:
    """A step of so many batches in so many processes.

    The gradient of the first batch has to know the number of the last: several are looked at first, by `count`.
    """

    def __init__(self, processes: int, batches: int) -> None:
        self.processes, self.batches = processes, batches
        self.totals: list[Tensor] = []  # of the whole step, in the order in which a batch's loss asks for them
        self.asked = 0
        self.counted: list[Tensor] | None = None  # of a batch that is only looked at

    def total(self, number: Tensor) -> Tensor:
        """N of the whole step over its parts."""
        if self.counted is not None:
            self.counted.append(number)
            return number.clamp(min=1)
        if self.batches == 1:
            total = summed(number, self.processes)
        else:
            total, self.asked = self.totals[self.asked], self.asked + 1
        return total.clamp(min=1) / (self.processes * self.batches)

    def gather(self, values: Tensor) -> Tensor:
        """(N,) of each process → (processes · N,)."""
        if self.processes == 1:
            return values
        given = [torch.empty_like(values) for _ in range(self.processes)]
        torch.distributed.all_gather(given, values.contiguous())
        return torch.cat(given)

    def count(self, batches: Sequence[Value], losses_of: Callable[[Value], object]) -> None:
        """Looks at the batches of the step to come without learning from them."""
        numbers = []
        for batch in batches:
            self.counted = []
            with torch.no_grad(), self._entered():
                losses_of(batch)
            numbers.append([number.clone() for number in self.counted])  # a CUDA graph writes over its own
        self.counted = None
        self.totals = [summed(torch.stack(own).sum(0), self.processes) for own in zip(*numbers, strict=True)]

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Around a batch's losses."""
        self.asked = 0
        with self._entered():
            yield

    @contextmanager
    def _entered(self) -> Iterator[None]:
        current_step.append(self)
        try:
            yield
        finally:
            current_step.remove(self)


def summed(values: Tensor, processes: int) -> Tensor:
    """The sum over the processes; each has to ask at once."""
    if processes == 1:
        return values
    together = values.detach().clone()
    torch.distributed.all_reduce(together)
    return together
