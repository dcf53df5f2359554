"""vedette explain --training: one batch of a training as the network is shown it, and what it is to learn of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli.places import check_apart, check_file, check_folder, check_pages
from vedette.cli.progress import Counted
from vedette.cli.tables import table_lines
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.glass.batch import SeenBatch

PAGE = "batch.html"


@dataclass(frozen=True, kw_only=True)
class WantedBatch:
    """What the command's options ask for."""

    model: str
    data: list[str]
    out: Path
    json: Path | None = None
    kind: Any = None  # of recipe
    init: str | None = None
    config: dict[str, Any]  # fields of the detector's
    batch_size: int | None = None
    seed: int | None = None
    device: str | None = None


def explain_training(wanted: WantedBatch) -> None:
    """The page in `wanted.out`, the numbers on stdout and in `wanted.json`.

    Raises InputError for a model, data or a place that will not do, before the work.
    """
    from vedette.train import check_extra
    from vedette.zoo import known

    check_extra()
    known(wanted.model)  # before torch is imported, which takes seconds
    check_file("--json", wanted.json, "gradients")
    check_folder("--out", wanted.out, files=[PAGE], folders=["pictures"])
    check_pages("--out", wanted.out, [PAGE])
    check_apart({"--json": wanted.json, "--out": wanted.out, "the page of --out": wanted.out / PAGE})
    seen = _seen(wanted)
    facts = {"model": wanted.model, "data": ", ".join(wanted.data), "begins with": seen.run.init or seen.run.backbone}
    _tell(wanted, seen, facts)


def _seen(wanted: WantedBatch) -> SeenBatch:
    from vedette.cli.choices import chosen
    from vedette.glass.batch import see_batch
    from vedette.infer.detector import choose_device
    from vedette.train.around import Around
    from vedette.train.plan import Wanted, new_run, read_data

    around = Around(folder=wanted.out, device=str(choose_device(wanted.device)), say=_note)
    dataset = read_data(wanted.data, "train", around)
    recipe = chosen(batch_size=wanted.batch_size, seed=wanted.seed)
    how: dict[str, Any] = {"kind": wanted.kind, "init": wanted.init, "recipe": recipe, "config": wanted.config}
    run = new_run(Wanted(model=wanted.model, data=wanted.data, **how), dataset, around.device)
    with Counted("images") as progress:
        return see_batch(run, around, dataset, progress)


def _note(line: str) -> None:
    typer.echo(line, err=True)


def _tell(wanted: WantedBatch, seen: SeenBatch, facts: dict[str, str]) -> None:
    from vedette.data.atomic import write_json
    from vedette.glass.batch_report import batch_numbers, write_batch_report

    numbers = batch_numbers(seen)
    if wanted.json is not None:
        write_json(wanted.json, facts | numbers)
    try:
        with Counted("pictures") as progress:
            page = write_batch_report(wanted.out, seen, facts, progress)
    except OSError as error:
        raise InputError(f"--out {wanted.out}: cannot be written ({error.strerror})") from None
    for line in _lines(numbers):
        typer.echo(line)
    typer.echo(f"page: {page}")


def _lines(numbers: dict[str, Any]) -> Iterable[str]:
    """Tables of the losses, the gradients and the heads."""
    yield f"{numbers['images']} images, loss {numbers['loss']:.4g}, gradient {numbers['gradient']:.4g}"
    yield ""
    shares = [[name, f"{loss:.4g}", f"{100 * numbers['shares'][name]:.0f}"] for name, loss in numbers["losses"].items()]
    yield from table_lines([["term", "loss", "%"], *shares])
    yield ""
    yield from table_lines([["part", "gradient"], *([n, f"{g:.3g}"] for n, g in numbers["gradients"].items())])
    yield ""
    names = ("objects", "by_threshold", "as_best", "ignored", "background")
    rows = [[head["name"], *(head[name] for name in names)] for head in numbers["heads"]]
    yield from table_lines([["head", *(name.replace("_", " ") for name in names)], *rows])
