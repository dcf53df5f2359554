"""Running a model over a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from vedette.data.loader import AnnotatedImages, Batch, eval_loader
from vedette.data.selective_search import proposals_of
from vedette.infer.detector import Detector
from vedette.infer.multiscale import merge, plan_passes
from vedette.ops.boxes import clip, mirror
from vedette.ops.images import normalize
from vedette.structures import Detections, InputSpec

LOWEST_SCORE = 0.01  # the papers' for VOC and COCO: AP rewards every further recall


@torch.no_grad()
def evaluate_model(
    model: nn.Module,
    dataset: AnnotatedImages,
    input_spec: InputSpec,
    device: torch.device | str = "cpu",
    batch_size: int = 16,
    workers: int = 2,
    bf16: bool = False,
    score: float = LOWEST_SCORE,
    progress: Callable[[int, int], None] | None = None,
    *,
    scales: Sequence[int] | None = None,
    flip: bool = False,
    vote: bool = False,
) -> list[Detections]:
    """What the model finds in each image, in the pixels of its annotation, on the CPU, in the data set's order.

    bf16: run the network in bfloat16 under autocast; on a CPU also in channels_last, without which it is no faster.
    progress: called with the images done and all images, after each batch.
    scales, flip, vote: several passes over each image, merged, as in `Detector.detect`.
    The model is on `device` afterwards, and each part of it in training mode that was before.

    Raises InputError for an image that cannot be read and for scales that cannot be.
    """
    if getattr(model, "needs_proposals", False):
        how = {"score": score, "bf16": bf16, "scales": scales, "flip": flip, "vote": vote}
        return _detect_with_proposals(model, dataset, input_spec, device, batch_size, workers, progress, how)
    passes = plan_passes(input_spec, scales, flip, vote, batch_size)
    training = [module for module in model.modules() if module.training]
    model.to(device).eval()
    if bf16:
        model.to(memory_format=torch.channels_last)
    loaders = [eval_loader(dataset, spec, passes.batch_size, workers) for spec in passes.specs]
    found: list[Detections] = []
    try:
        for batches in zip(*loaders, strict=True):  # the same images in each of the sizes
            looks = [
                _detect(model, batch, input_spec, torch.device(device), bf16, score, mirrored)
                for batch in batches
                for mirrored in passes.flips
            ]
            found += merge(looks, model, score, vote)
            if progress is not None:
                progress(len(found), len(dataset))
    finally:
        for module in training:  # one by one: parts of a model in training may be frozen
            module.training = True
    return found


def _detect_with_proposals(
    model: Any,
    dataset: AnnotatedImages,
    spec: InputSpec,
    device: torch.device | str,
    batch_size: int,
    workers: int,
    progress: Callable[[int, int], None] | None,
    how: dict[str, Any],
) -> list[Detections]:
    """Whole pictures, through a `Detector`, which finds on disk the proposals that `workers` searched before."""
    training = [module for module in model.modules() if module.training]
    found: list[Detections] = []
    try:
        proposals_of(dataset, model.config.search, model.config.proposals, workers=workers)
        detector = Detector(model, spec, None, device)
        for start in range(0, len(dataset), batch_size):
            rows = range(start, min(start + batch_size, len(dataset)))
            pictures = [dataset.image(row) for row in rows]
            for row, picture, one in zip(rows, pictures, detector.detect(pictures, **how), strict=True):
                frame = dataset.size(row) if all(dataset.size(row)) else picture.size
                found.append(_scaled(one, picture.size, frame))
            if progress is not None:
                progress(len(found), len(dataset))
    finally:
        for module in training:
            module.training = True
    return found


def _scaled(found: Detections, seen: tuple[int, int], frame: tuple[int, int]) -> Detections:
    """Detections in a picture of that width and height, in the annotated one."""
    boxes = found.boxes * (torch.tensor(frame) / torch.tensor(seen)).repeat(2)
    return Detections(boxes, found.scores, found.labels, found.source, found.classes)


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
