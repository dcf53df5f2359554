"""The ground truth of a batch, padded once at the door of `loss`."""

from collections.abc import Sequence
from typing import NamedTuple

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


Targets = Sequence[Target]


def check_targets(targets: Targets, images: int, num_classes: int) -> None:
    """Raises ValueError unless there is a target for each of the images, with labels that the model has.

    Labels on a GPU are not looked at: the host would have to wait.
    """
    if len(targets) != images:
        raise ValueError(f"{len(targets)} targets for {images} images: give one for each, empty where nothing is")
    if torch.compiler.is_compiling():
        return
    for row, target in enumerate(targets):
        if not target.labels.is_cuda and bool((target.labels >= num_classes).any()):
            raise ValueError(f"targets[{row}] has label {int(target.labels.max())}; the model has 0..{num_classes - 1}")


def pad_targets(targets: Targets, device: torch.device) -> TargetBatch:
    """Targets of one batch as four tensors; G is the largest number of boxes in an image, 0 if there is none."""
    if not targets:
        empty = torch.zeros(0, 0, dtype=torch.bool, device=device)
        return TargetBatch(torch.zeros(0, 0, 4, device=device), empty.long(), empty, empty)
    boxes = pad_sequence([t.boxes.float() for t in targets], batch_first=True)
    labels = pad_sequence([t.labels for t in targets], batch_first=True)
    valid = pad_sequence([torch.ones_like(t.labels, dtype=torch.bool) for t in targets], batch_first=True)
    ignore = pad_sequence(
        [torch.zeros_like(t.labels, dtype=torch.bool) if t.ignore is None else t.ignore for t in targets],
        batch_first=True,
    )
    return TargetBatch(*(t.to(device, non_blocking=True) for t in (boxes, labels, valid, ignore)))
