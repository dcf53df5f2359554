"""Which anchors or regions enter the loss."""

from typing import NamedTuple

import torch
from torch import Tensor

from vedette.parts.matching import NEGATIVE


class Sample(NamedTuple):
    """What was drawn from each of `B` images: `N` places, positives first, and which of them there are."""

    rows: Tensor  # (B, N) int64
    valid: Tensor  # (B, N) bool, False where an image had fewer


def sample(matched: Tensor, count: int, positive_share: float) -> Sample:
    """A random `count` from each image, up to `positive_share` of it positive, filled up with negatives.

    matched (B, A): index of a box, -1 negative, other negative numbers are left out (Fast R-CNN, section 2.3; Faster
    R-CNN, section 3.1.3). Uses torch's random numbers, so `torch.manual_seed` decides.
    """
    most = min(int(count * positive_share), matched.shape[1])  # of the count asked for, however few there are
    count = min(count, matched.shape[1])
    chance = torch.rand(matched.shape, device=matched.device)
    positive = matched >= 0
    key, chosen = torch.where(positive, chance, -1.0).topk(most)
    drawn = torch.zeros_like(positive).scatter(1, chosen, key >= 0)
    order = torch.where(drawn, 2 + chance, torch.where(matched == NEGATIVE, chance, -1.0))
    best, rows = order.topk(count)
    return Sample(rows, best >= 0)


def draw(labels: Tensor, positives: int, negatives: int) -> Tensor:
    """So many objects (1 and above) and of the background (0) at random, of the whole batch (R-CNN, section 2.3).

    labels (B, P) → (B, P) bool; other labels are left out.
    """
    flat = labels.flatten()
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    for wanted, number in ((flat > 0, positives), (flat == 0, negatives)):
        lot = torch.rand(flat.shape, device=flat.device).masked_fill(~wanted, -1.0)
        drawn, place = lot.topk(min(number, len(flat)))
        chosen = chosen.scatter(0, place, chosen[place] | (drawn >= 0))
    return chosen.view(labels.shape)
