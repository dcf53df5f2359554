"""vedette train: fine-tune a detector on a folder of images."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vedette.cli.progress import Progress
from vedette.cli.runs import config_of, new_run, recipe_of, stored_run
from vedette.cli.stages import holds_a_run, training_of, weights_to_go_on_from
from vedette.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from vedette.data.annotations import Dataset
    from vedette.train.loop import Validate
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
    scratch: Annotated[
        bool, typer.Option("--scratch", help="Without ImageNet's weights: all layers normalised, a longer warm-up.")
    ] = False,
    recipe: Annotated[
        Literal["fine-tuning", "scaled", "paper", "four-step"] | None,
        typer.Option(
            help="AdamW for hours; the paper's, scaled to the data; the paper's own length; Faster R-CNN's RPN and "
            "detector in turns. Default: by MODEL."
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
    optimizer: Annotated[Literal["adamw", "sgd"] | None, typer.Option()] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    backbone_lr: Annotated[float | None, typer.Option(help="The backbone's rate, in --lr.")] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of all steps in which the rate rises.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of convolutions; norms and biases have none.")] = None,
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
    chosen = _chosen(locals())
    _check_extra()
    _check_beginning(scratch, init, backbone, resume, recipe, schedule)
    _check_folder(out, resume)
    dataset = _read(data, "train")
    if resume:
        stored = stored_run(out, model, data, dataset, chosen, metric, set_)
        run = replace(stored, val=val or stored.val)
    else:
        kind = "paper" if schedule == "paper" else recipe
        plan = recipe_of(model, len(dataset), kind, scratch, chosen, device)
        run = new_run(model, data, val, metric or "voc12", dataset, plan, config_of(model, scratch, set_))
    _start(run, dataset, out, init, "random" if scratch else backbone, device, resume)


def _chosen(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are named as the recipe's fields and were given; "paper" is a recipe, not one of its fields."""
    from vedette.train.recipe import Recipe

    given = {field.name: options.get(field.name) for field in fields(Recipe)}
    return {name: value for name, value in given.items() if value is not None and value != "paper"}


def _check_extra() -> None:
    from importlib.util import find_spec

    if find_spec("accelerate") is None or find_spec("tensorboard") is None:
        raise InputError('training needs more packages: pip install "vedette[train]"')


def _check_beginning(
    scratch: bool, init: str | None, backbone: str, resume: bool, recipe: str | None, schedule: str | None
) -> None:
    """Raises InputError for options that contradict one another."""
    if scratch and (init is not None or backbone != "imagenet"):
        raise InputError("--scratch starts without any weights: leave --init and --backbone out")
    begun = {"--scratch": scratch, "--recipe": recipe, "--init": init, "--backbone": backbone != "imagenet"}
    if resume and any(value not in (None, False) for value in begun.values()):
        names = ", ".join(name for name, value in begun.items() if value not in (None, False))
        _say(f"note: --resume goes on as the run was started; {names} is not looked at")
    if schedule == "paper" and recipe not in (None, "paper"):
        raise InputError(f"--schedule paper is --recipe paper, and --recipe is {recipe}: give one of them")


def _check_folder(out: Path, resume: bool) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: it is a file; give a folder")
    if not resume and holds_a_run(out):
        raise InputError(f"{out} already holds a run: go on with --resume, or choose another --out")


def _read(sources: list[str], purpose: Literal["train", "evaluate"]) -> Dataset:
    from vedette.data.read import read_datasets

    dataset = read_datasets(sources, purpose)
    for note in dataset.notes:
        _say(f"note: {'training' if purpose == 'train' else 'validation'} data: {note}")
    return dataset


def _is_main() -> bool:
    """Whether this process speaks and writes: the only one, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _say(line: str) -> None:
    """Prints a line, once however many processes train."""
    if _is_main():
        typer.echo(line)


def _start(
    run: Run, dataset: Dataset, out: Path, init: str | None, backbone: str, device: str | None, resume: bool
) -> None:
    import torch

    from vedette.infer.detector import choose_device
    from vedette.infer.load import weight_file
    from vedette.weights.files import save_weights

    torch.manual_seed(run.recipe.seed)
    device = str(choose_device(device))
    beginning = None if resume or init is None else weight_file(init)
    source = weights_to_go_on_from(out, run.recipe) if resume else beginning
    model = _continued(run, source, dataset.classes) if source else _fresh(run, backbone, dataset.classes)
    spec = model.input_spec

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
    ways: dict[str, Any] = {"validate": validate, "save_weights": save, "device": device, "say": _say}
    training = training_of(model, dataset, spec, run.recipe, out, **ways)
    if resume:
        training.resume()
    if _is_main():
        run.save(out)
    _tell(run, dataset, device, model.config)
    training.run()
    _say(f"weights: {out / 'best.safetensors'}  (vedette detect PHOTO --model {out / 'best.safetensors'})")


def _fresh(run: Run, backbone: str, classes: tuple[str, ...]) -> Any:
    """A detector that knows nothing but what its backbone learnt."""
    from vedette.zoo import build

    return build(run.model, len(classes), None if backbone == "random" else backbone, **run.config)


def _continued(run: Run, source: Path, classes: tuple[str, ...]) -> Any:
    """A whole detector from a weight file, all but the class layers where the classes differ.

    Its layers, anchors and input are those of the file, which may not be what the name stands for here: imported
    weights have another order of anchors and other means.
    """
    from vedette.zoo import restore

    settings = run.config | {"num_classes": len(classes)}
    return restore(source, run.model, classes, **settings)[0]


def _validation(run: Run, classes: tuple[str, ...], spec: Any, device: str) -> Validate | None:
    """Measures a model on the validation split, if there is one."""
    from vedette.evaluate.measure import measure, truths_for

    source = run.val or _own_validation(run.data)
    if source is None:
        _say("note: no validation data (--val): the last weights will count as the best")
        return None
    dataset = _read([source], "evaluate")
    truths = truths_for(dataset, classes)
    recipe = run.recipe

    def validate(model: nn.Module) -> dict[str, float]:
        with Progress(len(dataset), "images") as bar:
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
                progress=bar.reach,
            )

    return validate


def _own_validation(data: tuple[str, ...]) -> str | None:
    """The first --data that has a validation split of its own."""
    from vedette.data.read import validation_source

    return next((found for source in data if (found := validation_source(source)) is not None), None)


def _tell(run: Run, dataset: Dataset, device: str, config: Any) -> None:
    """What the run is made of: the recipe in run.json, and the detector's config, which its weight files hold."""
    _say(f"{run.model} on {len(dataset)} images of {len(dataset.classes)} classes, {device}")
    for kind, settings in (("recipe", run.recipe), ("detector", config)):
        _say(f"  {kind}: " + "  ".join(f"{field.name} {getattr(settings, field.name)}" for field in fields(settings)))
