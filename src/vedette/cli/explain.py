"""vedette explain: how a detector reached each box, and where it lost an object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from vedette.cli.choices import MOST_AT_ONCE, MOST_WORKERS, Nms, chosen
from vedette.cli.complete import complete_model
from vedette.cli.lost import Wanted, explain_lost
from vedette.cli.places import place
from vedette.cli.seen import WantedBatch, explain_training
from vedette.cli.settings import read_settings
from vedette.errors import InputError


def explain(
    out: Annotated[Path, place(help="Folder for the page and its pictures.")],
    data: Annotated[
        list[str],
        typer.Option(
            help="PATH[:SPLIT] of COCO, VOC or YOLO data; SPLIT by default val, else valid or test, and train for a "
            "training; may be repeated."
        ),
    ],
    lost: Annotated[
        bool, typer.Option("--lost", help="Of each annotated object that is not found: the step that lost it.")
    ] = False,
    training: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="One batch of this model's training on --data: what it is shown, and what it is to learn of it.",
            autocompletion=complete_model,
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A name from `vedette models`, or a weight file.", autocompletion=complete_model)
    ] = "refinedet320-lite0",
    score: Annotated[float, typer.Option(min=0, max=1, help="Lowest score that counts as found.")] = 0.5,
    json: Annotated[Path | None, place("--json", metavar="FILE", help="File for the numbers, as fractions.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of the detector's config to look with, as nms_iou."),
    ] = None,
    recipe: Annotated[
        Literal["fine-tuning", "scaled", "paper", "paper-voc12", "paper-coco"] | None,
        typer.Option(help="Of --training; default: as `vedette train` has it."),
    ] = None,
    init: Annotated[str | None, typer.Option(help="--training begins with this whole detector.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of what --training draws at random.")] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_AT_ONCE, help="Images at once; default: 16, and the recipe's with --training."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=MOST_WORKERS, help="Processes that load images.")] = 2,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU if there is one.")] = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="Run the network in bfloat16: faster, nearly the same.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="The weights may be of a module of your own, which is imported.")
    ] = False,
    nms: Nms = None,
) -> None:
    """Show which step of a detector loses which objects of a data set, or what a training shows to a network.

    Example: vedette explain --data my-photos:val --model refinedet320-lite0 --lost --out lost

    Example: vedette explain --training refinedet320-lite0 --data my-photos --out batch
    """
    if lost == (training is not None):
        raise InputError("say what to explain: --lost, the objects of --data that are not found, or --training MODEL")
    config = read_settings(settings or []) | chosen(nms=nms)
    where: dict[str, Any] = {"data": data, "out": out, "json": json, "config": config, "device": device}
    if training is not None:
        begun: dict[str, Any] = {"kind": recipe, "init": init, "seed": seed, "batch_size": batch_size}
        explain_training(WantedBatch(model=training, **where, **begun))
        return
    how: dict[str, Any] = {"batch_size": batch_size or 16, "workers": workers, "bf16": bf16, "trust": trust}
    explain_lost(Wanted(model=model, score=score, **where, **how))
