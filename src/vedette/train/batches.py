"""Batches on their way to a step: so many at a time, and copied to the device while it works."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from vedette.data.loader import Batch
from vedette.structures import TargetBatch

StepInput = tuple[Tensor, TargetBatch, Tensor, Sequence[Tensor] | None]  # images, targets, shapes, proposals


def in_steps(batches: Iterator[Batch], number: int) -> Iterator[list[Batch]]:
    """So many batches at a time."""
    while taken := list(islice(batches, number)):
        yield taken


def on_device(batch: Batch, device: torch.device) -> StepInput:
    """What a step takes of a batch; a GPU's come from page-locked memory, so the host does not wait."""
    images, shapes = (tensor.to(device, non_blocking=True) for tensor in (batch.images, batch.shapes))
    targets = batch.truth.to(device, non_blocking=True)
    proposals = batch.proposals and [boxes.to(device, non_blocking=True) for boxes in batch.proposals]
    return images, targets, shapes, proposals
