"""Suppression on a GPU: kernels that walk over the candidates of a group on the device, so that the host never waits.

Shapes as in `nms`: `B` images, `K` candidates of each, here at least one. They are worked on as a `Line`: `R` rows of
`L`, in which the candidates of one image and group, a *run*, stand side by side. Where the caller says that each row is
one run, nobody is moved; else a program is started for every place of the line, and works where a run begins, so that
the grid does not depend on the data.

Float32 in, float32 inside, and nothing is fused: overlaps are bit by bit those of `ops.boxes.iou`. So with float64.
"""

# mypy: disable-error-code="import-untyped,import-not-found,no-untyped-call,no-untyped-def,untyped-decorator"
# A kernel's arguments have no types in Python.

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 64  # candidates that are compared with as many others at once, a bit of an int64 for each
CHUNK = 1024  # candidates that a walk looks at, or Soft-NMS weakens, at once
PADDING = torch.iinfo(torch.int64).max  # a group behind all others
ALL = tl.constexpr(tl.PropagateNan.ALL)  # what is no number stays none


class Line(NamedTuple):
    """The candidates of a batch, those of a run side by side."""

    boxes: Tensor  # (R, L, 4) float32 or float64
    ends: Tensor | None  # (R, L) int32: of each place, where its run ends; 0 in the padding; None: each row is a run
    places: Tensor | None  # (B, K) int64: the place of each candidate in its row; None: nobody was moved

    def put(self, values: Tensor) -> Tensor:
        """(B, K) values of the candidates → (R, L), a copy."""
        if self.places is None:
            return values.reshape(self.boxes.shape[:2]).clone()
        return torch.empty_like(values).scatter_(1, self.places, values)

    def take_back(self, values: Tensor, like: Tensor) -> Tensor:
        """(R, L) → (B, K), the shape of `like`."""
        return values.view_as(like) if self.places is None else values.gather(1, self.places)

    @property
    def programs(self) -> int:
        """How many places there are where a run may begin."""
        return len(self.boxes) if self.ends is None else self.ends.numel()

    @property
    def chunk(self) -> int:
        """How many candidates of a run are looked at at once."""
        whole_row: int = triton.next_power_of_2(self.boxes.shape[1])
        return min(CHUNK, whole_row)


def hard_nms(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, enough: int, runs: int = 0) -> Tensor:
    """`nms`: boxes (B, K, 4), scores (B, K), groups (B, K) → (B, K) bool. `enough` counts in each group by itself.

    First all pairs of each run are compared, side by side, a bit for each (L² / 8 bytes a row, as in torchvision's
    kernel); then a program for each run walks over the bits.
    """
    line = _line_up(boxes, scores, groups, runs)
    rows, width = line.boxes.shape[:2]
    tiles = triton.cdiv(width, TILE)
    present = scores.reshape(rows, width) if line.ends is None else line.ends
    drops = torch.empty(rows, tiles, tiles * TILE, dtype=torch.int64, device=scores.device)
    room = torch.empty(rows, width, dtype=torch.int32, device=scores.device)
    keep = torch.zeros_like(room, dtype=torch.bool)
    with torch.cuda.device_of(scores):
        _compare[(rows, tiles, tiles)](
            *(line.boxes, present, line.ends, drops, width, iou),
            **{"TILE": TILE, "num_warps": 8, "enable_fp_fusion": False},
        )
        _walk[(line.programs,)](
            *(drops, present, line.ends, room, keep, width, enough),
            **{"TILE": TILE, "CHUNK": line.chunk, "num_warps": max(1, line.chunk // 256)},
        )
    return line.take_back(keep, scores)


def soft_nms(
    boxes: Tensor, scores: Tensor, groups: Tensor, linear: bool, iou: float, sigma: float, runs: int = 0
) -> Tensor:
    """`soft_nms`: boxes (B, K, 4), scores (B, K), groups (B, K) → (B, K) scores."""
    line = _line_up(
        boxes, scores if runs else scores.sign(), groups, runs
    )  # of equals the first of the input goes first
    waiting = line.put(scores.to(line.boxes.dtype))
    softened = waiting.clamp(max=0)
    with torch.cuda.device_of(scores):
        _soft_nms[(line.programs,)](
            *(line.boxes, line.ends, waiting, softened, waiting.shape[1], iou, sigma),
            **{"LINEAR": linear, "CHUNK": line.chunk, "num_warps": 4, "enable_fp_fusion": False},
        )
    return line.take_back(softened, scores).to(scores.dtype)


def _line_up(boxes: Tensor, scores: Tensor, groups: Tensor, runs: int) -> Line:
    """Each row group by group and from the best down (ties: the first), its padding last; `runs` are so already."""
    exact = _exact(boxes)
    batch, width = scores.shape
    if runs:
        return Line(exact.view(batch * runs, width // runs, 4), None, None)
    line = Line(
        torch.empty_like(exact),
        torch.empty_like(scores, dtype=torch.int32, memory_format=torch.contiguous_format),
        torch.empty_like(groups, memory_format=torch.contiguous_format),
    )
    with torch.cuda.device_of(scores):
        _arrange[(batch, triton.cdiv(width, TILE))](
            *(exact, _exact(scores), groups.contiguous(), line.boxes, line.ends, line.places, width),
            **{"PADDING": PADDING, "TILE": TILE, "num_warps": 8},
        )
    return line


def _exact(values: Tensor) -> Tensor:
    return (values if values.dtype == torch.float64 else values.float()).contiguous()


@triton.jit
def _arrange(boxes, scores, groups, arranged, ends, places, width, PADDING: tl.constexpr, TILE: tl.constexpr):
    """Counts for each candidate of a tile how many of its row go before it: a sort would take several kernels a row."""
    row = tl.program_id(0).to(tl.int64) * width
    own = tl.program_id(1) * TILE + tl.arange(0, TILE)
    kind, score = _kind_and_score(groups, scores, row, own, width, PADDING)
    before = tl.zeros((TILE, TILE), tl.int32)
    within = tl.zeros((TILE, TILE), tl.int32)
    for first in range(0, width, TILE):
        rivals = first + tl.arange(0, TILE)
        kinds, others = _kind_and_score(groups, scores, row, rivals, width, PADDING)
        lower, same = kinds[:, None] < kind[None, :], kinds[:, None] == kind[None, :]
        better = others[:, None] > score[None, :]
        better |= (others[:, None] == score[None, :]) & (rivals[:, None] < own[None, :])
        before += (lower | (same & better)).to(tl.int32)
        within += (lower | same).to(tl.int32)
    place, end = tl.sum(before, 0), tl.sum(within, 0)
    tl.store(places + row + own, place, mask=own < width)
    tl.store(ends + row + place, tl.where(kind == PADDING, 0, end), mask=own < width)
    x1, y1, x2, y2 = _corners(boxes, row + own, own < width)
    to = arranged + (row + place) * 4
    tl.store(to, x1, mask=own < width)
    tl.store(to + 1, y1, mask=own < width)
    tl.store(to + 2, x2, mask=own < width)
    tl.store(to + 3, y2, mask=own < width)


@triton.jit
def _kind_and_score(groups, scores, row, index, width, PADDING: tl.constexpr):
    score = tl.load(scores + row + index, mask=index < width, other=0)
    kind = tl.load(groups + row + index, mask=index < width, other=PADDING)
    return tl.where(score > 0, kind, PADDING), tl.where(score > 0, score, 0)


@triton.jit
def _compare(boxes, present, ends, drops, width, iou: tl.float64, TILE: tl.constexpr):
    """Whom of a tile each candidate of that tile, or of one before it, would drop: a bit each.

    present (R, L): above 0 where no padding stands. drops (R, tiles, tiles * TILE): of a tile, by every place.
    Nothing is written where the tiles hold padding alone or no run reaches from one into the other: nobody asks.
    """
    row, earlier, later = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.program_id(2)
    tiles, lanes = tl.num_programs(2), tl.arange(0, TILE)
    rivals, own = earlier * TILE + lanes, later * TILE + lanes
    asked = earlier <= later
    if ends is not None:
        end = tl.load(ends + row * width + earlier * TILE + TILE - 1, mask=earlier < later, other=width)
        asked &= (earlier == later) | (end > later * TILE)
    above = tl.load(present + row * width + rivals, mask=asked & (rivals < width), other=0) > 0
    below = tl.load(present + row * width + own, mask=asked & (own < width), other=0) > 0
    if (tl.max(above.to(tl.int32), 0) > 0) & (tl.max(below.to(tl.int32), 0) > 0):
        left, top, right, bottom = _corners(boxes, row * width + rivals, above)
        x1, y1, x2, y2 = _corners(boxes, row * width + own, below)
        hits = _iou_of_pairs(x1, y1, x2, y2, left, top, right, bottom) > tl.cast(iou, boxes.dtype.element_ty)
        bits = tl.full((TILE,), 1, tl.int64) << lanes
        words = tl.sum(tl.where(hits, bits[:, None], 0), 0)
        tl.store(drops + (row * tiles + later) * tiles * TILE + rivals, words)


@triton.jit
def _walk(drops, present, ends, room, keep, width, enough, TILE: tl.constexpr, CHUNK: tl.constexpr):
    """Who stays of a run, tile by tile: nobody whom those that stay so far drop; the rest is settled within the tile.

    room (R, L): the places of those that stay, from the beginning of their run on.
    """
    row, begin, end = _run(ends, width)
    tiles, lanes = (width + TILE - 1) // TILE, tl.arange(0, TILE)
    bits = tl.full((TILE,), 1, tl.int64) << lanes
    room += row * width + begin
    tile, count = begin // TILE, 0
    while (tile * TILE < end) & (count < enough):
        places = tile * TILE + lanes
        own = (places >= begin) & (places < end)
        own &= tl.load(present + row * width + places, mask=own, other=0) > 0
        dropped_by = drops + (row * tiles + tile) * tiles * TILE
        behind = tl.load(dropped_by + places, mask=own, other=0) & (bits * -2)  # nobody drops who is before it
        alive = tl.sum(tl.where(own, bits, 0), 0)
        for first in range(0, count, CHUNK):
            taken = first + tl.arange(0, CHUNK)
            rivals = tl.load(room + taken, mask=taken < count, other=0)
            alive &= ~tl.reduce(tl.load(dropped_by + rivals, mask=taken < count, other=0), 0, _either)
        stays = (_fixed_point(alive, behind, lanes) >> lanes).to(tl.int32) & 1
        tl.store(keep + row * width + places, stays > 0, mask=stays > 0)
        tl.store(room + count + tl.cumsum(stays, 0) - 1, places, mask=stays > 0)
        tile += 1
        count += tl.sum(stays, 0)
        tl.debug_barrier()  # what one thread has stored, others load


@triton.jit
def _fixed_point(alive, behind, lanes):
    """Greedy suppression within a tile: who is alive and is dropped by nobody who stays; asked until nothing changes.

    alive: a bit for each lane; behind (TILE,): the bits of those behind a lane that it would drop.
    """
    keeps = alive
    changing = alive != 0
    while changing:
        better = alive & ~tl.reduce(tl.where((keeps >> lanes) & 1 != 0, behind, 0), 0, _either)
        changing = better != keeps
        keeps = better
    return keeps


@triton.jit
def _either(one, other):
    return one | other


@triton.jit
def _soft_nms(
    boxes,
    ends,
    waiting,
    softened,
    width,
    iou: tl.float64,
    sigma: tl.float64,
    LINEAR: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """A round for each candidate of a run that has a score left, the best first: it weakens those that still wait.

    waiting (R, L): current scores, 0 for those that had their turn.
    """
    row, begin, end = _run(ends, width)
    boxes += row * width * 4
    waiting += row * width
    limit, spread = tl.cast(iou, waiting.dtype.element_ty), tl.cast(sigma, waiting.dtype.element_ty)
    nothing = tl.full((), 0, waiting.dtype.element_ty)
    left, top, right, bottom = nothing, nothing, nothing, nothing  # the last best: a box without area weakens nobody
    last = begin - 1
    going = begin < end
    while going:
        best, winner = nothing, begin
        for first in range(begin, end, CHUNK):
            places = first + tl.arange(0, CHUNK)
            own = places < end
            score = tl.load(waiting + places, mask=own & (places != last), other=0)
            score = tl.where(score > 0, score, 0)
            x1, y1, x2, y2 = _corners(boxes, places, own)
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
        tl.store(softened + row * width + winner, best, mask=going)
        left, top, right, bottom = _corners(boxes, winner, going)
        last = winner
        tl.debug_barrier()  # what one thread has stored, others load


@triton.jit
def _run(ends, width):
    """The run a program takes care of: its row, where in it the run begins and ends; at once, if none begins."""
    program = tl.program_id(0).to(tl.int64)
    if ends is None:
        row, begin, end = program, tl.cast(0, tl.int32), tl.cast(width, tl.int32)
    else:
        row = program // width
        begin = (program - row * width).to(tl.int32)
        end = tl.load(ends + program)
        before = tl.load(
            ends + program - 1, mask=begin > 0, other=0
        )  # a run goes on where the one before has not ended
        end = tl.where(before > begin, begin, end)
    return row, begin, end


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
