"""Services that keep the curves of many runs, by accelerate; nothing is sent to any that was not asked for."""

from collections.abc import Callable, Sequence
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
    try:
        accelerator.init_trackers(PROJECT, config=settings, init_kwargs=named)
    except Exception as error:  # of a service, whatever it may be
        asked = ", ".join(map(str, accelerator.log_with))
        raise InputError(f"--tracker {asked}: does not begin ({_line(error)})") from error


def sender(accelerator: Accelerator, tell: Callable[[str], None]) -> Callable[[dict[str, float], int], None]:
    """Sends curves; a service that fails costs no training: that is told once, and nothing more is sent."""

    def send(values: dict[str, float], step: int) -> None:
        try:
            accelerator.log(values, step)
        except Exception as error:
            tell(f"note: --tracker: {_line(error)}; from here on the curves are in tensorboard/ alone")
            accelerator.trackers = []

    return send


def finish(accelerator: Accelerator, tell: Callable[[str], None]) -> None:
    """Ends the run there."""
    for tracker in accelerator.trackers:
        try:
            tracker.finish()
        except Exception as error:
            tell(f"note: --tracker: {_line(error)}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
