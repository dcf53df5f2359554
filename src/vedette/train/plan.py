"""Which run is to be done: a new one, or that in a folder, gone on with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from vedette.data.annotations import Dataset
from vedette.data.read import parse_source, read_datasets, validation_source
from vedette.data.values import counted
from vedette.errors import InputError
from vedette.infer.precision import fast_precision
from vedette.train.around import Around
from vedette.train.defaults import notes_on, rate_for, sized
from vedette.train.log import LOG, TABLE
from vedette.train.processes import number_of_processes
from vedette.train.recipe import Elsewhere, FourStep, Recipe, RecipeKind, without_pretraining
from vedette.train.recipes import FEW_IMAGES, in_stages, kind_for, recipe_for, scratch_config, start_for
from vedette.train.run_file import NAME, Metric, Run
from vedette.train.trainings import holds_a_run


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for; where it says nothing, the model's paper and the size of the data decide.

    Raises InputError for what contradicts itself.
    """

    model: str
    data: Sequence[str]  # PATH[:SPLIT] each
    val: str | None = None  # to measure on
    metric: Metric | None = None
    kind: RecipeKind | Elsewhere | FourStep | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)  # fields of the recipe
    config: Mapping[str, Any] = field(default_factory=dict)  # fields of the detector's config
    init: str | None = None  # a whole detector's weights, a path or a bundled name
    backbone: str | None = None  # "imagenet", "random", or a file; None: ImageNet's, where nothing better fits
    scratch: bool = False  # without ImageNet's weights: all layers normalised, a longer warm-up

    def __post_init__(self) -> None:
        if self.scratch and (self.init is not None or self.backbone is not None):
            raise InputError("--scratch starts without any weights: leave --init and --backbone out")
        for option, value in {"--val": self.val, "--backbone": self.backbone}.items():
            if value == "":
                raise InputError(f"{option} is empty: give a path or a name, or leave it out")


def plan(wanted: Wanted, around: Around) -> tuple[Run, Dataset]:
    """The new run that is wanted, or the folder's (`around.resume`) with what of it may change; and its data.

    Raises InputError where there is none to go on with or one that would be written over, and for what cannot be.
    """
    check_folder(around)
    dataset = read_data(wanted.data, "train", around)
    if around.resume:
        return changed(Run.read(around.folder), wanted, dataset, around), dataset
    run = new_run(wanted, dataset, around.device)
    usual = recipe_for(wanted.model, len(dataset), wanted.kind)
    if wanted.kind is None and kind_for(wanted.model, len(dataset)) != kind_for(wanted.model, FEW_IMAGES):
        around.tell("note: few images are trained on by --recipe fine-tuning; --recipe scaled is the paper's")
    for note in notes_on(run, usual, [*wanted.recipe, *(["init"] if wanted.init else [])]):
        around.tell(f"note: {note}")
    return run, dataset


def repeated(folder: Path, around: Around, trust: bool = False) -> tuple[Run, Dataset]:
    """The run of that folder from its beginning, and its data; told where these changed since.

    Raises InputError where there is none, and for one of a model that did not come with Vedette, unless trusted.
    """
    check_folder(around)
    run = Run.read(folder)
    if ":" in run.model and not trust:
        raise InputError(f"{folder}: its model is {run.model}, code that would be run; if you know it, give --trust")
    dataset = read_data(run.data, "train", around)
    if dataset.classes != run.classes:
        raise InputError(f"{folder}: its classes were {', '.join(run.classes)}; those of its data differ now")
    if run.fingerprint and dataset.fingerprint != run.fingerprint:
        around.tell(f"note: the data of {folder} changed since, so this run will come to something else")
    again = replace(run, images=len(dataset), fingerprint=dataset.fingerprint)
    return replace(again, detector={}, input_spec={}, sessions=()), dataset


def check_folder(around: Around) -> None:
    """Raises InputError for a folder that is a file, and for one whose run would be written over."""
    folder = around.folder
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: it is a file; give a folder")
    if not around.resume and holds_a_run(folder):
        raise InputError(f"{folder} already holds a run: go on with --resume, or choose another --out")
    for log in (LOG, TABLE):
        if not (folder / NAME).exists() and (folder / log).exists():
            raise InputError(f"{folder}: holds a {log} of something else, to be written over; choose another --out")


def read_data(data: Sequence[str], purpose: Literal["train", "evaluate"], around: Around) -> Dataset:
    """The data that these name as one data set; what is odd about it is told."""
    dataset = read_datasets(data, purpose)
    for note in dataset.notes:
        around.tell(f"note: {'training' if purpose == 'train' else 'validation'} data: {note}")
    return dataset


def new_run(wanted: Wanted, dataset: Dataset, device: str) -> Run:
    """A run by this version of the library on the data set's classes, in the device's fastest precision.

    Raises InputError for a name that does not exist, and for a recipe that the model has not.
    """
    from vedette import __version__

    recipe, val = recipe_of(wanted, len(dataset), device), _validation(wanted)
    _check_patience(recipe, val)
    config = (scratch_config(wanted.model) if wanted.scratch else {}) | dict(wanted.config)
    init, backbone = wanted.init, "random" if wanted.scratch else wanted.backbone
    if init is None and backbone is None and wanted.kind in (None, "fine-tuning"):
        init = start_for(wanted.model, len(dataset), dataset.classes, config)
    return Run(
        model=wanted.model,
        config=config,
        classes=dataset.classes,
        data=tuple(map(_absolute, wanted.data)),
        val=val,
        metric=wanted.metric or "voc12",
        recipe=recipe,
        version=__version__,
        images=len(dataset),
        fingerprint=dataset.fingerprint,
        init=init and _from_anywhere(init),
        backbone=_from_anywhere(backbone or "imagenet"),
    )


def changed(run: Run, wanted: Wanted, dataset: Dataset, around: Around) -> Run:
    """The folder's run; raises InputError where something is wanted that a started run cannot change."""
    folder, classes = around.folder, dataset.classes
    if run.model != wanted.model:
        raise InputError(f"{folder} holds a run of {run.model}, not of {wanted.model}")
    if run.classes != classes:
        raise InputError(f"{folder}: the run's classes are {', '.join(run.classes)}; those of --data differ")
    if list(map(_place, wanted.data)) != list(map(_place, run.data)):
        raise InputError(
            f"--data: the run was started on {', '.join(run.data)}; give that (was it moved, change `data` in "
            f"{folder / 'run.json'}), or begin a new run with --init {folder / 'last.safetensors'}"
        )
    if run.config | dict(wanted.config) != run.config:
        raise InputError(f"--set: the run was started with {run.config}; leave --set out of --resume")
    if wanted.metric not in (None, run.metric):
        raise InputError(f"--metric {wanted.metric}: the run's best is chosen by {run.metric}; leave --metric out")
    settled = ("optimizer", "freeze_stem", "ema", "head_lr", "one_rate")
    for name in (*settled, *(("epochs",) if run.recipe.alternating else ())):
        started = getattr(run.recipe, name)
        if wanted.recipe.get(name, started) != started:
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option} {wanted.recipe[name]}: the run was started with {started}; leave {option} out")
    if not around.anyway:
        _check_the_same(run, wanted, dataset)
    run = replace(run, images=len(dataset), fingerprint=dataset.fingerprint)
    val = _validation(wanted) if wanted.val or run.val is None else run.val
    recipe = replace(run.recipe, **wanted.recipe)
    _check_patience(recipe, val)
    return replace(run, val=val, recipe=recipe)


def _check_the_same(run: Run, wanted: Wanted, dataset: Dataset) -> None:
    """Raises InputError where the run would go on with other random numbers, or learn from something else."""
    anyway = "if that is meant, give --resume-anyway"
    seed = wanted.recipe.get("seed", run.recipe.seed)
    if seed != run.recipe.seed:
        raise InputError(f"--seed {seed}: the run was started with {run.recipe.seed}; leave it out, or {anyway}")
    if len(dataset) != run.images:
        raise InputError(f"--data: {counted(len(dataset), 'image')}, and the run was started on {run.images}; {anyway}")
    if dataset.fingerprint != run.fingerprint:
        raise InputError(f"--data: the names of its images or its annotations changed since the run began; {anyway}")


def _validation(wanted: Wanted) -> str | None:
    """What to measure on: what was named, or else the first validation split that the data have of their own."""
    own = (validation_source(source) for source in wanted.data)
    found = wanted.val or next((source for source in own if source is not None), None)
    return found and _absolute(found)


def recipe_of(wanted: Wanted, images: int, device: str) -> Recipe:
    """The model's recipe for so many images, with what was chosen."""
    default = recipe_for(wanted.model, images, wanted.kind)
    default = without_pretraining(default) if wanted.scratch else default
    default = replace(default, precision=fast_precision(torch.device(device)))
    if wanted.kind in ("paper", "paper-voc12", "paper-coco"):
        own = replace(default, **wanted.recipe)
        return replace(own, **({"lr": rate_for(own, default, images, number_of_processes())} | dict(wanted.recipe)))
    measured = {"eval_every": default.eval_every} if in_stages(wanted.model) else {}  # at the end alone
    return sized(default, images, number_of_processes(), measured | dict(wanted.recipe))


def _check_patience(recipe: Recipe, val: str | None) -> None:
    """Raises InputError where a run is to end by what nothing measures."""
    if recipe.patience and val is None:
        raise InputError("--patience goes by the results on validation data: give --val, or leave --patience out")


def _place(source: str) -> tuple[Path, str]:
    """What of the data a source names for training, however it is written."""
    path, split = parse_source(source)
    return path.resolve(), split or "train"


def _absolute(source: str) -> str:
    """The source as it can be read from any folder."""
    path, split = parse_source(source)
    return str(path.resolve()) + ("" if split is None else f":{split}")


def _from_anywhere(name: str) -> str:
    """A file's path, that of a run's folder too, as it can be read from any folder; another name as it is."""
    return str(Path(name).resolve()) if Path(name).exists() else name
