"""A training as a record: `start(run, around)` does what `run` says, wherever it is started from.

`run` says what is trained on what by which recipe (run_file.py; plan.py makes one of what is asked for), `around` where
it is written, on which device, who hears of it.
"""

from dataclasses import asdict, fields, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vedette.data.annotations import Dataset
from vedette.data.loader import AnnotatedImages
from vedette.data.values import counted
from vedette.errors import InputError
from vedette.evaluate.measure import measure_classes, truths_for
from vedette.evaluate.run import Loaders, eval_loaders, evaluate_model
from vedette.infer.multiscale import plan_passes
from vedette.structures import InputSpec
from vedette.train.around import Around
from vedette.train.checkpoint import epochs_done
from vedette.train.epochs import Epochs
from vedette.train.facts import facts_of
from vedette.train.four_step import START
from vedette.train.lock import locked
from vedette.train.loop import Validate
from vedette.train.plan import check_folder, read_data
from vedette.train.processes import (
    begin,
    in_order,
    is_first_process,
    number_of_processes,
    of_the_first,
    others_heard,
    own_share,
)
from vedette.train.recipe import Recipe
from vedette.train.resume import check_epochs
from vedette.train.run_file import Run
from vedette.train.trainings import AnyTraining, check_can_go_on, check_fits, training_of
from vedette.weights.files import save_weights
from vedette.weights.header import input_spec_of
from vedette.weights.imagenet import check_imagenet
from vedette.weights.own import takes_imagenet
from vedette.zoo import build, restore, weight_file


@others_heard()
def start(run: Run, around: Around, dataset: Dataset | None = None, model: Any = None) -> Path:
    """Trains, or goes on with what the folder holds (`around.resume`); the file of the weights that were best.

    dataset: what `run.data` names, where it has been read already. model: one that is not built by its name, with the
    attributes of ours; `run.model` is then what its weight files call it.

    Raises InputError for whatever does not fit, before anything is written, and NotFiniteError, an InputError, later.
    """
    check_folder(around)
    begin(around.device)
    dataset = read_data(run.data, "train", around) if dataset is None else dataset
    check_boxes(dataset, run.recipe, around)
    with locked(around.folder):
        return _trained(run, around, dataset, model)


def check(run: Run, around: Around, dataset: Dataset) -> None:
    """Raises InputError for what `start` would refuse before its first step; writes and fetches nothing."""
    check_folder(around)
    check_boxes(dataset, run.recipe, around)
    model = _untrained(run, around)
    check_fits(model, run.recipe, len(dataset))
    Epochs(dataset, model.input_spec, run.recipe, 0, number_of_processes(), None)
    _validation(run, model.input_spec, around)
    if around.resume and not run.recipe.alternating:
        check_epochs(around.folder, epochs_done(around.folder), run.recipe.epochs)


def _untrained(run: Run, around: Around) -> Any:
    """The detector of a run, with the weights that lie in files, and without ImageNet's, which may have to be fetched.

    Raises InputError where it cannot be built, and where these weights cannot be had.
    """
    if around.resume or run.init is not None or run.backbone not in ("imagenet", "random"):
        return model_of(run, around)
    model: Any = build(run.model, len(run.classes), None, **run.config)
    if run.backbone == "imagenet" and takes_imagenet(model):
        check_imagenet(model.backbone)
    return model


def _trained(run: Run, around: Around, dataset: Dataset, model: Any) -> Path:
    """`start`, once nobody else trains in the folder."""
    check_folder(around)
    torch.manual_seed(run.recipe.seed)
    model = model_of(run, around) if model is None else model
    spec: InputSpec = model.input_spec
    training = begun(model, run, around, dataset)
    if around.resume:
        training.resume()
    if is_first_process() and not (around.resume and training.finished):  # what it was made with stays on record
        sessions = (*run.sessions, facts_of(around.device))
        replace(run, detector=asdict(model.config), input_spec=asdict(spec), sessions=sessions).save(around.folder)
    _tell(run, len(dataset), model.config, around)
    training.run()
    return around.folder / "best.safetensors"


def begun(model: Any, run: Run, around: Around, dataset: Dataset) -> AnyTraining:
    """The training of the model, from its first step on."""
    spec: InputSpec = model.input_spec

    def save(path: Path, trained: nn.Module) -> None:
        ids = dataset.category_ids
        save_weights(path, trained, name=run.model, classes=run.classes, category_ids=ids, input_spec=spec)

    validate = _validation(run, spec, around)
    return training_of(model, dataset, run.recipe, around, validate=validate, save_weights=save)


def check_boxes(dataset: AnnotatedImages, recipe: Recipe, around: Around) -> None:
    """Raises InputError where there is nothing to learn from; tells how many images have no box that counts."""
    empty = sum(not has_boxes(dataset, index, recipe) for index in range(len(dataset)))
    if empty == len(dataset):
        raise InputError(
            f"nothing to learn from in {counted(len(dataset), 'image')}: no box that is not a crowd or difficult; "
            "`vedette data check` says what is there"
        )
    if empty:
        around.tell(f"note: {empty} of {counted(len(dataset), 'image')} have no box to learn from")


def has_boxes(dataset: AnnotatedImages, index: int, recipe: Recipe) -> bool:
    """Whether an image has a box to learn from, by the recipe's rule for `difficult`."""
    ignored = dataset.crowd(index)
    if recipe.difficult == "ignore":
        ignored = ignored | dataset.difficult(index)
    return not bool(ignored.all())


def model_of(run: Run, around: Around) -> Any:
    """A detector with the weights that the run begins or goes on with."""
    if around.resume:
        check_can_go_on(around.folder, run.recipe)
        return continued(run, around.folder / START, around) if run.recipe.alternating else _as_begun(run)
    if run.init is not None:
        return continued(run, weight_file(run.init), around)
    return build(run.model, len(run.classes), None if run.backbone == "random" else run.backbone, **run.config)


def _as_begun(run: Run) -> Any:
    """The detector as it was when the run began, perhaps with another file's layers, anchors and input; no weights."""
    model: Any = build(run.model, **run.detector)
    try:
        model.input_spec = input_spec_of(run.input_spec)
    except (TypeError, ValueError) as error:
        raise InputError(f"run.json: its input_spec cannot be read ({error}); begin another run") from None
    return model


def continued(run: Run, source: Path, around: Around) -> Any:
    """A whole detector from a weight file; of other classes it knows what the file knows, the others are told.

    Its layers, anchors and input are those of the file, which may not be what the name stands for here: imported
    weights have another order of anchors and other means.
    """
    model, stored = restore(source, run.model, run.classes, **(run.config | {"num_classes": len(run.classes)}))
    new = [name for name in run.classes if name not in (stored.classes or ())]
    if new:
        around.tell(f"note: {source.name} does not know {', '.join(new)}: these classes begin anew")
    return model


def _validation(run: Run, spec: InputSpec, around: Around) -> Validate | None:
    """Measures a model on the run's validation data, if there are any; the processes share the images."""
    if run.val is None:
        around.tell("note: no validation data (--val): the last weights will count as the best")
        return None
    dataset = read_data([run.val], "evaluate", around)
    if around.few:
        having = (index for index in range(len(dataset)) if bool((~dataset.crowd(index)).any()))
        dataset = dataset.part(list(islice(having, around.few)))
    truths, recipe = truths_for(dataset, run.classes), run.recipe
    passes = plan_passes(spec, batch_size=recipe.batch_size)

    @cache
    def own() -> tuple[Dataset, Loaders]:
        """This process's share."""
        part = dataset.part(own_share(len(dataset)))
        return part, eval_loaders(part, passes, recipe.workers)

    def validate(model: nn.Module) -> dict[str, float]:
        (part, loaders), kept = own(), not getattr(model, "needs_proposals", False)
        how: dict[str, Any] = {"workers": recipe.workers, "bf16": recipe.precision == "bf16"}
        how["loaders"] = loaders if kept else None  # with their workers
        with around.count(len(part), "images") as bar:
            found = evaluate_model(model, part, passes, around.device, **how, progress=bar.reach)
        found = in_order(found)  # of all images, where this process is to measure
        numbers = measure_classes(found, truths, run.classes, run.metric) if is_first_process() else {}
        return dict(of_the_first(numbers))

    return validate


def _tell(run: Run, images: int, config: Any, around: Around) -> None:
    """What the run is made of: the recipe in run.json, and the detector's config, which its weight files hold."""
    around.tell(f"{run.model} on {counted(images, 'image')} of {counted(len(run.classes), 'class')}, {around.device}")
    for kind, settings in (("recipe", run.recipe), ("detector", config)):
        values = "  ".join(f"{field.name} {getattr(settings, field.name)}" for field in fields(settings))
        around.tell(f"  {kind}: {values}")
