"""Which anchors enter the classification loss."""

import torch
from torch import Tensor


def mine_hard_negatives(
    loss: Tensor, candidates: Tensor, positives: Tensor, ratio: float = 3.0, min_negatives: int = 0
) -> Tensor:
    """The negatives of highest loss, `ratio` for each positive of their image (SSD, section 2.2).

    loss (B, A), no gradient needed; candidates (B, A) bool: which anchors may be mined; positives (B,) their number in
    each image. An image gets at least `min_negatives`: with the ratio alone one without objects would teach nothing.
    → (B, A) bool; ties go to whichever the sort puts first, the count is exact.
    """
    wanted = (positives * ratio).long().clamp(min=min_negatives)  # (B,)
    order = loss.detach().masked_fill(~candidates, -torch.inf).argsort(1, descending=True)
    rank = torch.arange(loss.shape[1], device=loss.device)
    hardest = torch.zeros_like(candidates).scatter(1, order, rank < wanted[:, None])
    return hardest & candidates
