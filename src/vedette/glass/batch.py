"""What a network is shown in a training, and what it is to make of it: one batch, as its recipe has it.

The batch is the first of an epoch of the very training (`train.epochs`), the losses and gradients those of its step
(`train.step`), before anything is learned from it. Boxes are in the pixels of the changed images.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vedette.data.annotations import Dataset
from vedette.data.loader import Batch, Proposals
from vedette.data.selective_search import proposals_of
from vedette.errors import InputError
from vedette.glass.frame import Frame
from vedette.glass.lost_objects import picture_of
from vedette.glass.training import Matches, gradients_by_part, matches_of
from vedette.structures import Target, TargetBatch
from vedette.train.around import Around
from vedette.train.batches import on_device
from vedette.train.epochs import Epochs
from vedette.train.optim import freeze
from vedette.train.run import check_boxes, model_of
from vedette.train.run_file import Run
from vedette.train.step import TrainStep

Progress = Callable[[int, int], None]  # hears of pictures done, and of all


@dataclass(frozen=True, eq=False)
class SeenPicture:
    """An image as the network sees it, and who learns what of it."""

    file: str
    pixels: Tensor  # (3, H, W) uint8, RGB
    target: Target
    heads: tuple[Matches, ...]


@dataclass(frozen=True, eq=False)
class SeenBatch:
    """One step's batch."""

    run: Run
    pictures: tuple[SeenPicture, ...]
    losses: dict[str, float]  # the terms of the whole batch
    gradients: dict[str, float]  # L2 norm of the gradient of each part of the model
    frozen: int  # parameters that do not learn
    parameters: int

    @property
    def shares(self) -> dict[str, float]:
        """Of each term in the whole loss."""
        total = sum(self.losses.values())
        return {name: loss / total if total else 0.0 for name, loss in self.losses.items()}

    @property
    def norm(self) -> float:
        """Of the whole gradient, before it is clipped."""
        return float(sum(norm**2 for norm in self.gradients.values()) ** 0.5)


def see_batch(run: Run, around: Around, dataset: Dataset, progress: Progress | None = None) -> SeenBatch:
    """The first batch of the run; progress: hears of its pictures.

    Raises InputError for whatever the run would be refused for, and for one of four steps.
    """
    recipe = replace(run.recipe, workers=0, accumulate=1)
    if recipe.alternating:
        raise InputError("--recipe four-step: each of its steps has batches of its own; name another recipe")
    check_boxes(dataset, recipe, around)
    torch.manual_seed(recipe.seed)
    model = model_of(run, around)
    proposals = _proposals(model, dataset)
    batch: Batch = next(Epochs(dataset, model.input_spec, recipe, 0, 1, proposals).of(0, 0))
    if recipe.freeze_stem:
        freeze(model)
    device = torch.device(around.device)
    step = TrainStep(model, model.input_spec, recipe.precision == "bf16").to(device).train()
    images, truth, shapes, given = on_device(batch, device)
    predictions = step.predict(images, truth, shapes, given)
    losses = step.losses(predictions, truth)
    gradients = gradients_by_part(model, torch.stack(list(losses.values())).sum(), retain_graph=True)
    seen = []
    for row in range(len(batch.indices)):
        seen.append(_picture(step, predictions, batch, row))
        if progress is not None:
            progress(len(seen), len(batch.indices))
    return SeenBatch(
        run=run,
        pictures=tuple(seen),
        losses={name: float(loss.detach()) for name, loss in losses.items()},
        gradients=gradients,
        frozen=sum(p.numel() for p in model.parameters() if not p.requires_grad),
        parameters=sum(p.numel() for p in model.parameters()),
    )


def _proposals(model: Any, dataset: Dataset) -> Proposals | None:
    """Searched for when a picture is loaded: those of one batch alone are wanted."""
    if not getattr(model, "needs_proposals", False):
        return None
    c = model.config
    return lambda index: proposals_of(dataset, c.search, c.proposals, workers=0, indices=[index])[0]


def _picture(step: TrainStep, predictions: Any, batch: Batch, row: int) -> SeenPicture:
    """One image of the batch, without the padding of either."""
    height, width = batch.shapes[row].tolist()
    target, seed = batch.targets[row], batch.truth.seeds[row : row + 1]
    truth = TargetBatch.of([target], seed).to(step.look.normalize.mean.device)
    own, frame = picture_of(predictions, row), Frame(batch.shapes[row], batch.shapes[row].flip(0))
    heads = matches_of(step.model, own, truth, step.losses(own, truth), frame)
    return SeenPicture(batch.files[row], batch.images[row, :, :height, :width], target, heads)
