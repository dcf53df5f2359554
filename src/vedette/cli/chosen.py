"""`vedette evaluate --choose-thresholds`: a score for each class, chosen on the data and written into a weight file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from vedette.cli.places import check_writable
from vedette.data.findings import LONGEST_NAME, shown
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.cli.measured import AnnotatedData, Measured
    from vedette.evaluate.choose import Chosen, Rule


class Choice(NamedTuple):
    """What was asked for, and looked at before the work."""

    rule: Rule
    weights: Path
    out: Path


def read_choice(rule: str | None, out: Path | None, in_place: bool, weights: Sequence[Path]) -> Choice | None:
    """None where nothing is to be chosen; raises InputError for what cannot be, and for a file in the way."""
    if rule is None:
        if out is not None or in_place:
            raise InputError(f"{'--in-place' if in_place else '--out'}: is for --choose-thresholds; give that too")
        return None
    from vedette.evaluate.choose import read_rule
    from vedette.infer.backends.open import is_exported
    from vedette.zoo import WEIGHTS

    asked, (file, *others) = read_rule(rule), weights
    if others:
        raise InputError("--choose-thresholds: chooses for one model; name one")
    if is_exported(file):
        raise InputError(f"--choose-thresholds: {file} is exported; choose for its weights, and export these again")
    if in_place == (out is not None):
        raise InputError("--choose-thresholds: give --out FILE for new weights, or --in-place to write into these")
    if out is None and file.parent == WEIGHTS:
        raise InputError(f"--in-place: {file} belongs to the package; give --out FILE")
    if out is not None and os.path.lexists(out):
        raise InputError(f"--out {out}: is there already; give the name of a new file")
    place = file if out is None else out
    check_writable("--in-place" if out is None else "--out", place, place.parent)
    return Choice(asked, file, place)


def store(choice: Choice, own: Measured, images: AnnotatedData) -> None:
    """Chooses by what was found, writes the weights with it, and says what it is worth."""
    from vedette.evaluate.choose import choose
    from vedette.weights.thresholds import write_thresholds

    chosen = choose(own.found, own.truths, own.classes, choice.rule, images.overlap)
    write_thresholds(choice.weights, choice.out, chosen.scores)
    _show(chosen, own.classes)
    if chosen.borrowed:
        names = ", ".join(own.classes[label] for label in chosen.borrowed)
        typer.echo(f"note: {shown(names)}: no score does for it here; it has that of all classes together", err=True)
    typer.echo(f"scores: {choice.out}")


def _show(chosen: Chosen, classes: Sequence[str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    for name in ("class", "score", "precision", "recall", "F1"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for name, point in zip(classes, chosen.points, strict=True):
        numbers = (point.score, point.precision, point.recall, point.f1)
        table.add_row(escape(shown(name, LONGEST_NAME)), *("—" if isnan(one) else f"{one:.3f}" for one in numbers))
    Console(highlight=False).print(table)
