"""Dealing out groups so that every part has its share of every class."""

import numpy as np
import pytest

from vedette.data.stratify import stratify


def test_by_hand() -> None:
    """Two images of the rare class, one for each part; the common one evens out what is left."""
    counts = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [0, 1]])
    part_of = stratify(counts, np.ones(6, dtype=np.int64), [0.5, 0.5])
    assert sorted(part_of[:2]) == [0, 1]
    assert sorted(part_of[2:]) == [0, 0, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_every_class_has_its_share_within_rounding(seed: int) -> None:
    """One class an image, the rarest a hundred times rarer than the commonest."""
    sizes = [1000, 300, 101, 33, 10]
    counts = np.repeat(np.eye(5, dtype=np.int64), sizes, axis=0)
    shares = [0.7, 0.2, 0.1]
    part_of = stratify(counts, np.ones(len(counts), dtype=np.int64), shares, seed)
    for part, share in enumerate(shares):
        found = counts[part_of == part].sum(0)
        assert (np.abs(found - share * np.array(sizes)) < 1).all()


@pytest.mark.parametrize("seed", range(5))
def test_several_classes_an_image_come_close(seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = (random.random((2000, 8)) < np.geomspace(0.4, 0.01, 8)).astype(np.int64)
    counts = np.hstack([counts, ~counts.any(1, keepdims=True)])
    shares = np.array([0.8, 0.1, 0.1])
    part_of = stratify(counts, np.ones(2000, dtype=np.int64), shares, seed)
    found = np.stack([counts[part_of == part].sum(0) for part in range(3)], 1)
    assert np.abs(found - np.outer(counts.sum(0), shares)).max() <= 2
    drawn = random.choice(3, 2000, p=shares)
    blind = np.stack([counts[drawn == part].sum(0) for part in range(3)], 1)
    assert np.abs(blind - np.outer(counts.sum(0), shares)).max() > 10


def test_large_groups_go_first() -> None:
    """A group of six and six of one image, for halves: only with the large one first do they even out."""
    counts = np.array([[1]] * 6 + [[6]])
    for seed in range(10):
        part_of = stratify(counts, counts[:, 0], [0.5, 0.5], seed)
        assert counts[part_of == 0].sum() == 6


def test_the_seed_decides() -> None:
    counts = np.ones((50, 1), dtype=np.int64)
    first, again, other = (stratify(counts, counts[:, 0], [0.5, 0.5], seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_the_rarest_class_goes_first() -> None:
    """Of twenty images with the common class two show the rare one too: each half has one of them, for any seed."""
    counts = np.array([[1, 1]] * 2 + [[1, 0]] * 18)
    for seed in range(20):
        part_of = stratify(counts, np.ones(20, dtype=np.int64), [0.5, 0.5], seed)
        assert sorted(part_of[:2]) == [0, 1]
