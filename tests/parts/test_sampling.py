"""Hard negative mining: by hand, against a loop, counts, ties, nothing to mine."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.parts.sampling import mine_hard_negatives

examples = settings(max_examples=60, deadline=None, database=None, derandomize=True)


def slow_mine(loss: list[float], candidates: list[bool], positives: int, ratio: float, least: int) -> list[bool]:
    wanted = max(int(positives * ratio), least)
    hardest = sorted((a for a in range(len(loss)) if candidates[a]), key=lambda a: -loss[a])[:wanted]
    return [a in hardest for a in range(len(loss))]


def test_by_hand() -> None:
    loss = torch.tensor([[0.1, 0.9, 0.5, 0.7, 0.3, 0.8], [0.1, 0.9, 0.5, 0.7, 0.3, 0.8]])
    candidates = torch.tensor([[True, False, True, True, True, True], [True] * 6])
    chosen = mine_hard_negatives(loss, candidates, torch.tensor([1, 0]), ratio=3.0)
    assert chosen.tolist() == [[False, False, True, True, False, True], [False] * 6]
    chosen = mine_hard_negatives(loss, candidates, torch.tensor([1, 0]), ratio=2.0, min_negatives=1)
    assert chosen.tolist() == [[False, False, False, True, False, True], [False, True, False, False, False, False]]


def test_three_a_positive_by_default() -> None:
    chosen = mine_hard_negatives(torch.rand(3, 50), torch.ones(3, 50, dtype=torch.bool), torch.tensor([0, 1, 4]))
    assert chosen.sum(1).tolist() == [0, 3, 12]


@examples
@given(st.integers(0, 2**31), st.floats(0, 5), st.integers(0, 6))
def test_equals_the_loop(seed: int, ratio: float, least: int) -> None:
    torch.manual_seed(seed)
    loss, candidates, positives = torch.rand(3, 20), torch.rand(3, 20) < 0.7, torch.randint(0, 8, (3,))
    chosen = mine_hard_negatives(loss, candidates, positives, ratio, least)
    rows = zip(loss.tolist(), candidates.tolist(), positives.tolist(), strict=True)
    assert chosen.tolist() == [slow_mine(*row, ratio, least) for row in rows]


def test_ties_do_not_change_the_count() -> None:
    candidates = torch.rand(4, 100) < 0.5
    chosen = mine_hard_negatives(torch.ones(4, 100), candidates, torch.tensor([0, 1, 5, 99]), min_negatives=2)
    assert chosen.sum(1).tolist() == [2, 3, 15, int(candidates[3].sum())]
    assert not (chosen & ~candidates).any()
    assert torch.equal(chosen, mine_hard_negatives(torch.ones(4, 100), candidates, torch.tensor([0, 1, 5, 99]), 3.0, 2))


def test_no_more_than_there_are() -> None:
    candidates = torch.tensor([[True, False, False], [False, False, False]])
    chosen = mine_hard_negatives(torch.tensor([[0.0, 5.0, 5.0]] * 2), candidates, torch.tensor([2, 2]), min_negatives=3)
    assert torch.equal(chosen, candidates)


@pytest.mark.parametrize(("images", "anchors"), [(0, 5), (2, 0), (0, 0)])
def test_nothing_to_mine(images: int, anchors: int) -> None:
    candidates = torch.ones(images, anchors, dtype=torch.bool)
    chosen = mine_hard_negatives(torch.rand(images, anchors), candidates, torch.ones(images).long(), min_negatives=3)
    assert chosen.shape == (images, anchors)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_no_gradient_passes_and_any_float_type_goes(dtype: torch.dtype) -> None:
    loss = torch.rand(2, 9, dtype=dtype, requires_grad=True)
    chosen = mine_hard_negatives(loss, torch.ones(2, 9, dtype=torch.bool), torch.tensor([1, 2]))
    assert chosen.sum(1).tolist() == [3, 6]
    assert not chosen.requires_grad
