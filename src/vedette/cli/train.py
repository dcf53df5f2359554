"""vedette train: fine-tune a detector on a folder of images."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vedette.cli.complete import complete_model
from vedette.cli.places import check_folder, place
from vedette.cli.progress import Progress
from vedette.cli.settings import read_settings
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.train.around import Around
    from vedette.train.plan import Wanted


def train(
    out: Annotated[Path, place(help="The run's folder: checkpoints, curves, run.json.")],
    model: Annotated[
        str | None,
        typer.Argument(
            help="A name from `vedette models`, one like refinedet320-timm/<name>, or your own function, "
            "my_module:build.",
            autocompletion=complete_model,
        ),
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="PATH[:SPLIT] of COCO, VOC or YOLO data; may be repeated.")
    ] = None,
    val: Annotated[str | None, typer.Option(help="PATH[:SPLIT] to evaluate on; default: --data's val, if any.")] = None,
    metric: Annotated[
        Literal["voc07", "voc12", "coco"] | None, typer.Option(help="What chooses the best checkpoint; default: voc12.")
    ] = None,
    init: Annotated[str | None, typer.Option(help="Start from a whole detector: a path or a bundled name.")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help='The backbone\'s weights: "imagenet", "random", or a file. Default: imagenet, and for few images a '
            "whole bundled detector where one fits."
        ),
    ] = None,
    scratch: Annotated[
        bool, typer.Option("--scratch", help="Without ImageNet's weights: all layers normalised, a longer warm-up.")
    ] = False,
    recipe: Annotated[
        Literal["fine-tuning", "scaled", "paper", "paper-voc12", "paper-coco", "four-step"] | None,
        typer.Option(
            help="AdamW for hours; the paper's, scaled to the data; the paper's own length, on other data too; "
            "Faster R-CNN's RPN and detector in turns. Default: by MODEL."
        ),
    ] = None,
    schedule: Annotated[
        Literal["cosine", "step", "paper"] | None, typer.Option(help='"paper" is --recipe paper.')
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Default: by the size of the data set. Of four steps: of each.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images at once.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches summed before a step.")] = None,
    optimizer: Annotated[
        Literal["adamw", "sgd"] | None, typer.Option(help="Default: the recipe's, adamw for hours, sgd in the papers.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    backbone_lr: Annotated[float | None, typer.Option(help="The backbone's rate, in --lr.")] = None,
    head_lr: Annotated[float | None, typer.Option(help="That of the layers of the classes, in --lr.")] = None,
    one_rate: Annotated[bool | None, typer.Option(help="Biases and norms learn and decay as all else.")] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of all steps in which the rate rises.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Biases have none, with adamw norms neither.")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Longest gradient; 0 does not clip.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of the averaged weights; 0 keeps no average.")] = None,
    freeze_stem: Annotated[bool | None, typer.Option(help="Keep the layers up to stride 4 as they are.")] = None,
    start_size: Annotated[int | None, typer.Option(help="Begin with smaller images of this side; 0: do not.")] = None,
    start_share: Annotated[float | None, typer.Option(help="Share of the epochs that have --start-size.")] = None,
    max_zoom_out: Annotated[float | None, typer.Option(help="Largest side of the zoom-out canvas, in images.")] = None,
    repeat_below: Annotated[
        float | None, typer.Option(help="Show images of classes rarer than this share of the images more often.")
    ] = None,
    precision: Annotated[
        Literal["bf16", "fp32"] | None, typer.Option(help="Default: bf16 where the device computes in it.")
    ] = None,
    difficult: Annotated[Literal["ignore", "train"] | None, typer.Option(help="VOC's difficult boxes.")] = None,
    eval_every: Annotated[int | None, typer.Option(help="Epochs between evaluations.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="End after so many evaluations without a better result; 0: do not.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that load images.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all that is random; the same gives the same run.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps …; default: a CUDA GPU if there is one.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="FIELD=VALUE of the detector's config, such as tcb=false.")
    ] = None,
    save_every: Annotated[
        str,
        typer.Option(help="Save within epochs: after so many minutes (10min) or steps (500); 0: at their ends alone."),
    ] = "10min",
    tracker: Annotated[
        list[str] | None, typer.Option(help="Send the curves to wandb, mlflow or trackio too, where it is installed.")
    ] = None,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Compile the training step: minutes at first, not always faster after.")
    ] = False,
    cache: Annotated[
        Literal["memory", "disk", "none"],
        typer.Option(help="Keep decoded pictures in memory, or in a file in --out: epochs after the first are faster."),
    ] = "none",
    from_run: Annotated[
        Path | None, typer.Option(help="Repeat the run of that folder in --out; MODEL and --data are its own.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="The run to repeat may be of a module of your own, which is imported.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print what would be trained and how, as JSON; train nothing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Take one batch through everything, and write a picture of it in --out.")
    ] = False,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Try rising learning rates and say which to take; train nothing.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    anyway: Annotated[
        bool, typer.Option("--resume-anyway", help="The same though its images, annotations or seed are others now.")
    ] = False,
) -> None:
    """Train a detector on your own images.

    Example: vedette train refinedet320-lite0 --data my-photos --out runs/mine
    """
    options = locals()
    from vedette.train import check_extra
    from vedette.zoo import known

    check_extra()
    if model is not None:
        known(model)  # before torch is imported, which takes seconds
    from vedette.train.find_rate import FILES, find_rate
    from vedette.train.plan import plan, repeated
    from vedette.train.run import start
    from vedette.train.trackers import check_trackers
    from vedette.train.try_out import try_out

    check_folder("--out", out, files=["run.json"])
    ways: dict[str, Any] = {"say": partial(typer.echo, err=show), "anyway": anyway, "compile": compile_, "cache": cache}
    ways["trackers"] = check_trackers(tracker or [])
    around = _around(out, device, resume or anyway, save_every, **ways)
    begun = {"--scratch": scratch, "--recipe": recipe, "--init": init, "--backbone": backbone}
    _check_beginning(begun, schedule, around)
    _check_trial([option for option, given in {"--dry-run": dry_run, "--find-lr": find_lr}.items() if given], around)
    if from_run is not None:
        more = {"--val": val, "--metric": metric, "--set": set_, "--schedule": schedule, "--resume": around.resume}
        _check_repeated(
            model, data, _chosen(options) | {name: value for name, value in (begun | more).items() if value}
        )
        run, dataset = repeated(from_run, around, trust)
    else:
        run, dataset = plan(_wanted(options), around)
    if show:
        typer.echo(json.dumps(asdict(run), indent=1))
    elif dry_run:
        typer.echo(f"one batch went through everything; a picture of it: {try_out(run, around, dataset)}")
    elif find_lr:
        answer = find_rate(run, around, dataset)
        typer.echo(
            f"--lr {answer.suggested:.2g}: there the loss falls fastest; at {answer.lowest:.2g} it is lowest. "
            f"The picture: {out / FILES[1]}"
        )
    else:
        best = start(run, around, dataset)
        around.tell(f"weights: {best}  (vedette detect PHOTO --model {best}{' --trust' * (':' in run.model)})")


def _wanted(options: dict[str, Any]) -> Wanted:
    """What the command's options ask for."""
    from vedette.train.plan import Wanted

    if not options["model"] or not options["data"]:
        raise InputError("give MODEL and --data, or --from-run: vedette train MODEL --data PATH --out RUN")
    named = ("model", "data", "val", "metric", "init", "backbone", "scratch")
    return Wanted(
        **{name: options[name] for name in named},
        kind="paper" if options["schedule"] == "paper" else options["recipe"],
        recipe=_chosen(options),
        config=read_settings(options["set_"] or []),
    )


def _check_repeated(model: str | None, data: list[str] | None, chosen: dict[str, Any]) -> None:
    """Raises InputError for what a run that is repeated has already."""
    given = [*(["MODEL"] if model else []), *(["--data"] if data else []), *chosen]
    if given:
        raise InputError(f"--from-run repeats a run as it was: leave {', '.join(given)} out")


def _chosen(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are named as the recipe's fields and were given; "paper" is a recipe, not one of its fields."""
    from vedette.train.recipe import Recipe

    given = {field.name: options.get(field.name) for field in fields(Recipe)}
    return {name: value for name, value in given.items() if value is not None and value != "paper"}


def _around(out: Path, device: str | None, resume: bool, save_every: str, **ways: Any) -> Around:
    from vedette.infer.detector import choose_device
    from vedette.train.around import Around, read_save_every

    often, device = read_save_every(save_every), str(choose_device(device))
    return Around(folder=out, device=device, resume=resume, save_every=often, watch=Progress, **ways)


def _check_trial(options: list[str], around: Around) -> None:
    """Raises InputError for trials of a run that has begun, of several processes, or of two kinds at once."""
    from vedette.train.processes import number_of_processes

    if options and (around.resume or number_of_processes() > 1):
        raise InputError(f"{options[0]} tries a new run in one process: leave --resume and torchrun out")
    if len(options) > 1:
        raise InputError(f"{' and '.join(options)}: give one of them")


def _check_beginning(begun: dict[str, Any], schedule: str | None, around: Around) -> None:
    """Raises InputError for a recipe that is named twice; says what a resumed run does not look at."""
    given = [name for name, value in begun.items() if value not in (None, False)]
    if around.resume and given:
        around.tell(f"note: --resume goes on as the run was started; {', '.join(given)} is not looked at")
    elif begun["--init"] and begun["--backbone"]:
        around.tell("note: --init has the backbone's weights too; --backbone is not looked at")
    recipe = begun["--recipe"]
    if schedule == "paper" and recipe not in (None, "paper"):
        raise InputError(f"--schedule paper is --recipe paper, and --recipe is {recipe}: give one of them")
