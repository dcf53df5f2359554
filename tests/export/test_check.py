"""When a file is the model's equal, worked by hand."""

import torch
from PIL import Image

from vedette.export.check import _paired, photographs
from vedette.structures import Detections


def found(*rows: tuple[float, float, int, int]) -> Detections:
    """Boxes of 10 pixels at x, their score, class and anchor."""
    boxes = torch.tensor([[x, 0.0, x + 10, 10.0] for x, *_ in rows]).view(-1, 4)
    scores = torch.tensor([score for _, score, *_ in rows])
    labels, source = (torch.tensor([row[column] for row in rows], dtype=torch.int64) for column in (2, 3))
    return Detections(boxes, scores, labels, source)


def test_pairs_are_of_one_anchor_and_class() -> None:
    row = _paired(found((0, 0.9, 0, 4), (50, 0.5, 1, 4)), found((0.25, 0.8, 0, 4), (50, 0.5, 1, 4)), 0.05)
    assert (row.pairs, row.tied, row.unpaired) == (2, 0, 0)
    assert (row.pixels, round(row.scores, 6)) == (0.25, 0.1)


def test_what_one_alone_finds_counts_unless_it_is_just_above_the_score() -> None:
    row = _paired(found((0, 0.9, 0, 4), (50, 0.055, 1, 3)), found((0, 0.9, 0, 4), (80, 0.3, 1, 7)), 0.05)
    assert (row.pairs, row.tied, row.unpaired) == (1, 0, 1)


def test_equals_may_stay_for_one_another() -> None:
    """Two regions with the same features have the same score: which of them stays is chance."""
    assert _paired(found((0, 0.9, 0, 4)), found((2, 0.9, 0, 5)), 0.05).tied == 2
    for other in ((2, 0.9, 1, 5), (2, 0.89, 0, 5), (9, 0.9, 0, 5)):  # another class, score, place
        assert _paired(found((0, 0.9, 0, 4)), found(other), 0.05).unpaired == 2


def test_nothing_beside_something() -> None:
    row = _paired(found(), found((0, 0.9, 0, 4)), 0.05)
    assert (row.pairs, row.unpaired) == (0, 1)
    assert _paired(found(), found(), 0.05) == (0, 0, 0, 0.0, 0.0)


def test_the_bundled_photographs_make_a_batch_of_five(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert len(photographs()) == 5
    Image.new("RGB", (30, 20)).save(tmp_path / "own.png")
    assert [one.size for one in photographs([tmp_path / "own.png"])] == [(30, 20), (30, 20), (20, 20)]
