"""Numbers of things, in words."""

import pytest

from vedette.data.values import counted


@pytest.mark.parametrize(
    ("number", "thing", "words"),
    [
        (0, "image", "0 images"),
        (1, "image", "1 image"),
        (2, "image", "2 images"),
        (1, "box", "1 box"),
        (2, "box", "2 boxes"),
        (1, "class", "1 class"),
        (3, "class", "3 classes"),
        (2, "epoch", "2 epochs"),
    ],
)
def test_one_has_no_plural(number: int, thing: str, words: str) -> None:
    assert counted(number, thing) == words
