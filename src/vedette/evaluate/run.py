"""Running a model over a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.utils.data import DataLoader

from vedette.data.loader import AnnotatedImages, Proposals, Sample, eval_loader, workers_heard
from vedette.data.selective_search import proposals_of
from vedette.infer.backends.session import Session
from vedette.infer.detector import look_with
from vedette.infer.look import Inputs
from vedette.infer.multiscale import Passes, merge
from vedette.structures import Detections

Loaders: TypeAlias = Sequence[DataLoader[Sample]]  # one for each size of the input
LOWEST_SCORE = 0.01  # the papers' for VOC and COCO: AP rewards every further recall


def eval_loaders(
    dataset: AnnotatedImages, passes: Passes, workers: int = 2, proposals: Proposals | None = None
) -> Loaders:
    """What `evaluate_model` loads its images with; the worker processes stay as long as these are kept."""
    return [eval_loader(dataset, spec, passes.batch_size, workers, proposals=proposals) for spec in passes.specs]


def evaluate_model(
    model: nn.Module | Session,
    dataset: AnnotatedImages,
    passes: Passes,
    device: torch.device | str = "cpu",
    workers: int = 2,
    bf16: bool = False,
    score: float = LOWEST_SCORE,
    progress: Callable[[int, int], None] | None = None,
    proposals: Proposals | None = None,
    loaders: Loaders | None = None,
) -> list[Detections]:
    """What the model finds in each image, in the pixels of its annotation, on the CPU, in the data set's order.

    passes: planned from the model's InputSpec (`plan_passes`); what several find is merged, as in `Detector.detect`.
    bf16: run the network in bfloat16. progress: called with the images done and all images, after each
    batch. proposals: for a network that needs them. loaders: of `eval_loaders`, to be used again with them. The
    model is on `device` afterwards, and each part of it in training mode that was before.

    Raises InputError for an image that cannot be read.
    """
    if getattr(model, "needs_proposals", False) and proposals is None:
        config: Any = model.config
        proposals = proposals_of(dataset, config.search, config.proposals, workers=workers).__getitem__
    training = []
    if isinstance(model, nn.Module):
        training = [module for module in model.modules() if module.training]
        model.to(device).eval()
    looks = [look_with(model, spec, bf16, device) for spec in passes.specs]
    loaders = eval_loaders(dataset, passes, workers, proposals) if loaders is None else loaders
    found: list[Detections] = []
    try:
        with workers_heard():
            for batches in zip(*loaders, strict=True):  # the same images in each of the sizes
                seen = [Inputs(batch.images, batch.shapes, batch.sizes, batch.proposals) for batch in batches]
                every = [
                    look.find(inputs, score, mirrored)
                    for look, inputs in zip(looks, seen, strict=True)
                    for mirrored in passes.flips
                ]
                found += merge(every, model, score, passes.vote)
                if progress is not None:
                    progress(len(found), len(dataset))
    finally:
        for module in training:  # one by one: parts of a model in training may be frozen
            module.training = True
    return found
