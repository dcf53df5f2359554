"""Running a model over a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from vedette.data.loader import AnnotatedImages, Batch, Proposals, eval_loader
from vedette.data.selective_search import proposals_of
from vedette.infer.multiscale import Passes, merge
from vedette.ops.boxes import clip, mirror
from vedette.ops.images import mirror_images, normalize_batch
from vedette.parts.calls import predict
from vedette.structures import Detections, InputSpec

LOWEST_SCORE = 0.01  # the papers' for VOC and COCO: AP rewards every further recall


@torch.no_grad()
def evaluate_model(
    model: nn.Module,
    dataset: AnnotatedImages,
    passes: Passes,
    device: torch.device | str = "cpu",
    workers: int = 2,
    bf16: bool = False,
    score: float = LOWEST_SCORE,
    progress: Callable[[int, int], None] | None = None,
    proposals: Proposals | None = None,
) -> list[Detections]:
    """What the model finds in each image, in the pixels of its annotation, on the CPU, in the data set's order.

    passes: planned from the model's InputSpec (`plan_passes`); what several find is merged, as in `Detector.detect`.
    bf16: run the network in bfloat16 under autocast; on a CPU also in channels_last, without which it is no faster.
    progress: called with the images done and all images, after each batch. proposals: for a model that needs them.
    The model is on `device` afterwards, and each part of it in training mode that was before.

    Raises InputError for an image that cannot be read.
    """
    if getattr(model, "needs_proposals", False) and proposals is None:
        config: Any = model.config
        proposals = proposals_of(dataset, config.search, config.proposals, workers=workers).__getitem__
    training = [module for module in model.modules() if module.training]
    model.to(device).eval()
    if bf16:
        model.to(memory_format=torch.channels_last)
    loaders = [eval_loader(dataset, spec, passes.batch_size, workers, proposals=proposals) for spec in passes.specs]
    found: list[Detections] = []
    try:
        for batches in zip(*loaders, strict=True):  # the same images in each of the sizes
            looks = [
                _detect(model, batch, spec, torch.device(device), bf16, score, mirrored)
                for batch, spec in zip(batches, passes.specs, strict=True)
                for mirrored in passes.flips
            ]
            found += merge(looks, model, score, passes.vote)
            if progress is not None:
                progress(len(found), len(dataset))
    finally:
        for module in training:  # one by one: parts of a model in training may be frozen
            module.training = True
    return found


def _detect(
    model: nn.Module, batch: Batch, spec: InputSpec, device: torch.device, bf16: bool, score: float, mirrored: bool
) -> list[Detections]:
    images, shapes = batch.images.to(device, non_blocking=True), batch.shapes.to(device)
    widths = batch.shapes[:, 1].tolist()
    proposals = batch.proposals
    if mirrored:
        images = mirror_images(images, shapes)
        proposals = proposals and [mirror(boxes, width) for boxes, width in zip(proposals, widths, strict=True)]
    images = normalize_batch(images, shapes, spec)
    if bf16:
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        predictions = predict(model, images, spec, shapes, proposals)
        found: list[Detections] = model.detect(predictions, score=score)  # type: ignore[operator]  # a head may run here
    if mirrored:
        found = [replace(one, boxes=mirror(one.boxes, width)) for one, width in zip(found, widths, strict=True)]
    return [to_annotation(*row) for row in zip(found, batch.sizes, batch.shapes, strict=True)]


def to_annotation(found: Detections, size: Tensor, shape: Tensor) -> Detections:
    """Detections in pixels of an input of shape (2,), height and width, in those of the annotated image.

    size (2,): the annotated image's width and height.
    """
    width, height = size.tolist()
    scale = (size / shape.flip(0)).repeat(2)
    boxes = clip(found.boxes.cpu().float() * scale, width, height)
    return Detections(boxes, found.scores.cpu().float(), found.labels.cpu(), found.source.cpu(), found.classes)
