"""Prediction heads on the maps of a pyramid.

Shapes: `L` levels of `C_l` channels, `K` anchors a cell, `A` anchors over all levels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vedette.structures import HeadOutput


class MultiboxHead(nn.Module):
    """One 3×3 convolution a level for the scores and one for the deltas of its anchors (SSD, section 2.1)."""

    def __init__(self, channels: Sequence[int], anchors_per_cell: Sequence[int], num_scores: int) -> None:
        super().__init__()
        self.num_scores = num_scores
        levels = list(zip(channels, anchors_per_cell, strict=True))
        self.logits = nn.ModuleList(nn.Conv2d(c, k * num_scores, 3, padding=1) for c, k in levels)
        self.deltas = nn.ModuleList(nn.Conv2d(c, k * 4, 3, padding=1) for c, k in levels)

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """L maps (B, C_l, H_l, W_l) → logits (B, A, num_scores), deltas (B, A, 4), in the order of the anchors."""
        logits = [per_anchor(conv(x), self.num_scores) for conv, x in zip(self.logits, features, strict=True)]
        deltas = [per_anchor(conv(x), 4) for conv, x in zip(self.deltas, features, strict=True)]
        return HeadOutput(torch.cat(logits, 1), torch.cat(deltas, 1))


def per_anchor(maps: Tensor, size: int) -> Tensor:
    """(B, K * size, H, W) → (B, H * W * K, size)."""
    batch, channels, height, width = maps.shape
    return maps.permute(0, 2, 3, 1).reshape(batch, height * width * (channels // size), size)
