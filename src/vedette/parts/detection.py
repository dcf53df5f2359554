"""From the scores of all anchors to the detections of a batch: pick, decode, suppress, with static shapes all the way.

A paper says what is its own: the scores, the boxes at the rows that were picked, how candidates are picked (the best of
an image, of a class, of a level) and suppressed. The rest is `find`.

Shapes: `B` images, `A` anchors (or regions), `C` classes, `K` candidates an image, `N` detections of one image.
"""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import threshold

from vedette.errors import InputError
from vedette.ops.nms import nms, soft_nms
from vedette.parts.config import Suppression
from vedette.structures import Detections


class Picked(NamedTuple):
    """Pairs of anchor and class, padded: a score of 0 means there is none."""

    scores: Tensor  # (B, K)
    rows: Tensor  # (B, K) int64, index of the anchor
    labels: Tensor  # (B, K) int64
    runs: int = 0  # K is so many equal stretches, each of one label of its own, from its best down; 0: not so


class Candidates(NamedTuple):
    """The best of an image, padded: a score of 0 means there is none."""

    boxes: Tensor  # (B, K, 4)
    scores: Tensor  # (B, K)
    labels: Tensor  # (B, K) int64
    source: Tensor  # (B, K) int64, index of the anchor


Pick = Callable[[Tensor], Picked]  # (B, A, C) scores, 0 where they are below the floor
BoxesAt = Callable[[Tensor, Tensor], Tensor]  # rows and labels (B, K) → (B, K, 4)
Floor = float | Tensor  # or a float32 tensor: () of a graph that is exported, (C,) one of each class


class Search(NamedTuple):
    """What `find` was given, and what of it went on: by it the glass box tells where each other pair was lost."""

    scores: Tensor  # (B, A, C)
    boxes_at: BoxesAt
    pick: Pick
    picked: Picked
    floor: float
    iou: float
    keep: int
    method: Suppression
    least_side: float


class Found(NamedTuple):
    """What `find` did: the candidates, and which of them stayed."""

    candidates: Candidates  # (B, K) before suppression
    kept: Candidates  # (B, N) after it, best first
    places: Tensor  # (B, N) int64: where each kept one stands among the candidates
    search: Search | None = None  # where the floor is a number and no compiler follows: a graph gives tensors alone

    def from_sources(self, sources: Tensor) -> "Found":
        """The same, where each row of the candidates came from one of (B, A) sources of its own."""
        candidates, kept = (
            part._replace(source=sources.gather(1, part.source)) for part in (self.candidates, self.kept)
        )
        return self._replace(candidates=candidates, kept=kept)


def find(
    scores: Tensor,
    boxes_at: BoxesAt,
    pick: Pick,
    *,
    floor: Floor,
    iou: float,
    keep: int,
    method: Suppression = "hard",
    least_side: float = 0.0,
) -> Found:
    """The `keep` best detections of each image.

    scores (B, A, C) without background; one of exactly `floor` counts. Boxes are decoded at the picked rows alone. One
    without area is none, and one with a side below `least_side` pixels.
    """
    picked = pick(at_least(scores.nan_to_num(0.0), floor))
    boxes = boxes_at(picked.rows, picked.labels)
    side = torch.minimum(*(boxes[..., 2:] - boxes[..., :2]).unbind(-1))  # amin of two is many times slower
    visible = side >= least_side if least_side > 0 else side > 0  # of NaN nothing is
    candidates = Candidates(boxes, picked.scores * visible, picked.labels, picked.rows)
    found = suppress(candidates, iou=iou, keep=keep, floor=floor, method=method, runs=picked.runs)
    if torch.compiler.is_compiling() or isinstance(floor, Tensor):
        return found
    return found._replace(search=Search(scores, boxes_at, pick, picked, float(floor), iou, keep, method, least_side))


def best_of_image(scores: Tensor, count: int) -> Picked:
    """The `count` best pairs of anchor and class of each image."""
    num_classes = scores.shape[2]
    best, pair = scores.flatten(1).topk(min(count, scores.shape[1] * num_classes))
    return Picked(best, pair // num_classes, pair % num_classes)


def best_of_each_class(scores: Tensor, count: int) -> Picked:
    """The `count` best anchors of each class in each image, class by class: K is C × `count`."""
    by_class = scores.transpose(1, 2).contiguous()  # topk is far slower on strides
    best, rows = by_class.topk(min(count, scores.shape[1]))  # (B, C, count)
    labels = torch.arange(scores.shape[2], device=scores.device)[:, None].expand_as(rows)
    return Picked(best.flatten(1), rows.flatten(1), labels.flatten(1), runs=scores.shape[2])


def best_of_each_level(scores: Tensor, count: int, levels: Sequence[int], apart: bool = False) -> Picked:
    """The `count` best pairs of each level; levels: how many of the A anchors are each one's.

    apart: the levels are the labels, so that no level suppresses another.
    """
    num_classes, start = scores.shape[2], 0
    best, pairs = [], []
    for part in torch.split(scores, list(levels), 1):
        values, order = part.flatten(1).topk(torch.sym_min(count, part.shape[1] * num_classes))
        best.append(values)
        pairs.append(order + start * num_classes if start else order)
        start += part.shape[1]
    pair = torch.cat(pairs, 1)
    if not apart:
        return Picked(torch.cat(best, 1), pair // num_classes, pair % num_classes)
    numbers = torch.arange(len(levels), device=pair.device)
    labels = torch.cat([number.expand_as(part) for number, part in zip(numbers, pairs, strict=True)], 1)
    alike = len(pairs) == 1 or (isinstance(scores.shape[1], int) and all(p.shape == pairs[0].shape for p in pairs))
    return Picked(torch.cat(best, 1), pair // num_classes, labels, len(pairs) * alike)


def suppress(
    candidates: Candidates, *, iou: float, keep: int, floor: Floor, method: Suppression = "hard", runs: int = 0
) -> Found:
    """Per-class NMS, hard or soft, and the `keep` best of what stays, in descending order of score.

    runs: as in `Picked`.
    """
    boxes, scores, labels, source = candidates
    if method == "hard":
        scores = scores * nms(boxes, scores, labels, iou, enough=keep, runs=runs)
    else:
        floors = floor[labels] if isinstance(floor, Tensor) and floor.ndim else floor
        scores = at_least(soft_nms(boxes, scores, labels, method=method, iou=iou, runs=runs), floors)
    best, places = scores.topk(torch.sym_min(keep, scores.shape[1]))
    kept = Candidates(rows_of(boxes, places), best, labels.gather(1, places), source.gather(1, places))
    return Found(candidates, kept, places)


def at_least(scores: Tensor, floor: Floor) -> Tensor:
    """The float32 scores from `floor` on, 0 for those below. The floor is rounded as they are: 0.3 is float32's 0.3."""
    if isinstance(floor, Tensor):
        return torch.where(scores >= floor, scores, 0.0)
    return threshold(scores, _before(floor), 0.0)  # one kernel; it keeps what is above


def _before(number: float) -> float:
    """The float32 before the float32 that is nearest to a number, in arithmetic that a compiler follows."""
    spread = number * (2**29 + 1)  # Veltkamp's splitting: what is left of 53 bits are the first 24
    return (spread - (spread - number)) * (1 - 2**-24)


def rows_of(values: Tensor, rows: Tensor) -> Tensor:
    """(B, A, D) at (B, K) → (B, K, D)."""
    return values.gather(1, rows[..., None].expand(-1, -1, values.shape[2]))


def unpad(found: Candidates) -> list[Detections]:
    """Each image's detections without the padding."""
    counts: list[int] = (found.scores > 0).sum(1).tolist()
    return [
        Detections(boxes=boxes[:n].float(), scores=scores[:n].float(), labels=labels[:n], source=source[:n])
        for n, boxes, scores, labels, source in zip(counts, *found, strict=True)
    ]


def check_score(score: float) -> float:
    """A least score, numpy's too, as Python's own number; raises InputError (a ValueError) unless it is from 0 to 1."""
    if not isinstance(score, Real) or isinstance(score, bool) or not 0 <= score <= 1:  # NaN is not either
        raise InputError(f"score is {score!r}: give a number from 0 to 1")
    return float(score)


def trimmed(real: Tensor) -> Tensor:
    """(B, P) of which the first are True, less what all pad: on a CPU, as a GPU would wait and a graph change shape."""
    if torch.compiler.is_compiling() or real.device.type != "cpu":
        return real
    return real[:, : max([1, *real.sum(1).tolist()])]
