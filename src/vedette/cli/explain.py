"""vedette explain: how a detector reached each box, where it lost an object, and what a training shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from vedette.cli import explain_options as options
from vedette.cli.choices import Bf16, Device, Flip, Given, Nms, Scales, Trust, Vote, chosen, given_options, written
from vedette.cli.live import WantedLive, write_live
from vedette.cli.lost import Wanted, explain_lost
from vedette.cli.pages import WantedPages, explain_pictures
from vedette.cli.seen import WantedBatch, explain_training
from vedette.cli.settings import read_settings
from vedette.errors import InputError

LOST, BATCH, LIVE, WEB = Path("lost"), Path("batch"), Path("live.html"), Path(".web")
OF_EVERY_WAY = {"out", "json", "settings", "device"}
OF_PICTURES = {"image", "model", "beside", "score", "data", "scales", "flip", "vote", "trust", "nms"}
OF_LIVE = {"live", "model", "score", "web", "trust", "nms"}
OF_LOST = {"data", "lost", "model", "score", "batch_size", "workers", "bf16", "trust", "nms"}
OF_TRAINING = {"data", "training", "recipe", "init", "seed", "batch_size"}


def explain(
    context: typer.Context,
    image: options.Images = None,
    model: options.Model = "refinedet320-lite0",
    beside: options.Beside = None,
    live: options.Live = False,
    web: options.Web = WEB,
    out: options.Out = None,
    json: options.Json = None,
    score: options.Score = 0.5,
    settings: options.Setting = None,
    data: options.Data = None,
    lost: options.Lost = False,
    training: options.Training = None,
    recipe: options.Recipe = None,
    init: options.Init = None,
    seed: options.Seed = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = 2,
    device: Device = None,
    bf16: Bf16 = False,
    trust: Trust = False,
    nms: Nms = None,
    scales: Scales = None,
    flip: Flip = False,
    vote: Vote = False,
) -> None:
    """Show why a detector found each object of a picture, and which step lost the others: a page that needs no network.

    Example: vedette explain photo.jpg --model refinedet320-lite0 --out page.html

    Example: vedette explain photo.jpg --model mine.safetensors --beside refinedet320-lite0 --out both.html

    Example: vedette explain my-photos/images/7.jpg --data my-photos:val --model mine.safetensors

    Example: vedette explain --live --model refinedet320-lite0 --out live.html

    Example: vedette explain --data my-photos:val --model mine.safetensors --lost --out lost

    Example: vedette explain --training refinedet320-lite0 --data my-photos --out batch
    """
    config = read_settings(settings or []) | chosen(nms=nms)
    where: dict[str, Any] = {"json": json, "config": config, "device": device}
    _check_way(given_options(context))
    if image:
        looks: dict[str, Any] = {"scales": scales, "flip": flip, "vote": vote, "score": score, "trust": trust}
        explain_pictures(WantedPages(images=image, model=model, beside=beside, data=data, out=out, **looks, **where))
    elif live:
        kept: dict[str, Any] = {"score": score, "trust": trust, "config": config}
        write_live(WantedLive(model=model, out=out or LIVE, web=web, **kept))
    elif training is not None:
        begun: dict[str, Any] = {"kind": recipe, "init": init, "seed": seed, "batch_size": batch_size}
        explain_training(WantedBatch(model=training, data=data or [], out=out or BATCH, **begun, **where))
    else:
        how: dict[str, Any] = {"batch_size": batch_size or 16, "workers": workers, "bf16": bf16, "trust": trust}
        explain_lost(Wanted(model=model, data=data or [], out=out or LOST, score=score, **how, **where))


def _check_way(given: Given) -> None:
    """Raises InputError unless one thing is to be explained, with the options that it has."""
    ways = {"image": OF_PICTURES, "live": OF_LIVE, "lost": OF_LOST, "training": OF_TRAINING}
    asked = [way for way in ways if given.get(way)]
    if len(asked) != 1:
        raise InputError(
            "say what to explain: IMAGE, --live, or --data PATH with --lost or with --training MODEL; one of these"
        )
    if asked[0] not in ("image", "live") and "data" not in given:
        raise InputError(f"{written(asked[0])} needs --data PATH[:SPLIT], the annotated pictures")
    every = OF_EVERY_WAY - {"json", "device"} if asked == ["live"] else OF_EVERY_WAY
    others = [written(name) for name in given if name not in every | ways[asked[0]]]
    if others:
        raise InputError(f"{', '.join(others)}: not of {written(asked[0], ['image'])}; leave it out")
