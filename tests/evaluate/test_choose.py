"""A score for each class, by hand: the best F1's, that of a precision, and what a class without one gets."""

import pytest
import torch

from vedette.errors import InputError
from vedette.evaluate.choose import Rule, choose, read_rule
from vedette.evaluate.truth import Truth
from vedette.structures import Detections

CLASSES = ("cat", "dog", "cow")
HERE, THERE = [0.0, 0, 10, 10], [50.0, 50, 60, 60]


def image(truths: list[int], *rows: tuple[int, float, bool]) -> tuple[Detections, Truth]:
    """Objects of these labels, all at one place; (label, score, hit) found."""
    rows = tuple(sorted(rows, key=lambda row: -row[1]))
    boxes = torch.tensor([HERE if hit else THERE for *_, hit in rows]).view(-1, 4)
    scores, labels = torch.tensor([row[1] for row in rows]), torch.tensor([row[0] for row in rows], dtype=torch.int64)
    truth = Truth.of(torch.tensor([HERE] * len(truths)).view(-1, 4), torch.tensor(truths, dtype=torch.int64))
    return Detections(boxes, scores, labels, torch.zeros_like(labels)), truth


# cat: hits at 0.9 and 0.3, false at 0.4 and 0.2. dog: a hit at 0.5, false at 0.6. cow: nothing
IMAGES = (
    image([0], (0, 0.875, True), (0, 0.375, False)),
    image([0], (0, 0.25, True), (0, 0.125, False)),
    image([1], (1, 0.625, False), (1, 0.5, True)),
    image([2]),
)
FOUND, TRUTHS = zip(*IMAGES, strict=True)


def test_the_best_f1_of_each_class() -> None:
    chosen = choose(FOUND, TRUTHS, CLASSES, Rule(), "above")
    # cat: 2/3 at 0.875 (1 of 2), 4/5 at 0.25 (2 of 2, one false). dog: 2/3 at 0.5. All: 6/9 at 0.25, 3 of 4, two false
    assert chosen.scores == [0.25, 0.5, 0.25]
    assert [round(point.f1, 3) for point in chosen.points[:2]] == [0.8, 0.667]
    assert chosen.borrowed == (2,)


def test_a_precision_of_each_class() -> None:
    chosen = choose(FOUND, TRUTHS, CLASSES, Rule(0.6), "above")
    assert chosen.scores == [0.25, 0.25, 0.25]  # 2/3; never, then all classes' 3/5; never
    assert chosen.borrowed == (1, 2)
    assert choose(FOUND, TRUTHS, CLASSES, Rule(1.0), "above").scores == [0.875, 0.875, 0.875]


def test_nothing_that_does() -> None:
    nothing, truths = zip(image([0], (0, 0.5, False)), image([1]), strict=True)
    with pytest.raises(InputError, match="no score hits anything"):
        choose(nothing, truths, CLASSES, Rule(), "above")
    mixed, truths = zip(image([0], (0, 0.5, False)), image([0], (0, 0.25, True)), strict=True)
    with pytest.raises(InputError, match=r"no score makes a precision of 0\.9"):
        choose(mixed, truths, CLASSES, Rule(0.9), "above")


def test_rules() -> None:
    assert read_rule("best-f1") == Rule()
    assert read_rule("precision=0.9") == Rule(0.9)
    assert read_rule("precision=1") == Rule(1.0)


@pytest.mark.parametrize("text", ["", "f1", "precision", "precision=", "precision=0", "precision=1.1", "precision=nan"])
def test_other_words(text: str) -> None:
    with pytest.raises(InputError, match=r"--choose-thresholds .*: write best-f1, or precision=0\.9"):
        read_rule(text)
