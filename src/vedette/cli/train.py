"""vedette train: fine-tune a detector on a folder of images."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli import train_options as options
from vedette.cli.choices import Given, given_options, written
from vedette.cli.places import check_folder, check_outside
from vedette.cli.progress import Progress
from vedette.cli.settings import read_settings
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.train.around import Around
    from vedette.train.plan import Wanted
    from vedette.train.run_file import Run

TRIALS = ("dry_run", "find_lr")
OF_A_BEGINNING = ("scratch", "recipe", "init", "backbone")  # a run that is gone on with has them behind it
OF_ANY_RUN = (  # a run that is repeated may have other ones
    *("out", "device", "save_every", "tracker", "compile_", "cache"),
    *("from_run", "trust", "show", *TRIALS),
)


def train(
    context: typer.Context,
    out: options.Out,
    model: options.Model = None,
    data: options.Data = None,
    val: options.Val = None,
    metric: options.Metric = None,
    init: options.Init = None,
    backbone: options.Backbone = None,
    scratch: options.Scratch = False,
    recipe: options.Recipe = None,
    schedule: options.Schedule = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    accumulate: options.Accumulate = None,
    optimizer: options.Optimizer = None,
    lr: options.Rate = None,
    backbone_lr: options.BackboneRate = None,
    head_lr: options.HeadRate = None,
    one_rate: options.OneRate = None,
    warmup: options.Warmup = None,
    weight_decay: options.WeightDecay = None,
    clip_norm: options.ClipNorm = None,
    ema: options.Average = None,
    freeze_stem: options.FreezeStem = None,
    start_size: options.StartSize = None,
    start_share: options.StartShare = None,
    max_zoom_out: options.MaxZoomOut = None,
    repeat_below: options.RepeatBelow = None,
    precision: options.Precision = None,
    difficult: options.Difficult = None,
    eval_every: options.EvalEvery = None,
    patience: options.Patience = None,
    workers: options.Workers = None,
    seed: options.Seed = None,
    device: options.Device = None,
    set_: options.Setting = None,
    save_every: options.SaveEvery = "10min",
    tracker: options.Tracker = None,
    compile_: options.Compile = False,
    cache: options.Cache = "none",
    from_run: options.FromRun = None,
    trust: options.Trust = False,
    show: options.Show = False,
    dry_run: options.DryRun = False,
    find_lr: options.FindRate = False,
    resume: options.Resume = False,
    resume_anyway: options.ResumeAnyway = False,
) -> None:
    """Train a detector on your own images.

    Example: vedette train refinedet320-lite0 --data my-photos --out runs/mine
    """
    given = given_options(context)
    from vedette.train import check_extra

    check_extra()
    _check_options(given)
    if model is not None:  # before torch is imported, which takes seconds
        _check_model(model, given)
        _check_data([*(data or []), *([val] if val else [])])
    check_folder("--out", out, files=["run.json"])
    around = _around(context.params)
    _check_trial(given, around)
    if around.resume and (ignored := _named(given, OF_A_BEGINNING)):
        verb = "is" if len(ignored) == 1 else "are"
        around.tell(f"note: --resume goes on as the run was started; {', '.join(ignored)} {verb} not looked at")
    elif init and backbone:
        around.tell("note: --init has the backbone's weights too; --backbone is not looked at")
    from vedette.train.plan import plan, repeated

    run, dataset = plan(_wanted(given), around) if from_run is None else repeated(from_run, around, trust)
    if not around.resume:
        check_outside("--out", out, dataset.files, run.data)
    _do(given, run, around, dataset)


def _named(given: Given, parameters: tuple[str, ...]) -> list[str]:
    """Those of the parameters that were given, as a person writes them."""
    return [written(name, ("model",)) for name in parameters if name in given]


def _check_options(given: Given) -> None:
    """Raises InputError for options that exclude one another, and where there is neither a model nor a run."""
    if "from_run" in given:
        twice = _named(given, tuple(name for name in given if name not in OF_ANY_RUN))
        if twice:
            raise InputError(f"--from-run repeats a run as it was: leave {', '.join(twice)} out")
    elif not given.get("model") or "data" not in given:
        raise InputError("give MODEL and --data, or --from-run: vedette train MODEL --data PATH --out RUN")
    if given.get("schedule") == "paper" and given.get("recipe", "paper") != "paper":
        raise InputError(f"--schedule paper is --recipe paper, and --recipe is {given['recipe']}: give one of them")
    if len(instead := _named(given, ("show", *TRIALS))) > 1:
        raise InputError(f"{' and '.join(instead)}: give one of them")


def _check_model(model: str, given: Given) -> None:
    """Raises InputError for a name that there is not, and where the package of its ImageNet weights is missing."""
    from vedette.weights.package import check_package
    from vedette.zoo import LITE0, WEIGHTS, known

    found = known(model)
    if {"init", "scratch", "resume", "resume_anyway"} & given.keys() or given.get("backbone", "imagenet") != "imagenet":
        return
    whole = (WEIGHTS / f"{model}.safetensors").is_file() and _kind(given) in (None, "fine-tuning")
    if found.backbone == LITE0 and not (whole and "backbone" not in given):  # a whole bundled detector may do instead
        check_package()


def _check_data(sources: Sequence[str]) -> None:
    """Raises InputError where nothing is at a path, or nothing that is a data set."""
    from vedette.data.read import find_splits, parse_source

    for source in sources:
        find_splits(parse_source(source)[0])


def _check_trial(given: Given, around: Around) -> None:
    """Raises InputError for trials of a run that has begun, or of several processes."""
    from vedette.train.processes import number_of_processes

    trials = _named(given, TRIALS)
    if trials and (around.resume or number_of_processes() > 1):
        raise InputError(f"{trials[0]} tries a new run in one process: leave --resume and torchrun out")


def _around(values: Mapping[str, Any]) -> Around:
    """Where the run is written, on which device, who hears of it."""
    from vedette.infer.detector import choose_device
    from vedette.train.around import Around, read_save_every
    from vedette.train.trackers import check_trackers

    return Around(
        folder=values["out"],
        save_every=read_save_every(values["save_every"]),
        device=str(choose_device(values["device"])),
        resume=values["resume"] or values["resume_anyway"],
        anyway=values["resume_anyway"],
        trackers=check_trackers(values["tracker"] or []),
        compile=values["compile_"],
        cache=values["cache"],
        say=partial(_say, err=values["show"]),
        watch=Progress,
    )


def _say(line: str, err: bool) -> None:
    """A line on the terminal; a training goes on where nobody reads it any more, as behind `| head`."""
    try:
        typer.echo(line, err=err)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), (sys.stderr if err else sys.stdout).fileno())


def _wanted(given: Given) -> Wanted:
    """What the command's options ask for."""
    from vedette.train.plan import Wanted

    named = ("model", "data", "val", "metric", "init", "backbone", "scratch")
    return Wanted(
        **{name: given[name] for name in named if name in given},
        kind=_kind(given),
        recipe=_of_recipe(given),
        config=read_settings(given.get("set_", [])),
    )


def _kind(given: Given) -> Any:
    """Of the recipe, None where the model and its data decide."""
    return "paper" if given.get("schedule") == "paper" else given.get("recipe")


def _of_recipe(given: Given) -> dict[str, Any]:
    """The options that are named as the recipe's fields; "paper" is a recipe, not one of its fields."""
    from vedette.train.recipe import Recipe

    names = [field.name for field in fields(Recipe)]
    return {name: given[name] for name in names if name in given and given[name] != "paper"}


def _do(given: Given, run: Run, around: Around, dataset: Dataset) -> None:
    """Trains, or what else is to be done of the run; says what came of it."""
    from vedette.train.find_rate import FILES, find_rate
    from vedette.train.run import check, start
    from vedette.train.try_out import try_out

    if "show" in given:
        check(run, around, dataset)
        typer.echo(json.dumps(asdict(run), indent=1))
    elif "dry_run" in given:
        typer.echo(f"one batch went through everything; a picture of it: {try_out(run, around, dataset)}")
    elif "find_lr" in given:
        answer = find_rate(run, around, dataset)
        typer.echo(
            f"--lr {answer.suggested:.2g}: there the loss falls fastest; at {answer.lowest:.2g} it is lowest. "
            f"The picture: {around.folder / FILES[1]}"
        )
    else:
        best = start(run, around, dataset)
        around.tell(f"weights: {best}  (vedette detect PHOTO --model {best}{' --trust' * (':' in run.model)})")
