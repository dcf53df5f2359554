"""Suppression on a GPU: kernels that walk over the candidates of a group on the device, so that the host never waits.

Shapes as in `nms`: `B` images, `K` candidates of each, here at least one. Candidates are put in an order in which those
of one image and group, a *run*, stand side by side. A program is started for every place in that order: where a run
begins it works on the run, elsewhere there is nothing to do, so the grid does not depend on the data.

Float32 in, float32 inside, and nothing is fused: overlaps are bit by bit those of `ops.boxes.iou`. So with float64.
"""

# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-call,no-untyped-def,untyped-decorator"
# A kernel's arguments have no types in Python.

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 64  # candidates that are compared with as many others at once
CHUNK = 1024  # candidates that Soft-NMS weakens at once
PADDING = torch.iinfo(torch.int64).max  # a group behind all others
ALL = tl.constexpr(tl.PropagateNan.ALL)  # what is no number stays none


def hard_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, enough: int) -> Tensor:
    """`nms`: boxes (B, K, 4), scores (B, K), groups (B, K) → (B, K) bool. `enough` counts in each group by itself."""
    best_first = scores.argsort(dim=1, descending=True, stable=True)
    kinds, regrouped = _kinds(scores, groups).gather(1, best_first).sort(dim=1, stable=True)
    order = best_first.gather(1, regrouped)
    keep = torch.zeros_like(scores, dtype=torch.bool)
    room = torch.empty_like(order)
    with torch.cuda.device_of(scores):
        _hard_nms[(scores.numel(),)](
            *(_exact(boxes), order, kinds, room, keep, scores.shape[1], iou, enough),
            **{"PADDING": PADDING, "TILE": TILE, "num_warps": 8, "enable_fp_fusion": False},
        )
    return keep


def soft_nms(boxes: Tensor, scores: Tensor, groups: Tensor, linear: bool, iou: float, sigma: float) -> Tensor:
    """`soft_nms`: boxes (B, K, 4), scores (B, K), groups (B, K) → (B, K) scores."""
    kinds, order = _kinds(scores, groups).sort(dim=1, stable=True)
    exact, softened = _exact(boxes), scores.clamp(max=0)
    waiting = scores.gather(1, order).to(exact.dtype)
    chunk = min(CHUNK, triton.next_power_of_2(scores.shape[1]))
    with torch.cuda.device_of(scores):
        _soft_nms[(scores.numel(),)](
            *(exact, order, kinds, waiting, softened, scores.shape[1], iou, sigma),
            **{"LINEAR": linear, "PADDING": PADDING, "CHUNK": chunk, "num_warps": 4, "enable_fp_fusion": False},
        )
    return softened


def _kinds(scores: Tensor, groups: Tensor) -> Tensor:
    return torch.where(scores > 0, groups, PADDING)


def _exact(boxes: Tensor) -> Tensor:
    return (boxes if boxes.dtype == torch.float64 else boxes.float()).contiguous()


@triton.jit
def _hard_nms(
    boxes, order, kinds, room, keep, width, iou: tl.float64, enough, PADDING: tl.constexpr, TILE: tl.constexpr
):
    """Who stays of a run: tile by tile, first against those that stay so far, then within the tile.

    room (B, K): for the candidates that stay, from the beginning of their run on.
    """
    beginning = tl.program_id(0).to(tl.int64)
    row, end = _run_at(kinds, beginning, width, PADDING, TILE)
    limit = tl.cast(iou, boxes.dtype.element_ty)
    lanes = tl.arange(0, TILE)
    first, count = beginning, 0
    while (first < end) & (count < enough):
        own = first + lanes < end
        candidates = row + tl.load(order + first + lanes, mask=own, other=0)
        x1, y1, x2, y2 = _corners(boxes, candidates, own)
        alive = own.to(tl.int32)
        for start in range(0, count, TILE):
            taken = start + lanes < count
            rivals = tl.load(room + beginning + start + lanes, mask=taken, other=0)
            left, top, right, bottom = _corners(boxes, rivals, taken)
            drops = _iou_of_pairs(left, top, right, bottom, x1, y1, x2, y2) > limit
            alive *= 1 - tl.max((drops & taken[:, None]).to(tl.int32), 0)
        drops = _iou_of_pairs(x1, y1, x2, y2, x1, y1, x2, y2) > limit
        keeps = _fixed_point(alive, (drops & (lanes[:, None] < lanes[None, :])).to(tl.int32))
        place = beginning + count + tl.cumsum(keeps, 0) - 1
        tl.store(room + place, candidates, mask=keeps > 0)
        tl.store(keep + candidates, keeps > 0, mask=keeps > 0)
        first += TILE
        count += tl.sum(keeps, 0)
        tl.debug_barrier()  # what one thread has stored, others load


@triton.jit
def _fixed_point(alive, drops):
    """Greedy suppression within a tile: who is alive and is dropped by nobody who stays; asked until nothing changes.

    drops: (TILE, TILE), 1 where the first would drop the second, who stands behind it.
    """
    keeps = alive
    changing = tl.max(alive, 0) > 0
    while changing:
        better = alive * (1 - tl.max(drops * keeps[:, None], 0))
        changing = tl.max((better != keeps).to(tl.int32), 0) > 0
        keeps = better
    return keeps


@triton.jit
def _soft_nms(
    boxes,
    order,
    kinds,
    waiting,
    softened,
    width,
    iou: tl.float64,
    sigma: tl.float64,
    LINEAR: tl.constexpr,
    PADDING: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """A round for each candidate of a run that has a score left, the best first: it weakens those that still wait.

    waiting (B, K): current scores in the order of the runs; 0 for those that had their turn.
    """
    beginning = tl.program_id(0).to(tl.int64)
    row, end = _run_at(kinds, beginning, width, PADDING, CHUNK)
    limit, spread = tl.cast(iou, waiting.dtype.element_ty), tl.cast(sigma, waiting.dtype.element_ty)
    nothing = tl.full((), 0, waiting.dtype.element_ty)
    left, top, right, bottom = nothing, nothing, nothing, nothing  # the last best: a box without area weakens nobody
    last = beginning - 1
    going = beginning < end
    while going:
        best, winner = nothing, beginning
        for first in range(beginning, end, CHUNK):
            places = first + tl.arange(0, CHUNK)
            own = places < end
            score = tl.load(waiting + places, mask=own & (places != last), other=0)
            candidates = row + tl.load(order + places, mask=own, other=0)
            x1, y1, x2, y2 = _corners(boxes, candidates, own)
            overlap = _iou(left, top, right, bottom, x1, y1, x2, y2)
            if LINEAR:
                score *= tl.where(overlap >= limit, 1 - overlap, 1)
            else:
                score *= tl.where(overlap > 0, tl.exp(-overlap * overlap / spread), 1)
            tl.store(waiting + places, score, mask=own)
            highest, lane = tl.max(score, 0, return_indices=True)  # ties: the first
            winner = tl.where(highest > best, first + lane, winner)
            best = tl.maximum(highest, best)
        going = best > 0
        chosen = row + tl.load(order + winner)
        tl.store(softened + chosen, best, mask=going)
        left, top, right, bottom = _corners(boxes, chosen, going)
        last = winner
        tl.debug_barrier()  # what one thread has stored, others load


@triton.jit
def _run_at(kinds, beginning, width, PADDING: tl.constexpr, CHUNK: tl.constexpr):
    """Where the row of a place begins and where the run that begins at this place ends: at it, if none begins."""
    row = beginning // width * width
    kind = tl.load(kinds + beginning)
    before = tl.load(kinds + beginning - 1, mask=beginning > row, other=PADDING)
    end = beginning
    going = (kind != PADDING) & (kind != before)
    while going:
        places = end + tl.arange(0, CHUNK)
        same = tl.load(kinds + places, mask=places < row + width, other=PADDING) == kind
        amount = tl.sum(same.to(tl.int32), 0)
        end += amount
        going = amount == CHUNK
    return row, end


@triton.jit
def _corners(boxes, index, mask):
    place = boxes + index * 4
    x1, y1 = tl.load(place, mask=mask, other=0), tl.load(place + 1, mask=mask, other=0)
    x2, y2 = tl.load(place + 2, mask=mask, other=0), tl.load(place + 3, mask=mask, other=0)
    return x1, y1, x2, y2


@triton.jit
def _iou_of_pairs(ax1, ay1, ax2, ay2, bx1, by1, bx2, by2):
    first = (ax1[:, None], ay1[:, None], ax2[:, None], ay2[:, None])
    return _iou(first[0], first[1], first[2], first[3], bx1[None, :], by1[None, :], bx2[None, :], by2[None, :])


@triton.jit
def _iou(ax1, ay1, ax2, ay2, bx1, by1, bx2, by2):
    """Operation by operation what `ops.boxes.iou` does; the area of a box that is no box, and so the union, is NaN."""
    width = tl.minimum(ax2, bx2) - tl.maximum(ax1, bx1)
    height = tl.minimum(ay2, by2) - tl.maximum(ay1, by1)
    shared = _side(width) * _side(height)
    union = _side(ax2 - ax1) * _side(ay2 - ay1) + _side(bx2 - bx1) * _side(by2 - by1) - shared
    if union.dtype == tl.float64:
        return shared / tl.maximum(union, 2.2250738585072014e-308, propagate_nan=ALL)
    else:
        return tl.div_rn(shared, tl.maximum(union, 1.1754943508222875e-38, propagate_nan=ALL))


@triton.jit
def _side(length):
    return tl.maximum(length, 0.0, propagate_nan=ALL)
