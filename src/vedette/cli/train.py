"""vedette train: fine-tune a detector on a folder of images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vedette.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from vedette.data.annotations import Dataset
    from vedette.train.loop import Validate
    from vedette.train.recipe import Recipe
    from vedette.train.run_file import Run


def train(
    model: Annotated[str, typer.Argument(help="A name from `vedette models`, or one like refinedet320-timm/<name>.")],
    data: Annotated[list[str], typer.Option(help="PATH[:SPLIT] of COCO, VOC or YOLO data; may be repeated.")],
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoints, curves, run.json.")],
    val: Annotated[str | None, typer.Option(help="PATH[:SPLIT] to evaluate on; default: --data's val, if any.")] = None,
    metric: Annotated[
        Literal["voc07", "voc12", "coco"] | None, typer.Option(help="What chooses the best checkpoint; default: voc12.")
    ] = None,
    init: Annotated[str | None, typer.Option(help="Start from a whole detector: a path or a bundled name.")] = None,
    backbone: Annotated[
        str, typer.Option(help='The backbone\'s weights: "imagenet", "random", or a file.')
    ] = "imagenet",
    schedule: Annotated[
        Literal["cosine", "step", "paper"] | None, typer.Option(help='"paper": the whole recipe of the paper.')
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Default: by the size of the data set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images at once.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Batches summed before a step.")] = None,
    optimizer: Annotated[Literal["adamw", "sgd"] | None, typer.Option()] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
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
    workers: Annotated[int | None, typer.Option(help="Processes that load images.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU if there is one.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="FIELD=VALUE of the detector's config, such as tcb=false.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
) -> None:
    """Train a detector on your own images.

    Example: vedette train refinedet320-lite0 --data my-photos --out runs/mine
    """
    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "accumulate": accumulate,
        "optimizer": optimizer,
        "lr": lr,
        "clip_norm": clip_norm,
        "ema": ema,
        "freeze_stem": freeze_stem,
        "start_size": start_size,
        "start_share": start_share,
        "max_zoom_out": max_zoom_out,
        "repeat_below": repeat_below,
        "precision": precision,
        "difficult": difficult,
        "eval_every": eval_every,
        "workers": workers,
        "seed": seed,
        "schedule": None if schedule == "paper" else schedule,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    _check_extra()
    _check_folder(out, resume)
    dataset = _read(data, "train")
    if resume:
        stored = _stored(out, model, dataset, chosen, metric, set_)
        run = replace(stored, val=val or stored.val)
    else:
        recipe = _recipe(len(dataset), schedule == "paper", chosen, device)
        run = _new(model, data, val, metric or "voc12", dataset, recipe, set_)
    _start(run, dataset, out, init, backbone, device, resume)


def _check_extra() -> None:
    from importlib.util import find_spec

    if find_spec("accelerate") is None or find_spec("tensorboard") is None:
        raise InputError('training needs more packages: pip install "vedette[train]"')


def _check_folder(out: Path, resume: bool) -> None:
    from vedette.train.checkpoint import LAST

    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: it is a file; give a folder")
    if not resume and (out / LAST).exists():
        raise InputError(f"{out} already holds a run: go on with --resume, or choose another --out")


def _read(sources: list[str], purpose: Literal["train", "evaluate"]) -> Dataset:
    from vedette.data.read import read_datasets

    dataset = read_datasets(sources, purpose)
    for note in dataset.notes:
        typer.echo(f"note: {note}")
    return dataset


def _new(
    model: str,
    data: list[str],
    val: str | None,
    metric: Literal["voc07", "voc12", "coco"],
    dataset: Dataset,
    recipe: Recipe,
    settings: list[str] | None,
) -> Run:
    from vedette import __version__
    from vedette.train.run_file import Run

    return Run(
        model=model,
        config=_settings(settings or []),
        classes=dataset.classes,
        data=tuple(data),
        val=val,
        metric=metric,
        recipe=recipe,
        version=__version__,
    )


def _recipe(images: int, paper: bool, chosen: dict[str, Any], device: str | None) -> Recipe:
    """The paper's or the default for so many images, in the device's fastest precision, with what was chosen."""
    from vedette.infer.detector import choose_device
    from vedette.train.precision import fast_precision
    from vedette.train.recipe import fine_tuning_recipe, paper_recipe

    default = paper_recipe(images) if paper else fine_tuning_recipe(images)
    return replace(default, **({"precision": fast_precision(choose_device(device))} | chosen))


def _stored(
    out: Path, model: str, dataset: Dataset, chosen: dict[str, Any], metric: str | None, settings: list[str] | None
) -> Run:
    """The run in `out`; raises InputError where the command asks for something that a started run cannot change."""
    from vedette.train.run_file import Run

    run = Run.read(out)
    if run.model != model:
        raise InputError(f"{out} holds a run of {run.model}, not of {model}")
    if run.classes != dataset.classes:
        raise InputError(f"{out}: the run's classes are {', '.join(run.classes)}; those of --data differ")
    if settings and _settings(settings) != run.config:
        raise InputError(f"--set: the run was started with {run.config}; leave --set out of --resume")
    if metric is not None and metric != run.metric:
        raise InputError(f"--metric {metric}: the run's best is chosen by {run.metric}; leave --metric out")
    return replace(run, recipe=replace(run.recipe, **chosen))


def _settings(pairs: list[str]) -> dict[str, Any]:
    """FIELD=VALUE, the value as JSON where it is JSON."""
    import json

    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if name == "num_classes":
            raise InputError(f"--set {pair}: the number of classes is that of the data")
        if not equals:
            raise InputError(f"--set {pair}: write FIELD=VALUE, such as tcb=false")
        try:
            settings[name] = json.loads(value.lower() if value in ("True", "False") else value)
        except json.JSONDecodeError:
            settings[name] = value
    return settings


def _start(
    run: Run, dataset: Dataset, out: Path, init: str | None, backbone: str, device: str | None, resume: bool
) -> None:
    import torch

    from vedette.infer.detector import choose_device
    from vedette.infer.weights import save_weights
    from vedette.train.loop import Training
    from vedette.zoo import weight_file

    torch.manual_seed(run.recipe.seed)
    device = str(choose_device(device))
    source = out / "last.safetensors" if resume else weight_file(init) if init else None
    model = _continued(run, source, dataset.classes) if source else _fresh(run, backbone, dataset.classes)
    spec = model.input_spec
    if run.recipe.start_size % spec.divisor:
        raise InputError(f"--start-size {run.recipe.start_size}: give a multiple of {spec.divisor}")

    def save(path: Path, trained: nn.Module) -> None:
        save_weights(
            path,
            trained,
            name=run.model,
            classes=dataset.classes,
            category_ids=dataset.category_ids,
            input_spec=spec,
        )

    validate = _validation(run, dataset.classes, spec, device)
    training = Training(
        model, dataset, spec, run.recipe, out, validate=validate, save_weights=save, device=device, say=typer.echo
    )
    if resume:
        training.resume()
    run.save(out)
    _tell(run, dataset, device)
    training.run()
    typer.echo(f"weights: {out / 'best.safetensors'}  (vedette detect PHOTO --model {out / 'best.safetensors'})")


def _fresh(run: Run, backbone: str, classes: tuple[str, ...]) -> Any:
    """A detector that knows nothing but what its backbone learnt."""
    from vedette.zoo import build

    return build(run.model, len(classes), None if backbone == "random" else backbone, **run.config)


def _continued(run: Run, source: Path, classes: tuple[str, ...]) -> Any:
    """A whole detector from a weight file, all but the class layers where the classes differ.

    Its layers, anchors and input are those of the file, which may not be what the name stands for here: imported
    weights have another order of anchors and other means.
    """
    from vedette.infer.weights import load_into, read_weights
    from vedette.zoo import build

    stored = read_weights(source)
    model: Any = build(run.model, **(stored.config | run.config | {"num_classes": len(classes)}))
    load_into(model, stored, leave_out=() if stored.classes == classes else model.class_layers)
    model.input_spec = replace(stored.input_spec, size=model.config.image_size)
    return model


def _validation(run: Run, classes: tuple[str, ...], spec: Any, device: str) -> Validate | None:
    """Measures a model on the validation split, if there is one."""
    from vedette.evaluate.measure import measure, truths_for

    source = run.val or _own_validation(run.data)
    if source is None:
        typer.echo("note: no validation data (--val): the last weights will count as the best")
        return None
    dataset = _read([source], "evaluate")
    truths = truths_for(dataset, classes)
    recipe = run.recipe

    def validate(model: nn.Module) -> dict[str, float]:
        return measure(
            model,
            dataset,
            truths,
            spec,
            len(classes),
            metric=run.metric,
            device=device,
            batch_size=recipe.batch_size,
            workers=recipe.workers,
            bf16=recipe.precision == "bf16",
        )

    return validate


def _own_validation(data: tuple[str, ...]) -> str | None:
    """The first --data that has a validation split of its own."""
    from vedette.data.read import validation_source

    return next((found for source in data if (found := validation_source(source)) is not None), None)


def _tell(run: Run, dataset: Dataset, device: str) -> None:
    from dataclasses import asdict

    typer.echo(f"{run.model} on {len(dataset)} images of {len(dataset.classes)} classes, {device}")
    typer.echo("  " + "  ".join(f"{name} {value}" for name, value in asdict(run.recipe).items()))
