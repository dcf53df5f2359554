"""How a run goes on from its last checkpoint: from the very step, with the same random numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vedette.errors import InputError
from vedette.train.checkpoint import LAST, read_state
from vedette.train.optim import rates_of, set_rates

RandomState = Mapping[str, Tensor | None]  # of the host and of the device


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a run is, besides its weights; without arguments, at its beginning."""

    epoch: int = 0  # epochs finished, measured and all
    images: int = 0  # of the next one that were learnt from, by all processes together
    trained: bool = False  # whether that one is left to be measured alone
    steps: int = 0
    best: float = -1.0  # result so far
    stale: int = 0  # evaluations since then
    random: Sequence[RandomState] = ()  # of each process
    shown: Mapping[str, float] = field(default_factory=dict)  # the moving averages of the losses
    log: Mapping[str, int] = field(default_factory=dict)  # `RunLog.marks`


def resume_from(
    folder: Path,
    epochs: int,
    say: Callable[[str], None],
    *,
    model: nn.Module,
    average: nn.Module | None,
    optimizer: Any,
    schedule: Any,
) -> Position:
    """Loads the folder's last checkpoint into the parts of a run; rates and decays stay the recipe's.

    say: hears of a checkpoint that is damaged. Raises InputError where that cannot be, with a checkpoint of other
    settings or damaged ones alone.
    """
    path = folder / LAST
    state = read_state(path, say)
    check_epochs(folder, state.get("epoch", 0), epochs)
    chosen = rates_of(optimizer)
    try:
        model.load_state_dict(state["model"])
        if average is not None:
            average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        set_rates(optimizer, schedule, chosen)
        return Position(**{part.name: state[part.name] for part in fields(Position)})
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: does not go on with these settings ({reason}); use those of its run.json") from None


def check_epochs(folder: Path, done: int, wanted: int) -> None:
    """Raises InputError where the folder's run has done more of them."""
    if wanted < done:
        raise InputError(f"epochs is {wanted}: the run in {folder} has done {done} already")


def random_state(device: torch.device) -> RandomState:
    """All random numbers that a step of this process draws from."""
    own = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return {"host": torch.get_rng_state(), "device": own}


def restore_random_state(states: Sequence[RandomState], process: int, device: torch.device) -> None:
    """This process goes on with its own; one that was not there draws others than any."""
    if process >= len(states):
        torch.manual_seed(torch.initial_seed() + process)
        return
    host, own = states[process]["host"], states[process]["device"]
    if host is not None:
        torch.set_rng_state(host)
    if own is not None and device.type == "cuda":
        torch.cuda.set_rng_state(own, device)
