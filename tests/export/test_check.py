"""When a file is the model's equal, worked by hand."""

from dataclasses import replace

import torch
from PIL import Image

from vedette.export.check import Comparison, _paired, photographs
from vedette.structures import Detections


def found(*rows: tuple[float, float, int, int]) -> Detections:
    """Boxes of 10 pixels at x, their score, class and anchor."""
    boxes = torch.tensor([[x, 0.0, x + 10, 10.0] for x, *_ in rows]).view(-1, 4)
    scores = torch.tensor([score for _, score, *_ in rows])
    labels, source = (torch.tensor([row[column] for row in rows], dtype=torch.int64) for column in (2, 3))
    return Detections(boxes, scores, labels, source)


def test_pairs_are_of_one_anchor_and_class() -> None:
    row = _paired(found((0, 0.9, 0, 4), (50, 0.5, 1, 4)), found((50, 0.5, 1, 4), (0.25, 0.8, 0, 4)), 0.05)
    assert (row.pairs, row.alone) == (2, 0)
    assert (row.pixels, round(row.scores, 6)) == (0.25, 0.1)


def test_what_one_alone_finds_counts() -> None:
    row = _paired(found((0, 0.9, 0, 4), (50, 0.055, 1, 3)), found((0, 0.9, 0, 4), (80, 0.3, 1, 7)), 0.05)
    assert (row.pairs, row.alone) == (1, 2)


def test_weaker_ones_are_partners_alone() -> None:
    """One of 0.052 has its partner at 0.048; two of 0.045, which nobody asked for, are neither pair nor fault."""
    row = _paired(found((0, 0.052, 0, 4), (50, 0.045, 1, 3)), found((0, 0.048, 0, 4), (80, 0.045, 1, 7)), 0.05)
    assert (row.pairs, row.alone, round(row.scores, 6)) == (1, 0, 0.004)


def test_which_of_those_alike_is_kept_last_is_chance() -> None:
    """Scores differ by 0.002; of the three that are kept, 0.3 and 0.301 of other anchors are both the last."""
    ours = found((0, 0.9, 0, 4), (50, 0.5, 1, 3), (90, 0.3, 1, 7))
    theirs = found((0, 0.9, 0, 4), (50, 0.498, 1, 3), (70, 0.301, 1, 8))
    assert _paired(ours, theirs, 0.05, 3)[:2] == (2, 0)
    assert _paired(ours, theirs, 0.05, 4)[:2] == _paired(ours, theirs, 0.05)[:2] == (2, 2)
    further = found((0, 0.9, 0, 4), (50, 0.498, 1, 3), (70, 0.303, 1, 8))
    assert _paired(ours, further, 0.05, 3)[:2] == (2, 1)


def test_equals_do_not_stand_for_one_another() -> None:
    """The same box, class and score of another anchor: a file with wrong sources would be of this kind."""
    assert _paired(found((0, 0.9, 0, 4)), found((0, 0.9, 0, 5)), 0.05) == (0, 2, 0.0, 0.0)


def test_what_is_found_twice_counts() -> None:
    row = _paired(found((0, 0.9, 0, 4)), found((0, 0.9, 0, 4), (0, 0.9, 0, 4)), 0.05)
    assert (row.pairs, row.alone) == (1, 1)


def test_nothing_beside_something() -> None:
    assert _paired(found(), found((0, 0.9, 0, 4)), 0.05) == (0, 1, 0.0, 0.0)
    assert _paired(found(), found(), 0.05) == (0, 0, 0.0, 0.0)


def test_the_same_is_near_and_complete_and_something() -> None:
    same = Comparison(pictures=5, score=0.05, pairs=900, alone=0, pixels=0.5, scores=0.01)
    assert same.same
    for fault in ({"pixels": 0.51}, {"scores": 0.011}, {"alone": 1}, {"pairs": 0}):
        assert not replace(same, **fault).same
    assert "900 by both, 0 by one alone; boxes differ by 0.5 pixels, scores by 0.01" in str(same)
    assert "nothing was compared; give others with --check" in str(replace(same, pairs=0))


def test_the_bundled_photographs_make_a_batch_of_five(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert len(photographs()) == 5
    Image.new("RGB", (30, 20)).save(tmp_path / "own.png")
    assert [one.size for one in photographs([tmp_path / "own.png"])] == [(30, 20), (30, 20), (20, 20)]
