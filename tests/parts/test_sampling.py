"""What is drawn to learn from: counts, shares, chance, and that a picture's own is its own."""

import torch
from hypothesis import settings

from vedette.parts.sampling import LOTS, draw, lots, sample

examples = settings(max_examples=60, deadline=None, database=None, derandomize=True)

SEEDS = torch.tensor([11, 12, 13])
MATCHED = torch.tensor([[0, 1, -1, -1, -2, -1, 2, -1], [-1, -1, -1, -2, -2, -1, -1, -1], [-2] * 8])


def test_a_sample_is_positive_up_to_its_share_and_filled_up_with_negatives() -> None:
    for number in range(20):
        rows, valid = sample(MATCHED, 4, 0.5, SEEDS + number)
        drawn = MATCHED.gather(1, rows)
        assert valid.tolist() == [[True] * 4, [True] * 4, [False] * 4]
        assert (drawn[0] >= 0).sum() == 2  # three there, half of four wanted
        assert (drawn[1] == -1).all()
        assert (drawn[:2] > -2).all()
        assert all(len(set(row)) == 4 for row in rows[:2].tolist())  # none twice


def test_too_few_positives_make_place_for_negatives_and_too_few_negatives_for_nothing() -> None:
    rows, valid = sample(MATCHED, 8, 0.25, SEEDS)
    assert valid.sum(1).tolist() == [6, 6, 0]  # two positives and four negatives; six negatives; none
    few = torch.tensor([[0, 1, 2]])
    assert sample(few, 64, 0.25, SEEDS[:1]).valid.sum() == 3  # a quarter of 64, not of the three that there are
    assert (MATCHED.gather(1, rows)[valid] >= 0).sum() == 2
    assert sample(MATCHED, 100, 1.0, SEEDS).valid.sum(1).tolist() == [7, 6, 0]
    assert sample(MATCHED[:, :0], 4, 0.5, SEEDS).rows.shape == (3, 0)


def test_every_member_is_drawn_as_often() -> None:
    matched = torch.tensor([[0] * 4 + [-1] * 6]).expand(4000, 10)
    rows, _ = sample(matched, 4, 0.5, torch.arange(4000))
    often = torch.zeros(10).scatter_add(0, rows.flatten(), torch.ones(rows.numel())) / 4000
    assert (often[:4] - 0.5).abs().max() < 0.03  # two of four
    assert (often[4:] - 1 / 3).abs().max() < 0.03  # two of six


def test_the_seed_of_an_image_decides_whatever_is_beside_it() -> None:
    matched = torch.where(torch.rand(3, 500) < 0.1, 0, -1)
    whole = sample(matched, 64, 0.5, SEEDS).rows
    for row in range(3):
        assert torch.equal(sample(matched[row : row + 1], 64, 0.5, SEEDS[row : row + 1]).rows[0], whole[row])
    assert not torch.equal(sample(matched, 64, 0.5, SEEDS + 1).rows, whole)


def scalar_lots(seed: int, number: int) -> list[int]:
    """splitmix64 as it is published, on whole numbers without a sign."""
    mask, found = 2**64 - 1, []
    for place in range(1, number + 1):
        z = (seed + place * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        found.append((z ^ (z >> 31)) >> 3)
    return found


def test_lots_are_splitmix64s() -> None:
    assert scalar_lots(1234567, 1)[0] == 6457827717110365317 >> 3  # of the published test vector
    for seed in (0, 7, 2**62 - 1, 1234567):
        assert lots(torch.tensor([seed]), torch.arange(50))[0].tolist() == scalar_lots(seed, 50)
    low = lots(~torch.arange(2), torch.arange(3))  # seeds below 0 too
    assert low.tolist() == [scalar_lots(2**64 - 1 - seed, 3) for seed in range(2)]
    many = lots(torch.arange(200), torch.arange(1000))
    assert many.unique().numel() == many.numel()
    assert 0 <= int(many.min()) < int(many.max()) < LOTS
    assert abs(float((many.double() / LOTS).mean()) - 0.5) < 0.002


def test_windows_are_drawn_of_all_images_by_their_lots() -> None:
    labels = torch.tensor([[1, 0, 2, 0, -1, 0], [0, 0, 0, 3, 1, -1]])
    seeds = torch.tensor([5, 6])
    chosen = draw(labels, 2, 3, seeds)
    lot = lots(seeds, torch.arange(6))
    for wanted, number in ((labels > 0, 2), (labels == 0, 3)):
        best = sorted((value for value in lot[wanted].tolist()), reverse=True)[:number]
        assert sorted(lot[wanted & chosen].tolist(), reverse=True) == best
    assert int(chosen.sum()) == 5
