"""Which training a detector takes: one loop, with proposals where it needs them, or several in turn."""

from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from vedette.data.loader import AnnotatedImages, Proposals
from vedette.errors import InputError
from vedette.parts.class_coder import ClassCoder
from vedette.structures import InputSpec
from vedette.train.around import Around
from vedette.train.box_statistics import keep_boxes, measure_targets
from vedette.train.checkpoint import LAST, PREVIOUS, has_state
from vedette.train.four_step import START, FourStepTraining, first_step
from vedette.train.loop import Training
from vedette.train.processes import number_of_processes
from vedette.train.rcnn import FEATURES, REGRESSOR, SVM, RCNNTraining
from vedette.train.recipe import Recipe
from vedette.train.recipes import RCNN_TRAINING
from vedette.train.search import searched

AnyTraining = Training | RCNNTraining | FourStepTraining
UNUSED = ("start_size", "start_share", "max_zoom_out", "eval_every", "patience")  # settings that stages have no use for


def training_of(model: Any, data: AnnotatedImages, recipe: Recipe, around: Around, **ways: Any) -> AnyTraining:
    """The training of a model that says itself how its input is; `ways`: `validate` and `save_weights` of `Training`.

    Raises InputError as `check_fits` does.
    """
    check_fits(model, recipe, len(data))
    if getattr(model, "trains_in_stages", False):
        return RCNNTraining(model, data, recipe, around, **ways)
    if recipe.alternating:
        return FourStepTraining(model, data, model.input_spec, recipe, around, **ways)
    proposals: Proposals | None = None
    if getattr(model, "needs_proposals", False):
        proposals = searched(model.config, data, recipe, around).__getitem__
        if not around.resume:  # a run gone on with has its statistics
            _measure_targets(model, data, proposals, recipe, around)
    return Training(model, data, model.input_spec, recipe, around, proposals=proposals, **ways)


def check_fits(model: Any, recipe: Recipe, images: int) -> None:
    """Raises InputError for a setting that the model, or this machine, has no use for on so many images.

    And where what the model needs is not installed.
    """
    if getattr(model, "trains_in_stages", False):
        _check_stages(type(model).__name__, recipe)
        return
    _check_start_size(recipe.start_size, model.config)
    for what, size in {"image_size": model.input_spec.size, "--start-size": recipe.start_size}.items():
        if size:
            _check_memory(model.input_spec.at(size), what, min(recipe.batch_size, images))
            _check_anchors(model, what, size)
    if recipe.alternating and number_of_processes() > 1:
        raise InputError("--recipe four-step is trained by one process: start it without torchrun")
    if recipe.alternating and recipe.patience:
        raise InputError("--patience: each of four steps is as long as the others; leave --patience out")


def _measure_targets(model: Any, data: AnnotatedImages, proposals: Proposals, recipe: Recipe, around: Around) -> None:
    """Once in a model's life: weights of the same classes have their statistics."""
    if isinstance(model.coder, ClassCoder) and not model.coder.measured:
        mean, std = model.coder.mean.clone(), model.coder.std.clone()
        measure_targets(
            model.coder,
            data,
            proposals,
            least_iou=model.config.positive_iou,
            difficult=recipe.difficult == "train",
            watch=around.count,
        )
        keep_boxes(model.head.deltas, model.coder, mean, std)


def holds_a_run(folder: Path) -> bool:
    """Whether the folder has something that a run begun there would write over or remove."""
    names = (LAST, PREVIOUS, "last.safetensors", "best.safetensors", FEATURES, SVM, REGRESSOR)
    steps = (path for name in (LAST, PREVIOUS) for path in folder.glob(f"step*/{name}"))
    return any((folder / name).exists() for name in names) or any(steps)


def check_can_go_on(folder: Path, recipe: Recipe) -> None:
    """Raises InputError where the folder's run has nothing to go on from."""
    first = first_step(folder) if recipe.alternating else folder
    missing = [] if has_state(first) else [first / LAST]
    if recipe.alternating and not (folder / START).exists():
        missing.append(folder / START)
    if missing and not holds_a_run(folder):
        raise InputError(f"{folder}: nothing was saved yet, so there is nothing to go on from; start without --resume")
    if missing:
        raise InputError(
            f"{missing[0]}: is missing, and the run cannot go on without it; begin another, in "
            "another --out, with --init PATH from the weights that are there"
        )


def _check_stages(kind: str, recipe: Recipe) -> None:
    if find_spec("cv2") is None or find_spec("sklearn") is None:
        raise InputError(f'{kind} needs more packages to train: pip install "vedette[rcnn]"')
    defaults: Mapping[str, Any] = {field.name: field.default for field in fields(recipe)}
    for name in UNUSED:
        if getattr(recipe, name) not in (defaults[name], getattr(RCNN_TRAINING.recipe, name)):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option}: {kind} is trained in stages on whole images; leave {option} out")


def _check_start_size(size: int, config: Any) -> None:
    """Raises InputError for a size that the detector could not have as its own."""
    try:
        if size and hasattr(config, "image_size"):
            replace(config, image_size=size)
    except ValueError as error:
        raise InputError(f"--start-size {size}: {str(error).partition(': ')[2]}") from None


def _check_memory(spec: InputSpec, what: str, batch_size: int) -> None:
    """Raises InputError where not even the pictures of a batch fit into the memory: the system would end the process.

    what: the setting that gives the size; batch_size: of the largest batch.
    """
    needed = batch_size * 3 * 4 * spec.size * (spec.max_side or spec.size)  # bytes, as float32
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"{what} {spec.size}: a batch of {batch_size} such images takes {needed / 1e9:.0f} GB, and "
            f"{free / 1e9:.0f} GB of memory are free; give smaller ones, or fewer with --batch-size"
        )


def _check_anchors(model: Any, what: str, size: int) -> None:
    """Raises InputError where an RPN that trains on anchors inside the image alone would find none, however long it is.

    what: the setting that gives the size.
    """
    if not hasattr(model, "trains_anchors"):
        return
    spec = model.input_spec.at(size)
    if not model.trains_anchors(spec.size, spec.max_side):
        raise InputError(
            f"{what} {size}: no anchor lies inside an image of {spec.size} by {spec.max_side} pixels, so the RPN would "
            "learn nothing; give smaller anchor_sizes, or --set cross_border=true"
        )
