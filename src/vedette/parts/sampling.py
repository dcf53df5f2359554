"""Which anchors or regions enter the loss.

What is drawn of an image depends on its seed and its own anchors or regions alone: not on the images beside it, the
process that has it, or the device.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vedette.parts.losses import current_step
from vedette.parts.matching import NEGATIVE

LOTS = 1 << 61  # a lot is below; twice as much is a 64-bit number still
GOLDEN, FIRST, SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15  # splitmix64's, as signed numbers


class Sample(NamedTuple):
    """What was drawn from each of `B` images: `N` places, positives first, and which of them there are."""

    rows: Tensor  # (B, N) int64
    valid: Tensor  # (B, N) bool, False where an image had fewer


def sample(matched: Tensor, count: int, positive_share: float, seeds: Tensor, places: Tensor | None = None) -> Sample:
    """A random `count` from each image, up to `positive_share` of it positive, filled up with negatives.

    matched (B, A): index of a box, -1 negative, other negative numbers are left out (Fast R-CNN, section 2.3; Faster
    R-CNN, section 3.1.3). seeds (B,) int64; places (A,) int64: what names a column whatever the padding before it.
    """
    most = min(int(count * positive_share), matched.shape[1])  # of the count asked for, however few there are
    count = min(count, matched.shape[1])
    lot = lots(seeds, torch.arange(matched.shape[1], device=seeds.device) if places is None else places)
    positive = matched >= 0
    key, chosen = torch.where(positive, lot, -1).topk(most)
    drawn = torch.zeros_like(positive).scatter(1, chosen, key >= 0)
    order = torch.where(drawn, LOTS + lot, torch.where(matched == NEGATIVE, lot, -1))
    best, rows = order.topk(count)
    return Sample(rows, best >= 0)


def draw(labels: Tensor, positives: int, negatives: int, seeds: Tensor) -> Tensor:
    """So many objects (1 and above) and of the background (0) at random, of the whole batch (R-CNN, section 2.3), that
    of all processes.

    labels (B, P), others are left out; seeds (B,) int64. → (B, P) bool.
    """
    lot = lots(seeds, torch.arange(labels.shape[1], device=seeds.device))
    chosen = torch.zeros_like(labels, dtype=torch.bool)
    for wanted, number in ((labels > 0, positives), (labels == 0, negatives)):
        own = torch.where(wanted, lot, -1)
        best = F.pad(own.flatten(), (0, number), value=-1).topk(number)[0]
        least = current_step[-1].gather(best).topk(number)[0][-1]
        chosen |= wanted & (own >= least)
    return chosen


def lots(seeds: Tensor, places: Tensor) -> Tensor:
    """(B,), (N,) int64 → (B, N) int64, random, from 0 to `LOTS`: splitmix64 of seed and place (Steele et al., 2014).

    A function of these alone, so there is no state to keep, and a GPU draws what a CPU draws.
    """
    z = seeds[:, None] + GOLDEN * (places + 1)
    z = (z ^ _shifted(z, 30)) * FIRST
    z = (z ^ _shifted(z, 27)) * SECOND
    return _shifted(z ^ _shifted(z, 31), 3)


def _shifted(z: Tensor, bits: int) -> Tensor:
    """To the right as an unsigned number: what comes in from the left is 0."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)
