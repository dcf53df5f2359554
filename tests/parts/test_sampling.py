"""What is drawn to learn from: counts, shares, chance."""

import torch
from hypothesis import settings

from vedette.parts.sampling import sample

examples = settings(max_examples=60, deadline=None, database=None, derandomize=True)


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
