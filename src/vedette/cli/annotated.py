"""A detector and the annotated images that it is to be measured on, as the command line names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli.backends import Name, load_on
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.evaluate.truth import Truth
    from vedette.infer.detector import Detector


def load_detector(
    model: str,
    device: str | None,
    trust: bool,
    backend: Name | None = None,
    bf16: bool = False,
    fp32: bool = False,
    **config: Any,
) -> tuple[Detector, tuple[str, ...]]:
    """It and its classes; raises InputError where its weights name none, or cannot be loaded."""
    detector = load_on(backend, bf16, fp32, model, device=device, trust=trust, **config)
    if detector.classes is None:
        raise InputError(f"{model}: the weights name no classes, so they cannot be matched with those of the data")
    return detector, detector.classes


def read_annotated(sources: Sequence[str]) -> Dataset:
    """What `--data` names to evaluate on, as one data set; what is odd about it is told."""
    from vedette.data.read import read_datasets

    dataset = read_datasets(sources, "evaluate")
    for note in dataset.notes:
        typer.echo(f"note: {note}", err=True)
    return dataset


def known_truths_in(model: str, dataset: Dataset, classes: tuple[str, ...]) -> tuple[list[Truth], str]:
    """The same of the classes that it knows, and how many boxes are left out, "" for none; that is told, too."""
    from vedette.evaluate.measure import known_truths_for

    try:
        truths, unknown = known_truths_for(dataset, classes)
    except InputError as error:
        raise InputError(f"{model}: {error}") from None
    return truths, tell_left_out(f"{model}: ", unknown)


def tell_left_out(whose: str, unknown: dict[str, int]) -> str:
    """Tells of the boxes of unknown classes, counted by name; "2 zebra, 1 unicorn"."""
    from vedette.data.findings import shown
    from vedette.data.values import counted, named

    most_first = sorted(unknown, key=lambda name: -unknown[name])
    left_out = shown(named([f"{unknown[name]} {name}" for name in most_first]))
    if unknown:
        boxes = counted(sum(unknown.values()), "box")
        typer.echo(f"note: {whose}{boxes} of classes that the model does not know left out: {left_out}", err=True)
    return left_out


def truths_in(model: str, dataset: Dataset, classes: tuple[str, ...]) -> list[Truth]:
    """What is annotated, in the model's classes; raises InputError where it does not know one of the data's."""
    from vedette.evaluate.measure import truths_for

    try:
        return truths_for(dataset, classes)
    except InputError as error:
        raise InputError(f"{model}: {error}") from None
