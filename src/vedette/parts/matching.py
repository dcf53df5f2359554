"""Which anchor answers for which ground-truth box: SSD's rule, for a whole batch at once.

Shapes: `B` images, `G` padded ground-truth boxes, `A` anchors.
"""

import torch
from torch import Tensor

from vedette.ops.boxes import iou as pairwise_iou

NEGATIVE = -1
IGNORED = -2
NO_OVERLAP = 1e-6  # below it a box takes no anchor (SSD's code)


def match(anchors: Tensor, boxes: Tensor, valid: Tensor, ignore: Tensor, iou: float = 0.5) -> Tensor:
    """Bipartite, then by threshold (SSD, section 2.2).

    anchors (A, 4) or (B, A, 4); boxes (B, G, 4); valid (B, G) bool, False for padding; ignore (B, G) bool. First every
    valid box takes an anchor of its own, best pair first; then every other anchor goes to the box it overlaps most, from
    IoU ≥ `iou` on. An anchor left over that overlaps an ignored box as much is IGNORED, the rest is NEGATIVE.
    → (B, A) int64: index of the box, -1 or -2.
    """
    if boxes.shape[1] == 0:
        return torch.full((len(boxes), anchors.shape[-2]), NEGATIVE, device=boxes.device)
    overlap = pairwise_iou(boxes, anchors)  # (B, G, A)
    candidates = overlap.masked_fill(~(valid & ~ignore)[..., None], -1.0)
    best, matched = candidates.max(1)  # (B, A)
    skipped = overlap.masked_fill(~(valid & ignore)[..., None], -1.0).amax(1) >= iou
    rest = torch.where(skipped, IGNORED, NEGATIVE)
    matched = torch.where(best >= iou, matched, rest)
    return _give_each_its_own(matched, *assign_bipartite(candidates))


def assign_bipartite(overlap: Tensor) -> tuple[Tensor, Tensor]:
    """One anchor for each box, best pair first, no anchor twice: (B, G, A) overlaps → (B, G) anchors, (B, G) bool taken.

    Equal to the greedy loop over pairs: in each round every box asks for its best anchor that has not turned it down,
    and an anchor turns down all but its best asker (ties: the first). As both sides rank by the same overlap, this ends
    in the greedy assignment, after G rounds at most and two as a rule.
    """
    free = overlap
    count = overlap.shape[1]
    earlier = torch.ones(count, count, dtype=torch.bool, device=overlap.device).tril(-1)  # [i, j]: j before i
    for _ in range(count):
        best, anchor = free.max(2)  # (B, G)
        rival = (anchor[:, :, None] == anchor[:, None, :]) & (best > NO_OVERLAP)[:, None, :]
        better = (best[:, None, :] > best[:, :, None]) | ((best[:, None, :] == best[:, :, None]) & earlier)
        refused = (rival & better).any(2) & (best > NO_OVERLAP)
        # On the CPU a look at the result costs nothing; elsewhere it would make the host wait.
        if not torch.compiler.is_compiling() and not overlap.is_cuda and not bool(refused.any()):
            break
        free = free.scatter(2, anchor[..., None], torch.where(refused, -1.0, best)[..., None])
    return anchor, (best > NO_OVERLAP)


def _give_each_its_own(matched: Tensor, anchor: Tensor, taken: Tensor) -> Tensor:
    """(B, A) matches in which each box that took an anchor has it, whatever the threshold said."""
    spare = matched.shape[1]  # boxes without an anchor write to a column that is cut off
    wide = torch.cat([matched, matched.new_zeros(len(matched), 1)], 1)
    box = torch.arange(anchor.shape[1], device=anchor.device).expand_as(anchor)
    return wide.scatter(1, torch.where(taken, anchor, spare), box)[:, :spare]
