"""Bipartite matching on a GPU: a kernel makes the picks of an image on the device, so that the host never waits."""

# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-call,no-untyped-def,untyped-decorator"
# A kernel's arguments have no types in Python.

import torch
import triton
import triton.language as tl
from torch import Tensor

CHUNK = 4096  # anchors that are looked at again at once


def assign_bipartite(overlap: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """`assign_bipartite` of overlaps (B, G, A), none of them 0, for pairs above `floor`: → (B, G) anchors, taken."""
    images, boxes, anchors = overlap.shape
    overlap = (overlap if overlap.dtype == torch.float64 else overlap.float()).contiguous()
    best, asked = overlap.max(2)
    gone = torch.zeros(images, anchors, dtype=torch.bool, device=overlap.device)
    anchor = torch.zeros_like(asked)
    taken = torch.zeros_like(asked, dtype=torch.bool)
    chunk = min(CHUNK, triton.next_power_of_2(anchors))
    with torch.cuda.device_of(overlap):
        _assign[(images,)](
            *(overlap, best, asked, gone, anchor, taken, boxes, anchors, floor),
            **{"BOXES": triton.next_power_of_2(boxes), "CHUNK": chunk, "num_warps": 8},
        )
    return anchor, taken


@triton.jit
def _assign(overlap, best, asked, gone, anchor, taken, boxes, anchors, floor, BOXES: tl.constexpr, CHUNK: tl.constexpr):
    """Pick after pick of an image's best pair. A box whose anchor went to another looks for its next best.

    It does so only when it is its turn: what it hoped for is no less than what is left to it, so nobody better waits.
    gone (B, A): which anchors are taken.
    """
    image = tl.program_id(0).to(tl.int64)
    lanes = tl.arange(0, BOXES)
    row = image * boxes
    value = tl.load(best + row + lanes, mask=lanes < boxes, other=-1)
    wish = tl.load(asked + row + lanes, mask=lanes < boxes, other=0)
    highest, box = tl.max(value, 0, return_indices=True)  # ties: the first
    while highest > floor:
        wanted = tl.sum(tl.where(lanes == box, wish, 0), 0)
        free = tl.load(gone + image * anchors + wanted) == 0
        tl.store(anchor + row + box, wanted, mask=free)
        tl.store(taken + row + box, free, mask=free)
        tl.debug_barrier()  # all have read whether it is free
        tl.store(gone + image * anchors + wanted, free, mask=free)
        left, next_wish = _best_left(overlap + (row + box) * anchors, gone + image * anchors, free, anchors, CHUNK)
        value = tl.where(lanes == box, left, value)
        wish = tl.where(lanes == box, next_wish, wish)
        tl.debug_barrier()  # what one thread has stored, others load
        highest, box = tl.max(value, 0, return_indices=True)


@triton.jit
def _best_left(overlap, gone, done, anchors, CHUNK: tl.constexpr):
    """A box's best anchor of those left (ties: the first), and the overlap with it; -1 for a box that is done."""
    best = tl.full((), -1, overlap.dtype.element_ty)
    place = tl.full((), 0, tl.int64)
    for first in range(0, tl.where(done, 0, anchors), CHUNK):
        lanes = first + tl.arange(0, CHUNK)
        left = tl.load(gone + lanes, mask=lanes < anchors, other=1) == 0
        value = tl.load(overlap + lanes, mask=left, other=-1)
        highest, lane = tl.max(value, 0, return_indices=True)
        place = tl.where(highest > best, (first + lane).to(tl.int64), place)
        best = tl.maximum(highest, best)
    return best, place
