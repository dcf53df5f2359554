"""Which training `vedette train` starts: one loop, with proposals where a detector takes them, or several in turn."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vedette.cli.progress import Progress
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.data.loader import Proposals
    from vedette.structures import InputSpec
    from vedette.train.four_step import FourStepTraining
    from vedette.train.loop import SaveWeights, Training, Validate
    from vedette.train.rcnn import RCNNTraining
    from vedette.train.recipe import Recipe

UNUSED = ("start_size", "start_share", "max_zoom_out", "eval_every")  # settings that these detectors' recipes lack


def training_of(
    model: Any, dataset: Dataset, spec: InputSpec, recipe: Recipe, out: Path, **ways: Any
) -> Training | RCNNTraining | FourStepTraining:
    """The run of a model; `ways` are the keywords of `Training`.

    Raises InputError for a setting that the model has no use for, and where what it needs is not installed.
    """
    from vedette.train.loop import Training

    if getattr(model, "trains_in_stages", False):
        return staged_training(model, dataset, recipe, out, **ways)
    _check_start_size(recipe.start_size, model.config)
    _check_anchors(model, "image_size", model.config.image_size)
    if recipe.start_size:
        _check_anchors(model, "--start-size", recipe.start_size)
    if recipe.alternating:
        return four_step_training(model, dataset, spec, recipe, out, **ways)
    proposals = proposals_for(dataset, model, recipe.workers)
    return Training(model, dataset, spec, recipe, out, proposals=proposals, **ways)


def _check_start_size(size: int, config: Any) -> None:
    """Raises InputError for a size that the detector could not have as its own."""
    try:
        if size:
            replace(config, image_size=size)
    except ValueError as error:
        raise InputError(f"--start-size {size}: {str(error).partition(': ')[2]}") from None


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


def proposals_for(dataset: Dataset, model: Any, workers: int) -> Proposals | None:
    """Selective search's of every image, from the disk where they are there; None for a model that needs none."""
    from vedette.data.selective_search import proposals_of

    if not getattr(model, "needs_proposals", False):
        return None
    c = model.config
    with Progress(len(dataset), "proposals") as bar:
        return proposals_of(dataset, c.search, c.proposals, workers=workers, progress=bar.reach).__getitem__


def staged_training(
    model: Any,
    dataset: Dataset,
    recipe: Recipe,
    out: Path,
    *,
    validate: Validate | None,
    save_weights: SaveWeights,
    device: str,
    say: Callable[[str], None],
) -> RCNNTraining:
    """The training of an R-CNN or an SPPNet.

    Raises InputError for a setting that it has no use for, and where what it needs is not installed.
    """
    from importlib.util import find_spec

    from vedette.train.rcnn import RCNNTraining
    from vedette.train.recipes import RCNN_TRAINING

    kind = type(model).__name__
    if find_spec("cv2") is None or find_spec("sklearn") is None:
        raise InputError(f'{kind} needs more packages to train: pip install "vedette[rcnn]"')
    _check_one_process(kind)
    defaults = {field.name: field.default for field in fields(recipe)}
    for name in UNUSED:
        if getattr(recipe, name) not in (defaults[name], getattr(RCNN_TRAINING.recipe, name)):
            option = f"--{name.replace('_', '-')}"
            raise InputError(f"{option}: {kind} is trained in stages on whole images; leave {option} out")
    return RCNNTraining(
        model,
        dataset,
        recipe,
        out,
        validate=validate,
        save_weights=save_weights,
        device=device,
        say=say,
        watch=Progress,
    )


def four_step_training(
    model: Any, dataset: Dataset, spec: InputSpec, recipe: Recipe, out: Path, **ways: Any
) -> FourStepTraining:
    """Faster R-CNN's RPN and detector in turns; raises InputError under torchrun."""
    from vedette.train.four_step import FourStepTraining

    _check_one_process("--recipe four-step")
    return FourStepTraining(model, dataset, spec, recipe, out, watch=Progress, **ways)


def _check_one_process(what: str) -> None:
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise InputError(f"{what} is trained by one process: start it without torchrun")


def holds_a_run(out: Path) -> bool:
    """Whether the folder has something that a run begun there would write over or remove."""
    from vedette.train.checkpoint import LAST
    from vedette.train.rcnn import FEATURES, REGRESSOR, SVM

    names = (LAST, "last.safetensors", "best.safetensors", FEATURES, SVM, REGRESSOR)
    return any((out / name).exists() for name in names) or any(out.glob(f"step*/{LAST}"))


def weights_to_go_on_from(out: Path, recipe: Recipe) -> Path:
    """What the model of the run in `out` goes on from; raises InputError where the run cannot go on."""
    from vedette.train.checkpoint import LAST
    from vedette.train.four_step import START, first_checkpoint

    needed = (first_checkpoint(out), out / START) if recipe.alternating else (out / LAST, out / "last.safetensors")
    missing = [file for file in needed if not file.exists()]
    if missing and not holds_a_run(out):
        raise InputError(f"{out}: no epoch was finished, so there is nothing to go on from; start without --resume")
    if missing:
        raise InputError(
            f"{missing[0]}: is missing, and the run cannot go on without it; begin another, in "
            "another --out, with --init PATH from the weights that are there"
        )
    return needed[1]
