"""How a run goes on from its last checkpoint, whichever loop it has."""

from pathlib import Path
from typing import Any

from torch import nn

from vedette.errors import InputError
from vedette.train.checkpoint import LAST, read_state
from vedette.train.optim import rates_of, set_rates


def resume_from(
    folder: Path, epochs: int, *, model: nn.Module, average: nn.Module | None, optimizer: Any, schedule: Any
) -> dict[str, Any]:
    """Loads the folder's last checkpoint into the parts of a run and returns it; rates and decays stay the recipe's.

    Raises InputError where that cannot be, with a checkpoint of other settings or a damaged one.
    """
    path = folder / LAST
    state = read_state(path)
    if epochs < state.get("epoch", 0):
        raise InputError(f"epochs is {epochs}: the run in {folder} has done {state['epoch']} already")
    chosen = rates_of(optimizer)
    try:
        model.load_state_dict(state["model"])
        if average is not None:
            average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        set_rates(optimizer, schedule, chosen)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: does not go on with these settings ({reason}); use those of its run.json") from None
    return state
