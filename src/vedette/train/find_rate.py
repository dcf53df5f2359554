"""Which learning rate a run should have: a step at each of many rates that rise, and how the loss answers.

Smith. "Cyclical Learning Rates for Training Neural Networks." WACV 2017, section 3.3.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, pairwise
from math import log10
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from vedette.data.annotations import Dataset
from vedette.data.atomic import write_text
from vedette.data.loader import workers_heard
from vedette.data.values import counted
from vedette.errors import InputError
from vedette.pages.plot import log_plot
from vedette.train.around import Around
from vedette.train.batches import in_steps
from vedette.train.loop import Training
from vedette.train.run import begun, check, model_of
from vedette.train.run_file import Run

LEAST, MOST, STEPS = 1e-6, 1.0, 120  # rates, and how many of them
SMOOTH = 0.9  # of the moving average of the loss
DIVERGED = 4.0  # times the lowest loss: higher rates are not tried
FEWEST = 20  # steps, without which nothing can be said
LEAST_FALL = 0.05  # of the loss: less is chance
FILES = ("learning-rates.json", "learning-rates.svg")


@dataclass(frozen=True)
class Answer:
    """How the loss answered, and what follows."""

    rates: list[float]
    losses: list[float]  # moving averages, one a rate
    suggested: float  # where the loss falls fastest
    lowest: float  # where it is lowest: beyond, a run would leave its way


def find_rate(run: Run, around: Around, dataset: Dataset) -> Answer:
    """Tries the run's steps at rising rates, and writes what came of it in the run's folder; nothing else is left.

    The run's other rates keep their proportion to `lr`. Raises InputError for a training in stages, and where the loss
    is not finite before anything can be said.
    """
    check(run, around, dataset)
    rates = [LEAST * (MOST / LEAST) ** (step / (STEPS - 1)) for step in range(STEPS)]
    with TemporaryDirectory() as folder:
        quiet = replace(around, folder=Path(folder), say=lambda line: None, trackers=(), cache="none")
        torch.manual_seed(run.recipe.seed)
        training = begun(model_of(run, quiet), replace(run, val=None), quiet, dataset)
        if not isinstance(training, Training):
            raise InputError(f"--find-lr: {run.model} is trained in stages with this recipe; leave it out")
        with around.count(STEPS, "steps") as bar:
            losses: list[float] = []
            for loss in losses_at(training, [rate / run.recipe.lr for rate in rates]):
                losses.append(loss)
                bar.reach(len(losses), STEPS)
                if len(losses) > FEWEST and smooth(losses)[-1] > DIVERGED * min(smooth(losses)):
                    break
    answer = answer_of(rates[: len(losses)], losses)
    _write(answer, around.folder)
    return answer


def losses_at(training: Training, shares: Sequence[float]) -> Iterator[float]:
    """The loss of one step after another at these shares of the recipe's rates, up to the first that is not finite."""
    training.step.train()
    batches = chain.from_iterable(training.epochs.of(epoch, 0) for epoch in count())
    with workers_heard():
        for share, own in zip(shares, in_steps(batches, training.recipe.accumulate), strict=False):
            for group in training.optimizer.param_groups:
                group["lr"] = share * group["initial_lr"]
            training.train_step(own)
            readings = training.losses.rest()
            if any(reading.stopped for reading in readings):
                return
            yield sum(sum(reading.shown.values()) for reading in readings) / len(readings)


def answer_of(rates: Sequence[float], losses: Sequence[float]) -> Answer:
    """What follows from losses at rising rates: where the average falls fastest before it is lowest.

    Raises InputError for too few of them, and where the loss does not fall.
    """
    if len(losses) < FEWEST:
        raise InputError(
            f"the loss was not finite after {counted(len(losses), 'step')} at rates up to {MOST:g}: look at the data"
        )
    averages = smooth(losses)
    lowest = min(range(FEWEST // 2, len(averages)), key=averages.__getitem__)
    if averages[lowest] > (1 - LEAST_FALL) * averages[FEWEST // 2]:
        raise InputError("--find-lr: the loss falls at no rate by more than chance; train with the recipe's own --lr")
    places = [log10(rate) for rate in rates]
    slopes = [(b - a) / (y - x) for (a, b), (x, y) in zip(pairwise(averages), pairwise(places), strict=True)]
    first = min(FEWEST // 2, lowest - 1)  # the first averages are of few losses
    steepest = min(range(first, lowest), key=slopes.__getitem__)
    return Answer(list(rates), averages, rates[steepest], rates[lowest])


def smooth(losses: Sequence[float]) -> list[float]:
    """The moving average, corrected for its start at 0."""
    average, found = 0.0, []
    for number, loss in enumerate(losses, start=1):
        average = SMOOTH * average + (1 - SMOOTH) * loss
        found.append(average / (1 - SMOOTH**number))
    return found


def _write(answer: Answer, folder: Path) -> None:
    """The numbers, and a picture of them."""
    marks = [
        (answer.suggested, f"falls fastest: {answer.suggested:.2g}"),
        (answer.lowest, f"lowest: {answer.lowest:.2g}"),
    ]
    points = list(zip(answer.rates, answer.losses, strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {"suggested": answer.suggested, "lowest": answer.lowest, "rates": answer.rates, "losses": answer.losses}
    write_text(folder / FILES[0], json.dumps(numbers) + "\n")
    write_text(folder / FILES[1], log_plot(points, marks, "Loss at rising learning rates", ("learning rate", "loss")))
