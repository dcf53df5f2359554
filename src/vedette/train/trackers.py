"""Services that keep the curves of many runs, by accelerate; nothing is sent to any that was not asked for."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec

from accelerate import Accelerator

from vedette.errors import InputError
from vedette.train.recipe import Recipe

PROJECT = "vedette"
TRACKERS = {"wandb": "name", "mlflow": "run_name", "trackio": "name"}  # and what each calls the name of a run


def check_trackers(names: Sequence[str]) -> tuple[str, ...]:
    """The names; raises InputError for one that is not known, or whose package is not installed."""
    unknown = [name for name in names if name not in TRACKERS]
    if unknown:
        raise InputError(f"--tracker {unknown[0]}: give one of {', '.join(TRACKERS)}")
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        raise InputError(f"--tracker {missing[0]}: is not installed: pip install {missing[0]}")
    return tuple(dict.fromkeys(names))


def track(accelerator: Accelerator, run: str, recipe: Recipe) -> None:
    """Begins a run of that name at each of the accelerator's trackers, with its recipe."""
    settings = {name: value if isinstance(value, int | float) else str(value) for name, value in asdict(recipe).items()}
    named = {tracker: {parameter: run} for tracker, parameter in TRACKERS.items()}
    accelerator.init_trackers(PROJECT, config=settings, init_kwargs=named)
