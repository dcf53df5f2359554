"""Which anchor answers for which ground-truth box: SSD's rule, for a whole batch at once.

Shapes: `B` images, `G` padded ground-truth boxes, `A` anchors.
"""

import torch
from torch import Tensor

from vedette.ops.boxes import iou as pairwise_iou
from vedette.ops.kernels import has_kernels

NEGATIVE = -1
IGNORED = -2
NO_OVERLAP = 1e-6  # below it a box takes no anchor (SSD's code)


def match(anchors: Tensor, boxes: Tensor, valid: Tensor, ignore: Tensor, iou: float = 0.5) -> Tensor:
    """Bipartite, then by threshold (SSD, section 2.2).

    anchors (A, 4) or (B, A, 4); boxes (B, G, 4); valid (B, G) bool, False for padding; ignore (B, G) bool. First every
    valid box takes an anchor of its own, best pair first; then every other anchor goes to the box it overlaps most
    (ties: the first), from IoU ≥ `iou` on. An anchor left over that overlaps an ignored box as much is IGNORED, the
    rest is NEGATIVE.
    → (B, A) int64: index of the box, -1 or -2.
    """
    if boxes.shape[1] == 0:
        return torch.full((len(boxes), anchors.shape[-2]), NEGATIVE, device=boxes.device)
    overlap = _signed_overlap(boxes, anchors, valid, ignore)
    best, matched = overlap.max(1)  # (B, A)
    rest = torch.where(overlap.amin(1) <= -iou, IGNORED, NEGATIVE)
    matched = torch.where(best >= iou, matched, rest)
    return _give_each_its_own(matched, *assign_bipartite(overlap))


def _signed_overlap(boxes: Tensor, references: Tensor, valid: Tensor, ignore: Tensor) -> Tensor:
    """(B, G, A) IoU, negative for ignored boxes and 0 for padding: every further pass over it costs time on a GPU."""
    overlap = pairwise_iou(boxes, references)
    sign = torch.add(valid.to(overlap.dtype), valid & ignore, alpha=-2)  # 1, -1 for ignored boxes, 0 for padding
    return overlap.mul_(sign[..., None])


def assign_bipartite(overlap: Tensor) -> tuple[Tensor, Tensor]:
    """One anchor for each box, best pair first, no anchor twice: (B, G, A) overlaps → (B, G) anchors, (B, G) taken.

    Pairs without overlap are never made, so a box that is to take none has overlaps of 0 or less.
    Ties: the first box, then its first anchor. A box that could take none has anchor 0 and `taken` False.
    """
    anchor, taken = torch.ops.vedette.assign_bipartite(overlap)
    return anchor, taken


@torch.library.custom_op("vedette::assign_bipartite", mutates_args=())
def _assign_bipartite(overlap: Tensor) -> tuple[Tensor, Tensor]:
    """Rounds over the whole batch, one opaque operation in a compiled loss: how many there are depends on the data.

    Each round makes the pairs that are the best left of their box and of their anchor; the greedy loop over pairs would
    make the same. The best pair of all is always among them, so G rounds are enough, and two are as a rule.
    A kernel of ours makes pick after pick instead.
    """
    if overlap.numel() and has_kernels(overlap):
        from vedette.ops.bipartite_triton import assign_bipartite as assign_on_device

        return assign_on_device(overlap, NO_OVERLAP)
    left = overlap.clone()
    images, boxes, anchors = overlap.shape
    anchor = torch.zeros(images, boxes, dtype=torch.int64, device=overlap.device)
    taken = torch.zeros_like(anchor, dtype=torch.bool)
    box = torch.arange(boxes, device=overlap.device)
    for _ in range(boxes if anchors else 0):
        best, asked = left.max(2)  # (B, G)
        rivals = left.gather(2, asked[:, None].expand(-1, boxes, -1))  # (B, G, G): every box with every asked anchor
        made = (best > NO_OVERLAP) & (rivals.max(1).indices == box)
        anchor, taken = torch.where(made, asked, anchor), taken | made
        # On the CPU a look at the result costs nothing; elsewhere it would make the host wait.
        if not overlap.is_cuda and not bool(((best > NO_OVERLAP) & ~made).any()):
            break
        gone = torch.zeros(images, anchors + 1, dtype=torch.bool, device=overlap.device)
        gone = gone.scatter(1, torch.where(made, asked, anchors), True)[:, None, :anchors]
        left.masked_fill_(made[..., None] | gone, -1.0)
    return anchor, taken


@_assign_bipartite.register_fake
def _(overlap: Tensor) -> tuple[Tensor, Tensor]:
    taken = torch.empty(overlap.shape[:2], dtype=torch.bool, device=overlap.device)
    return torch.empty_like(taken, dtype=torch.int64), taken


def _give_each_its_own(matched: Tensor, anchor: Tensor, taken: Tensor) -> Tensor:
    """(B, A) matches in which each box that took an anchor has it, whatever the threshold said."""
    spare = matched.shape[1]  # boxes without an anchor write to a column that is cut off
    wide = torch.cat([matched, matched.new_zeros(len(matched), 1)], 1)
    box = torch.arange(anchor.shape[1], device=anchor.device).expand_as(anchor)
    return wide.scatter(1, torch.where(taken, anchor, spare), box)[:, :spare]


def match_by_thresholds(
    references: Tensor,
    boxes: Tensor,
    valid: Tensor,
    ignore: Tensor,
    *,
    positive: float,
    negative: float,
    negative_from: float = 0.0,
    usable: Tensor | None = None,
    keep_best: bool = False,
) -> Tensor:
    """By the box that each anchor or region overlaps most (R-CNN's rule; with `keep_best` the RPN's).

    references (A, 4) or (B, A, 4); boxes, valid and ignore as in `match`. From IoU ≥ `positive` on a reference belongs
    to the box, under `negative` it is NEGATIVE, between them IGNORED; so is a negative that overlaps an ignored box
    from `positive` on or no box by `negative_from` (Fast R-CNN's [0.1, 0.5)), and what is not `usable` (B, A) or (A,).
    keep_best: the usable references that overlap a box more than all others (ties: all of them) belong to their best
    box whatever the threshold says (Faster R-CNN, section 3.1.2).
    → (B, A) int64: index of the box, -1 or -2.
    """
    if boxes.shape[1] == 0:
        nothing = NEGATIVE if negative_from <= 0 else IGNORED
        matched = torch.full((len(boxes), references.shape[-2]), nothing, device=boxes.device)
    else:
        overlap = _signed_overlap(boxes, references, valid, ignore)
        best, matched = overlap.max(1)  # (B, A)
        background = (best < negative) & (best.clamp(min=0) >= negative_from) & (overlap.amin(1) > -positive)
        belongs = best >= positive
        if keep_best:
            belongs |= _best_of_a_box(overlap, usable)
        matched = torch.where(belongs, matched, torch.where(background, NEGATIVE, IGNORED))
    return matched if usable is None else torch.where(usable, matched, IGNORED)


def _best_of_a_box(overlap: Tensor, usable: Tensor | None) -> Tensor:
    """(B, A) bool: the usable references that overlap some box more than all others."""
    if usable is not None:
        overlap = torch.where(usable[..., None, :], overlap, 0.0)
    highest = overlap.amax(2, keepdim=True)
    return (overlap == torch.where(highest > NO_OVERLAP, highest, torch.inf)).any(1)
