"""How many boxes proposals cover."""

import math

import pytest
import torch
from torch import Tensor

from vedette.evaluate.recall import proposal_recall
from vedette.evaluate.truth import Truth


def truth(*boxes: list[float], difficult: list[bool] | None = None, crowd: list[bool] | None = None) -> Truth:
    marks = [None if mark is None else torch.tensor(mark) for mark in (difficult, crowd)]
    return Truth.of(torch.tensor(boxes).reshape(-1, 4), torch.zeros(len(boxes), dtype=torch.int64), *marks)


def test_by_hand() -> None:
    proposals = torch.tensor([[0.0, 0.0, 10.0, 5.0], [50.0, 50.0, 60.0, 60.0], [0.0, 0.0, 10.0, 8.0]])
    found = proposal_recall(
        [proposals, torch.zeros(0, 4)],
        [truth([0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]), truth([1.0, 1.0, 5.0, 5.0])],
        counts=(1, 2, 3, 100),
        thresholds=(0.5, 0.7, 0.81),
    )
    # The first box: IoU exactly 0.5 with the first proposal, 0.8 with the third. The third box has no proposals.
    wanted = [[1 / 3, 2 / 3, 2 / 3, 2 / 3], [0, 1 / 3, 2 / 3, 2 / 3], [0, 1 / 3, 1 / 3, 1 / 3]]
    assert torch.allclose(found, torch.tensor(wanted))


def test_what_is_ignored_does_not_count() -> None:
    boxes = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40.0, 0.0, 50.0, 10.0]
    proposals = [torch.tensor(boxes[:1])]
    for marks in ({"difficult": [False, True, True]}, {"crowd": [False, True, True]}):
        assert proposal_recall(proposals, [truth(*boxes, **marks)], (1,), (0.5,)).item() == 1
    assert proposal_recall(proposals, [truth(*boxes)], (1,), (0.5,)).item() == pytest.approx(1 / 3)


def test_nothing_to_find_is_nan() -> None:
    ignored = truth([0.0, 0.0, 9.0, 9.0], crowd=[True])
    found = proposal_recall([torch.rand(3, 4), torch.zeros(0, 4)], [ignored, truth()], (1, 2), (0.5,))
    assert found.shape == (1, 2)
    assert bool(found.isnan().all())
    assert bool(proposal_recall([], []).isnan().all())


def test_there_is_a_truth_for_each_image() -> None:
    with pytest.raises(ValueError, match="2 images with proposals, but 1 with truths"):
        proposal_recall([torch.zeros(0, 4)] * 2, [truth()])


def slow_recall(proposals: list[Tensor], truths: list[Truth], count: int, threshold: float) -> float:
    covered = total = 0
    for found, one in zip(proposals, truths, strict=True):
        for box, difficult, crowd in zip(one.boxes.tolist(), one.difficult, one.crowd, strict=True):
            if difficult or crowd:
                continue
            total += 1
            for row in found[:count].tolist():
                width = max(0.0, min(box[2], row[2]) - max(box[0], row[0]))
                height = max(0.0, min(box[3], row[3]) - max(box[1], row[1]))
                area, other = (box[2] - box[0]) * (box[3] - box[1]), (row[2] - row[0]) * (row[3] - row[1])
                if width * height >= threshold * (area + other - width * height):
                    covered += 1
                    break
    return covered / total if total else math.nan


@pytest.mark.parametrize("seed", range(5))
def test_the_slow_loop_says_the_same(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)

    def boxes(count: int) -> Tensor:
        corner = torch.randint(0, 12, (count, 2), generator=generator).float()
        return torch.cat([corner, corner + torch.randint(1, 9, (count, 2), generator=generator)], 1)

    proposals = [boxes(int(torch.randint(0, 20, (), generator=generator))) for _ in range(6)]
    truths = []
    for _ in range(6):
        own = boxes(int(torch.randint(0, 5, (), generator=generator)))
        marks = torch.rand(2, len(own), generator=generator) < 0.2
        truths.append(Truth.of(own, torch.zeros(len(own), dtype=torch.int64), *marks))
    counts, thresholds = (1, 3, 7, 20, 50), (0.3, 0.5, 0.7)
    found = proposal_recall(proposals, truths, counts, thresholds)
    slow = [[slow_recall(proposals, truths, count, threshold) for count in counts] for threshold in thresholds]
    assert torch.allclose(found, torch.tensor(slow))
