"""Who suppressed whom: by hand and against loops."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ops.test_nms import Box, candidates, examples, slow_iou
from vedette.ops.nms import nms, soft_nms
from vedette.ops.suppressors import suppressors, weakeners


def slow_suppressors(
    boxes: list[Box], scores: list[float], groups: list[int], keep: list[bool], iou: float
) -> list[int]:
    found = []
    for j in range(len(boxes)):
        rivals = [i for i in range(len(boxes)) if keep[i] and groups[i] == groups[j]]
        hits = [i for i in rivals if slow_iou(boxes[i], boxes[j]) > iou]
        best = max(hits, key=lambda i: scores[i], default=-1)  # ties: the first
        found.append(j if keep[j] else best if scores[j] > 0 else -1)
    return found


def test_suppressors_by_hand() -> None:
    boxes = torch.tensor(
        [[[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 2], [0, 0, 10, 9], [0, 0, 10, 9], [0, 1, 10, 3]]]
    )
    scores, groups = torch.tensor([[0.8, 0.7, 0.9, 0.6, 0.0, 0.5]]), torch.tensor([[0, 0, 0, 1, 0, 0]])
    keep = nms(boxes, scores, groups, 0.5)
    assert suppressors(boxes, scores, groups, keep, 0.5).tolist() == [[0, 0, 2, 3, -1, 5]]
    # the last overlaps the third by 1 / 3; beyond `enough` nobody may have looked at it
    assert suppressors(boxes, scores, groups, keep & (scores > 0.8), 0.3).tolist() == [[-1, -1, 2, -1, -1, 2]]


@examples
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 0.5, 0.7]))
def test_suppressors_are_the_loop(seed: int, threshold: float) -> None:
    torch.manual_seed(seed)
    boxes, scores, groups = candidates(2, 25, 2)
    scores = (scores * 8).round() / 8  # ties
    keep = nms(boxes, scores, groups, threshold)
    found = suppressors(boxes, scores, groups, keep, threshold)
    rows = zip(*(t.tolist() for t in (boxes, scores, groups, keep)), strict=True)
    assert found.tolist() == [slow_suppressors(*row, threshold) for row in rows]
    assert torch.equal(found >= 0, scores > 0)  # who was dropped was dropped by somebody
    assert (scores.gather(1, found.clamp(min=0)) >= scores).all()


def slow_weakeners(
    boxes: list[Box], scores: list[float], groups: list[int], softened: list[float], rise: float
) -> list[int]:
    found = []
    for j in range(len(boxes)):
        turn = (softened[j], -j)
        before = [i for i in range(len(boxes)) if groups[i] == groups[j] and scores[i] > 0 and (softened[i], -i) > turn]
        best = max(before, key=lambda i: slow_iou(boxes[i], boxes[j]), default=-1)
        overlap = slow_iou(boxes[best], boxes[j]) if best >= 0 else 0.0
        found.append(best if overlap > 0 and overlap >= rise and softened[j] < scores[j] else -1)
    return found


def test_weakeners_by_hand() -> None:
    """The second is weakened by the first to 0.08, by which the third goes before it and weakens it too, but less."""
    boxes = torch.tensor([[[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 4, 10, 14], [0, 0, 10, 10], [50, 50, 60, 60]]])
    scores, groups = torch.tensor([[0.9, 0.8, 0.7, 0.0, 0.6]]), torch.tensor([[0, 0, 0, 0, 0]])
    softened = soft_nms(boxes, scores, groups, method="linear", iou=0.3)
    assert softened[0, 2] == pytest.approx(0.7 * (1 - 6 / 14))
    assert weakeners(boxes, scores, softened, groups, 0.3).tolist() == [[-1, 0, 0, -1, -1]]
    assert weakeners(boxes, scores, softened, torch.tensor([[0, 1, 2, 0, 0]]), 0.3).tolist() == [[-1] * 5]


@examples
@given(st.integers(0, 2**31), st.sampled_from(["linear", "gaussian"]))
def test_weakeners_are_the_loop(seed: int, method: Any) -> None:
    torch.manual_seed(seed)
    boxes, scores, groups = candidates(2, 20, 2)
    softened = soft_nms(boxes, scores, groups, method=method, iou=0.4)
    rise = 0.4 if method == "linear" else 0.0
    found = weakeners(boxes, scores, softened, groups, rise)
    rows = zip(*(t.tolist() for t in (boxes, scores, groups, softened)), strict=True)
    assert found.tolist() == [slow_weakeners(*row, rise) for row in rows]
    assert torch.equal(found >= 0, softened < scores)  # who was weakened was so by somebody


@pytest.mark.parametrize("shape", [(0, 0), (2, 0), (0, 5), (1, 3)])
def test_nobody_suppresses_nobody(shape: tuple[int, int]) -> None:
    boxes, scores, groups = torch.rand(*shape, 4), torch.zeros(shape), torch.zeros(shape, dtype=torch.int64)
    assert suppressors(boxes, scores, groups, scores > 0, 0.5).tolist() == torch.full(shape, -1).tolist()
    assert weakeners(boxes, scores, scores, groups).tolist() == torch.full(shape, -1).tolist()
