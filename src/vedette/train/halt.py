"""A loss or a gradient that is not finite: the device stops learning by itself, the host undoes the rest later.

Until then, a few batches later, everything stays as the last good step left it. The optimizer does nothing, by the flag
that it has for gradients that are scaled; so does the average. The statistics of batch norm have changed already when
the loss is known: these are kept before each step.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from vedette.errors import InputError
from vedette.train.losses import Given

ROSE = 100.0  # times the first loss: the training diverged, whatever pictures were in the batch


class NotFiniteError(InputError):
    """A loss or its gradient became NaN or infinite: the run stops. Names the images, unless the loss had been rising:
    then the rate is to blame. `elsewhere`, in a process that says more.

    batch: the one that is not finite; course: the first loss and the last before it, of all its parts.
    """

    def __init__(
        self,
        batch: Given,
        losses: Mapping[str, float],
        course: tuple[float | None, float],
        *,
        can_resume: bool,
        elsewhere: bool = False,
    ) -> None:
        (first, before), total = course, sum(losses.values())
        bad = ", ".join(f"{name} = {value:.6g}" for name, value in losses.items())
        risen = max((value for value in (before, total) if isfinite(value)), default=0.0)
        if first is not None and risen > ROSE * first:
            what = f"the training diverged in step {batch.steps + 1}: the loss rose from {first:.3g} to {risen:.3g}"
            todo = f"lower --lr (it was {batch.rate:.2g}), or give a longer --warmup or a smaller --clip-norm"
        else:
            kind = "loss" if elsewhere or not isfinite(total) else "gradient"
            place = "in another process" if elsewhere else f"({bad}) on {', '.join(batch.files)}"
            what, todo = f"the {kind} is not finite {place}", "check these images, or lower --lr"
        again = "; the last checkpoint is whole, go on with --resume" if can_resume else ""
        super().__init__(f"{what}: {todo}{again}")


class Halt:
    """The flag, and the statistics of the last steps.

    models: whose batch norms have statistics to keep; steps: how many, at most, begin before the host hears of one.
    """

    def __init__(self, models: Iterable[nn.Module], device: torch.device, steps: int, processes: int = 1) -> None:
        self.stopped = torch.zeros((), device=device)  # 1 from the first loss on that is not finite
        self.processes = processes
        statistics = [buffer for model in models for buffer in _statistics(model)]
        kinds = [[b for b in statistics if b.is_floating_point()], [b for b in statistics if not b.is_floating_point()]]
        self.kinds = [kind for kind in kinds if kind]  # a list of one type is copied at once
        self.kept = [[[b.clone() for b in kind] for kind in self.kinds] for _ in range(steps)]

    def keep(self, step: int) -> None:
        """Before a step, of which `step` are done: remembers the statistics."""
        for kind, copies in zip(self.kinds, self.kept[step % len(self.kept)], strict=True):
            torch._foreach_copy_(copies, kind)

    def look_at(self, value: Tensor) -> None:
        """Stops, with all other processes, where a loss or the norm of its gradient is not finite."""
        self.stopped.logical_or_(~value.detach().isfinite())
        if self.processes > 1:
            torch.distributed.all_reduce(self.stopped, op=torch.distributed.ReduceOp.MAX)

    def undo(self, step: int) -> None:
        """Gives the models the statistics that they had before that step."""
        for kind, copies in zip(self.kinds, self.kept[step % len(self.kept)], strict=True):
            torch._foreach_copy_(kind, copies)


def _statistics(model: nn.Module) -> Iterator[Tensor]:
    for module in model.modules():
        if isinstance(module, _NormBase):
            yield from module.buffers(recurse=False)
