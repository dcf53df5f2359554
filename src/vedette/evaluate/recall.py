"""How many annotated boxes proposals cover: selective search's, an RPN's, or any other's.

Shapes: `N` proposals and `G` boxes to be found of one image, `T` thresholds, `K` numbers of proposals.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vedette.evaluate.truth import Truth
from vedette.ops.boxes import iou

COUNTS = (100, 300, 500, 1000, 2000)
THRESHOLDS = (0.5, 0.7)


def proposal_recall(
    proposals: Sequence[Tensor],
    truths: Sequence[Truth],
    counts: Sequence[int] = COUNTS,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Tensor:
    """(T, K) share of the boxes of all images that one of their image's first `counts[k]` proposals covers.

    proposals: (N, 4) of each image, the best first. Covered is a box that a proposal, of whatever other use, overlaps
    with IoU ≥ the threshold. Difficult boxes and crowds do not count; NaN where no box does.

    Raises ValueError where there are not one truth's boxes to each image's proposals.
    """
    if len(proposals) != len(truths):
        raise ValueError(f"{len(proposals)} images with proposals, but {len(truths)} with truths")
    best = [_best_so_far(found, truth, counts) for found, truth in zip(proposals, truths, strict=True)]
    overlaps = torch.cat([torch.zeros(0, len(counts)), *best])  # (all G, K)
    covered = overlaps >= torch.tensor(thresholds)[:, None, None]
    return covered.float().mean(1)


def _best_so_far(proposals: Tensor, truth: Truth, counts: Sequence[int]) -> Tensor:
    """(G, K) the highest IoU of each box with the first `counts[k]` proposals; 0 where there are none."""
    boxes = truth.boxes[~(truth.difficult | truth.crowd)].float()
    none = torch.zeros(len(boxes), 1)
    highest = torch.cat([none, iou(boxes, proposals.float())], 1).cummax(1).values
    return highest[:, torch.tensor(counts, dtype=torch.int64).clamp(max=len(proposals))]
