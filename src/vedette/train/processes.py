"""What the processes of one training do together; there may be one alone."""

import os
from datetime import timedelta
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin, InitProcessGroupKwargs

from vedette.train.recipe import Recipe

LONGEST_EVALUATION = timedelta(hours=6)  # one process evaluates, the others wait no longer than this


def is_first_process() -> bool:
    """Whether this process speaks and writes: the only one, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def accelerator_for(recipe: Recipe, device: str) -> Accelerator:
    """accelerate's part of a training: the process's device, data parallelism, accumulation."""
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)  # of one process alone; torchrun's are given theirs
    return Accelerator(
        kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_EVALUATION)],
        cpu=device == "cpu",
        mixed_precision="no",  # whatever the environment says: TrainStep has the recipe's
        gradient_accumulation_plugin=GradientAccumulationPlugin(
            num_steps=recipe.accumulate, sync_with_dataloader=False
        ),
    )


def largest(number: int, device: torch.device, processes: int) -> int:
    """The largest that a process gives; each has to ask at once."""
    if processes == 1:
        return number
    together = torch.tensor(number, device=device)
    torch.distributed.all_reduce(together, op=torch.distributed.ReduceOp.MAX)
    return int(together)


def of_each(own: Any, processes: int) -> list[Any]:
    """What each process gives, in their order; each has to ask at once."""
    if processes == 1:
        return [own]
    given: list[Any] = [None] * processes
    torch.distributed.all_gather_object(given, own)
    return given
