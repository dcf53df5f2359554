"""The ground truth of a batch, padded once: at the door of `loss`, or before, where the batch is loaded."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vedette.structures import Target


class TargetBatch(NamedTuple):
    """Ground truth of `B` images, padded to `G` boxes."""

    boxes: Tensor  # (B, G, 4)
    labels: Tensor  # (B, G) int64, 0 in the padding
    valid: Tensor  # (B, G) bool, False in the padding
    ignore: Tensor  # (B, G) bool

    @property
    def for_matching(self) -> tuple[Tensor, Tensor, Tensor]:
        """What `match` asks of it: boxes, valid, ignore."""
        return self.boxes, self.valid, self.ignore

    @classmethod
    def of(cls, targets: Sequence[Target]) -> "TargetBatch":
        """The targets of one batch, where they are; G is the largest number of boxes in an image."""
        if not targets:
            empty = torch.zeros(0, 0, dtype=torch.bool)
            return cls(torch.zeros(0, 0, 4), empty.long(), empty, empty)
        columns = (
            [t.boxes.float() for t in targets],
            [t.labels for t in targets],
            [torch.ones_like(t.labels, dtype=torch.bool) for t in targets],
            [torch.zeros_like(t.labels, dtype=torch.bool) if t.ignore is None else t.ignore for t in targets],
        )
        return cls(*(pad_sequence(column, batch_first=True) for column in columns))

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "TargetBatch":
        """The same on another device; from pinned memory and `non_blocking`, the host does not wait."""
        return TargetBatch(*(t.to(device, non_blocking=non_blocking) for t in self))

    def pin_memory(self) -> "TargetBatch":
        """The same in memory from which a GPU copies by itself."""
        return TargetBatch(*(t.pin_memory() for t in self))


Targets: TypeAlias = Sequence[Target] | TargetBatch  # what a `loss` takes


def check_targets(targets: Targets, images: int, num_classes: int) -> None:
    """Raises ValueError unless there is a target for each of the images, with labels that the model has.

    Labels on a GPU are not looked at: the host would have to wait.
    """
    labels = targets.labels if isinstance(targets, TargetBatch) else [t.labels for t in targets]
    if len(labels) != images:
        raise ValueError(f"{len(labels)} targets for {images} images: give one for each, empty where nothing is")
    if torch.compiler.is_compiling():
        return
    for row, own in enumerate(labels):
        if own.device.type == "cpu" and bool((own >= num_classes).any()):
            raise ValueError(f"targets[{row}] has label {int(own.max())}; the model has 0..{num_classes - 1}")


def pad_targets(targets: Targets, device: torch.device) -> TargetBatch:
    """The targets of one batch as four tensors on that device; those that are padded already are moved alone."""
    batch = targets if isinstance(targets, TargetBatch) else TargetBatch.of(targets)
    return batch.to(device, non_blocking=True)
