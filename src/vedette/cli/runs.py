"""Which run `vedette train` is to do: a new one, or that in a folder, gone on with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vedette.cli.settings import read_settings
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.train.recipe import FourStep, Recipe, RecipeKind
    from vedette.train.run_file import Run


def new_run(
    model: str,
    data: list[str],
    val: str | None,
    metric: Literal["voc07", "voc12", "coco"],
    dataset: Dataset,
    recipe: Recipe,
    config: dict[str, Any],
) -> Run:
    """A run by this version of the library on the data set's classes."""
    from vedette import __version__
    from vedette.train.run_file import Run

    return Run(
        model=model,
        config=config,
        classes=dataset.classes,
        data=tuple(map(_absolute, data)),
        val=None if val is None else _absolute(val),
        metric=metric,
        recipe=recipe,
        version=__version__,
    )


def recipe_of(
    model: str,
    images: int,
    kind: RecipeKind | FourStep | None,
    scratch: bool,
    chosen: dict[str, Any],
    device: str | None,
) -> Recipe:
    """The model's recipe for so many images, in the device's fastest precision, with what was chosen."""
    from vedette.infer.detector import choose_device
    from vedette.train.precision import fast_precision
    from vedette.train.recipe import without_pretraining
    from vedette.train.recipes import recipe_for

    default = recipe_for(model, images, kind)
    default = without_pretraining(default) if scratch else default
    return replace(default, **({"precision": fast_precision(choose_device(device))} | chosen))


def config_of(model: str, scratch: bool, settings: list[str] | None) -> dict[str, Any]:
    """The fields of the detector's config that are not its own."""
    from vedette.train.recipes import scratch_config

    return (scratch_config(model) if scratch else {}) | read_settings(settings or [])


def stored_run(
    out: Path,
    model: str,
    data: list[str],
    dataset: Dataset,
    chosen: dict[str, Any],
    metric: str | None,
    settings: list[str] | None,
) -> Run:
    """The run in `out`; raises InputError where the command asks for something that a started run cannot change."""
    from vedette.train.run_file import Run

    run = Run.read(out)
    if run.model != model:
        raise InputError(f"{out} holds a run of {run.model}, not of {model}")
    if run.classes != dataset.classes:
        raise InputError(f"{out}: the run's classes are {', '.join(run.classes)}; those of --data differ")
    if list(map(_place, data)) != list(map(_place, run.data)):
        raise InputError(
            f"--data: the run was started on {', '.join(run.data)}; give that (was it moved, change `data` in "
            f"{out / 'run.json'}), or begin a new run with --init {out / 'last.safetensors'}"
        )
    if run.config | read_settings(settings or []) != run.config:
        raise InputError(f"--set: the run was started with {run.config}; leave --set out of --resume")
    if metric is not None and metric != run.metric:
        raise InputError(f"--metric {metric}: the run's best is chosen by {run.metric}; leave --metric out")
    for name in ("optimizer", "freeze_stem", "ema", *(("epochs",) if run.recipe.alternating else ())):
        started = getattr(run.recipe, name)
        if chosen.get(name, started) != started:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} {chosen[name]}: the run was started with {started}; leave {option} out")
    return replace(run, recipe=replace(run.recipe, **chosen))


def _place(source: str) -> tuple[Path, str]:
    """What of the data a source names for training, however it is written."""
    from vedette.data.read import parse_source

    path, split = parse_source(source)
    return path.resolve(), split or "train"


def _absolute(source: str) -> str:
    """The source as it can be read from any folder."""
    from vedette.data.read import parse_source

    path, split = parse_source(source)
    return str(path.resolve()) + ("" if split is None else f":{split}")
