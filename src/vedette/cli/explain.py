"""vedette explain: how a detector reached each box, and where it lost an object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vedette.cli.choices import Flip, Nms, Scales, Vote, chosen
from vedette.cli.complete import complete_model
from vedette.cli.pages import WantedPages, explain_pictures
from vedette.cli.places import place


def explain(
    image: Annotated[list[str], typer.Argument(help="Images, folders, quoted globs; - for names on stdin.")],
    model: Annotated[
        str, typer.Option(help="A name from `vedette models`, or a weight file.", autocompletion=complete_model)
    ] = "refinedet320-lite0",
    beside: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Another detector beside it, on one page.", autocompletion=complete_model),
    ] = None,
    out: Annotated[
        Path | None, place(help="The page; of several images a folder. Default: page.html, or the folder pages.")
    ] = None,
    json: Annotated[Path | None, place("--json", metavar="FILE", help="File for the traces that pages show.")] = None,
    score: Annotated[float, typer.Option(min=0, max=1, help="Least score of a detection.")] = 0.5,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU if there is one.")] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="The weights may be of a module of your own, which is imported.")
    ] = False,
    nms: Nms = None,
    scales: Scales = None,
    flip: Flip = False,
    vote: Vote = False,
) -> None:
    """Show why a detector found each object of a picture, and which step lost the others: a page that needs no network.

    Example: vedette explain photo.jpg --model refinedet320-lite0 --out page.html

    Example: vedette explain photo.jpg --model mine.safetensors --beside refinedet320-lite0 --out both.html
    """
    looks: dict[str, Any] = {"scales": scales, "flip": flip, "vote": vote, "score": score}
    where: dict[str, Any] = {"out": out, "json": json, "device": device, "trust": trust}
    explain_pictures(WantedPages(images=image, model=model, beside=beside, config=chosen(nms=nms), **looks, **where))
