"""Hard negative mining: by hand, against a loop, counts, ties, nothing to mine."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vedette.parts.sampling import mine_hard_negatives, sample

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


MATCHED = torch.tensor([[0, 1, -1, -1, -2, -1, 2, -1], [-1, -1, -1, -2, -2, -1, -1, -1], [-2] * 8])


def test_a_sample_is_positive_up_to_its_share_and_filled_up_with_negatives() -> None:
    torch.manual_seed(0)
    for _ in range(20):
        rows, valid = sample(MATCHED, 4, 0.5)
        drawn = MATCHED.gather(1, rows)
        assert valid.tolist() == [[True] * 4, [True] * 4, [False] * 4]
        assert (drawn[0] >= 0).sum() == 2  # three there, half of four wanted
        assert (drawn[1] == -1).all()
        assert (drawn[:2] > -2).all()
        assert all(len(set(row)) == 4 for row in rows[:2].tolist())  # none twice


def test_too_few_positives_make_place_for_negatives_and_too_few_negatives_for_nothing() -> None:
    rows, valid = sample(MATCHED, 8, 0.25)
    assert valid.sum(1).tolist() == [6, 6, 0]  # two positives and four negatives; six negatives; none
    few = torch.tensor([[0, 1, 2]])
    assert sample(few, 64, 0.25).valid.sum() == 3  # a quarter of 64, not of the three that there are
    assert (MATCHED.gather(1, rows)[valid] >= 0).sum() == 2
    assert sample(MATCHED, 100, 1.0).valid.sum(1).tolist() == [7, 6, 0]
    assert sample(MATCHED[:, :0], 4, 0.5).rows.shape == (3, 0)


def test_every_member_is_drawn_as_often() -> None:
    torch.manual_seed(0)
    matched = torch.tensor([[0] * 4 + [-1] * 6]).expand(4000, 10)
    rows, _ = sample(matched, 4, 0.5)
    often = torch.zeros(10).scatter_add(0, rows.flatten(), torch.ones(rows.numel())) / 4000
    assert (often[:4] - 0.5).abs().max() < 0.03  # two of four
    assert (often[4:] - 1 / 3).abs().max() < 0.03  # two of six


def test_the_seed_decides() -> None:
    torch.manual_seed(3)
    first = sample(MATCHED, 4, 0.5).rows
    torch.manual_seed(3)
    assert torch.equal(first, sample(MATCHED, 4, 0.5).rows)
