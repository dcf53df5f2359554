"""Several evaluated models beside one another: differences on stdout, as JSON, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli.measured import AnnotatedData, Measured, measure, plain
from vedette.cli.progress import Counted
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.evaluate.compare import Comparison, Difference
    from vedette.evaluate.compare_report import Compared
    from vedette.evaluate.thresholds import Aims
    from vedette.evaluate.truth import Truth


def compare_models(
    every: Sequence[Measured],
    images: AnnotatedData,
    aims: Aims,
    json: Path | None,
    report: Path | None,
    resamples: int,
    seed: int,
) -> None:
    """Compares each model but the first with the first, in the classes of the data."""
    from vedette.evaluate.compare import compare
    from vedette.evaluate.measure import truths_for
    from vedette.evaluate.resample import judge_images

    classes = images.dataset.classes
    truths = truths_for(images.dataset, classes)
    every = [_in_classes(own, classes) for own in every]
    rules = (truths, len(classes), images.metric, images.overlap, images.ids, images.most)
    judged = [judge_images(own.found, *rules) for own in every]
    comparisons = []
    for other in judged[1:]:
        with Counted("resamples") as progress:
            comparisons.append(compare(judged[0], other, resamples, seed, progress))
    models = [_compared(own, truths, images, aims) for own in every]
    for model, comparison in zip(models[1:], comparisons, strict=True):
        _show(models[0], model, comparison, images)
    how = {"resamples": resamples, "seed": seed}
    if json is not None:
        _write_json(json, every, models, comparisons, images, how)
    if report is not None:
        _write_page(report, models, comparisons, truths, images, how)


def _in_classes(own: Measured, classes: tuple[str, ...]) -> Measured:
    """The findings with the data's labels; those of classes that the data have not count nowhere."""
    import torch

    known = {name: label for label, name in enumerate(classes)}
    table = torch.tensor([known.get(name, -1) for name in own.classes])
    found = []
    for one in own.found:
        labels = table[one.labels]
        found.append(replace(one, labels=labels)[labels >= 0])
    return replace(own, classes=classes, found=found)


def _compared(own: Measured, truths: list[Truth], images: AnnotatedData, aims: Aims) -> Compared:
    import numpy as np

    from vedette.evaluate.analysis import analyse
    from vedette.evaluate.compare_report import Compared

    scores = measure(replace(own, truths=truths), images)
    analysis = analyse(own.found, truths, own.classes, images.metric, overlap=images.overlap, aims=aims)
    return Compared(own.model, own.found, analysis, np.array(list(scores.per_class.values())), scores.mean)


def _show(first: Compared, other: Compared, comparison: Comparison, images: AnnotatedData) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vedette.data.findings import LONGEST_NAME, shown
    from vedette.data.values import counted
    from vedette.evaluate.report import METRIC_NAMES

    table = Table("class", show_footer=True)
    table.columns[0].footer = "mean"
    mean = comparison.mean
    for head, foot in zip(
        ("first", "other", "difference", "95 %", "p"), _cells(first.mean, other.mean, mean), strict=True
    ):
        table.add_column(head, foot, justify="right")
    rows = zip(first.analysis.classes, first.per_class, other.per_class, comparison.per_class, strict=True)
    for name, one, two, difference in rows:
        table.add_row(escape(shown(name, LONGEST_NAME)), *_cells(float(one), float(two), difference))
    console = Console(highlight=False)
    console.print(f"{METRIC_NAMES[images.metric]}, {counted(len(images.dataset), 'image')}", soft_wrap=True)
    console.print(f"first: {escape(first.name)}\nother: {escape(other.name)}", soft_wrap=True)
    console.print(table)


def _cells(first: float, other: float, difference: Difference) -> tuple[str, ...]:
    if difference.value != difference.value:  # nothing to find
        return ("—",) * 5
    interval = f"{difference.low:+.4f} to {difference.high:+.4f}"
    return f"{first:.4f}", f"{other:.4f}", f"{difference.value:+.4f}", interval, f"{difference.p:.4f}"


def _write_json(
    path: Path,
    every: Sequence[Measured],
    models: Sequence[Compared],
    comparisons: Sequence[Comparison],
    images: AnnotatedData,
    how: dict[str, int],
) -> None:
    """All of it as fractions; null where there is nothing to find."""
    from vedette.data.atomic import write_json
    from vedette.evaluate.compare import CONFIDENCE

    def named(values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(images.dataset.classes, values, strict=True))

    rows = [
        {"model": own.model, **own.facts, "mAP": one.mean, "per_class": named(one.per_class.tolist())}
        | {"report": one.analysis.numbers()}
        for own, one in zip(every, models, strict=True)
    ]
    differences = [
        {"first": models[0].name, "other": other.name, "mAP": asdict(comparison.mean)}
        | {"per_class": named([asdict(difference) for difference in comparison.per_class])}
        for other, comparison in zip(models[1:], comparisons, strict=True)
    ]
    head = {"metric": images.metric, "data": images.source, "images": len(images.dataset), "confidence": CONFIDENCE}
    write_json(path, plain(head | how | {"models": rows, "comparisons": differences}))


def _write_page(
    folder: Path,
    models: Sequence[Compared],
    comparisons: Sequence[Comparison],
    truths: list[Truth],
    images: AnnotatedData,
    how: dict[str, int],
) -> None:
    from vedette.evaluate.compare_report import write_comparison

    facts = {"data": images.source, "images": str(len(images.dataset))}
    told: dict[str, Any] = {"metric": images.metric, "facts": facts, **how}
    try:
        with Counted("pictures") as progress:
            page = write_comparison(folder, images.dataset, models, comparisons, truths, **told, progress=progress)
    except OSError as error:
        raise InputError(f"--report {folder}: cannot be written ({error.strerror})") from None
    typer.echo(f"report: {page}")
