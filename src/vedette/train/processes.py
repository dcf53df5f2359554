"""What the processes of one training do together; there may be one alone."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator, PartialState
from accelerate.utils import GradientAccumulationPlugin, InitProcessGroupKwargs

from vedette.errors import InputError
from vedette.train.recipe import Recipe

ANSWER = timedelta(minutes=2)  # a process gives one within that time while all learn
LONGEST_WAIT = timedelta(hours=6)  # where shares differ, or one process works for all: evaluations, searches, fits
GONE = ("closed", "reset", "timed out", "refused", "broken pipe")  # what gloo says of a process that ended or stopped


def is_first_process() -> bool:
    """Whether this process speaks and writes: the only one, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def number_of_processes() -> int:
    """How many torchrun started, or one: schedulers leave a WORLD_SIZE of their own."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def begin(device: str) -> None:
    """Lets the processes know each other, where there are several: before any of them works long by itself."""
    if "LOCAL_RANK" not in os.environ:
        os.environ.pop("WORLD_SIZE", None)  # a scheduler's; accelerate would wait for processes that nobody started
    elif number_of_processes() > 1:  # torchrun's
        PartialState(cpu=device == "cpu", timeout=ANSWER)
    if dist.is_initialized():
        _waiting()


def accelerator_for(recipe: Recipe, device: str, trackers: Sequence[str] = ()) -> Accelerator:
    """accelerate's part of a training: the process's device, data parallelism, accumulation, trackers."""
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)  # of one process alone; torchrun's are given theirs
    return Accelerator(
        kwargs_handlers=[InitProcessGroupKwargs(timeout=ANSWER)],
        cpu=device == "cpu",
        log_with=list(trackers) or None,
        mixed_precision="no",  # whatever the environment says: TrainStep has the recipe's
        gradient_accumulation_plugin=GradientAccumulationPlugin(
            num_steps=recipe.accumulate, sync_with_dataloader=False
        ),
    )


def own_share(number: int) -> range:
    """Which of so many things are this process's: each is one process's."""
    rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    return range(rank, number, processes)


def in_order(own: list[Any]) -> list[Any]:
    """What the processes have of their shares, in the order of the whole, for the first of them; others get nothing.

    Each has to ask, and may take long.
    """
    if not dist.is_initialized():
        return own
    given: list[Any] = [[]] * dist.get_world_size()
    dist.gather_object(own, given if is_first_process() else None, dst=0, group=_waiting())
    whole: list[Any] = [None] * sum(map(len, given))
    for rank, share in enumerate(given):
        whole[rank :: len(given)] = share
    return whole


def meet() -> None:
    """Waits until each process has come here, which may take long."""
    if dist.is_initialized():
        dist.barrier(group=_waiting())


def of_the_first(own: Any) -> Any:
    """What the first process has; each has to ask, and the first may take long."""
    if not dist.is_initialized():
        return own
    given = [own]
    dist.broadcast_object_list(given, src=0, group=_waiting())
    return given[0]


def largest(number: int, device: torch.device, processes: int) -> int:
    """The largest that a process gives; each has to ask at once."""
    if processes == 1:
        return number
    together = torch.tensor(number, device=device)
    dist.all_reduce(together, op=dist.ReduceOp.MAX)
    return int(together)


def of_each(own: Any, processes: int) -> list[Any]:
    """What each process gives, in their order; each has to ask at once."""
    if processes == 1:
        return [own]
    given: list[Any] = [None] * processes
    dist.all_gather_object(given, own)
    return given


@contextmanager
def others_heard() -> Iterator[None]:
    """Raises InputError where another process ends or stops meanwhile: gloo says so at whatever line."""
    try:
        yield
    except RuntimeError as error:
        words = str(error).lower()
        if not dist.is_initialized() or "gloo" not in words or not any(gone in words for gone in GONE):
            raise
        minutes = ANSWER.total_seconds() / 60
        raise InputError(
            f"another process of this training ended, or did not answer for {minutes:g} minutes: see what it said; "
            "--resume goes on from the last checkpoint"
        ) from error


@cache
def _waiting() -> Any:
    """The processes by a connection of its own, on which a wait may last."""
    return dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
