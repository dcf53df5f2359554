"""Running a model over a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from vedette.data.loader import AnnotatedImages, Batch, eval_loader
from vedette.infer.multiscale import Passes, merge
from vedette.ops.boxes import clip, mirror
from vedette.ops.images import normalize
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
) -> list[Detections]:
    """What the model finds in each image, in the pixels of its annotation, on the CPU, in the data set's order.

    passes: planned from the model's InputSpec (`plan_passes`); what several find is merged, as in `Detector.detect`.
    bf16: run the network in bfloat16 under autocast; on a CPU also in channels_last, without which it is no faster.
    progress: called with the images done and all images, after each batch.
    The model is on `device` afterwards, and each part of it in training mode that was before.

    Raises InputError for an image that cannot be read.
    """
    training = [module for module in model.modules() if module.training]
    model.to(device).eval()
    if bf16:
        model.to(memory_format=torch.channels_last)
    loaders = [eval_loader(dataset, spec, passes.batch_size, workers) for spec in passes.specs]
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
    images = normalize(batch.images.to(device, non_blocking=True), spec)
    if mirrored:
        images = images.flip(-1)
    if bf16:
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        predictions = model(images)
    found: list[Detections] = model.detect(predictions, score=score)  # type: ignore[operator]
    side = batch.images.shape[-1]
    if mirrored:
        found = [replace(one, boxes=mirror(one.boxes, side)) for one in found]
    return [to_annotation(one, size, side) for one, size in zip(found, batch.sizes, strict=True)]


def to_annotation(found: Detections, size: Tensor, side: int) -> Detections:
    """Detections in a warped input of `side` pixels, in those of the annotated image: size (2,) width, height."""
    width, height = size.tolist()
    scale = torch.tensor([width, height, width, height]) / side
    boxes = clip(found.boxes.cpu().float() * scale, width, height)
    return Detections(boxes, found.scores.cpu().float(), found.labels.cpu(), found.source.cpu(), found.classes)
