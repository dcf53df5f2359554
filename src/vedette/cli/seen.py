"""vedette explain --training: one batch of a training as the network is shown it, and what it is to learn of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli.progress import Counted
from vedette.cli.reported import WantedReport
from vedette.cli.tables import table_lines

if TYPE_CHECKING:
    from vedette.glass.batch import SeenBatch

PAGE = "batch.html"


@dataclass(frozen=True, kw_only=True)
class WantedBatch(WantedReport):
    """What the command's options ask for."""

    kind: Any = None  # of recipe
    init: str | None = None
    batch_size: int | None = None
    seed: int | None = None


def explain_training(wanted: WantedBatch) -> None:
    """The page in `wanted.out`, the numbers on stdout and in `wanted.json`.

    Raises InputError for a model, data or a place that will not do, before the work.
    """
    from vedette.train import check_extra
    from vedette.zoo import known

    check_extra()
    known(wanted.model)  # before torch is imported, which takes seconds
    wanted.check_places(PAGE, "gradients")
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
    from vedette.glass.batch_report import batch_numbers, write_batch_report

    numbers = batch_numbers(seen)
    wanted.tell(
        facts | numbers, lambda progress: write_batch_report(wanted.out, seen, facts, progress), _lines(numbers)
    )


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
