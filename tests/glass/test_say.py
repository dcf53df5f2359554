"""Sentences with places: by hand, and what is no sentence."""

import pytest

from vedette.glass.say import if_any, say
from vedette.glass.tour_words import TOUR


@pytest.mark.parametrize(
    ("template", "values", "said"),
    [
        ("nothing to fill", {}, "nothing to fill"),
        ("{name} has {count}", {"name": "ant {x}", "count": 6375}, "ant {x} has 6,375"),
        ("{boxes|No box|One box|# boxes}", {"boxes": 0}, "No box"),
        ("{boxes|No box|One box|# boxes}", {"boxes": 1}, "One box"),
        ("{boxes|No box|One box|# boxes}", {"boxes": 12}, "12 boxes"),
        ("{^boxes|no box|one box|# boxes}", {"boxes": 3}, "Three boxes"),
        ("{a|||# {b|none|one|#} #}", {"a": 3, "b": 4}, "three four three"),  # each # is of its own count
        ("{name:a}, {other:a}", {"name": "owl", "other": "cat"}, "an owl, a cat"),
        ("{x:plain} {x:plain0} {x:hundredths}", {"x": 0.45}, "0.45 0 0.45"),
        ("{n:words} {n:alone} {none:alone}", {"n": 7, "none": 0}, "seven seven none"),
        ("{score:share}", {"score": 0.9999}, "over 0.999"),
        ("{floor:set}", {"floor": 0.1044}, "0.1044"),
        ("{x:apart y}, {z:apart y}", {"x": 0.1, "y": 0.45, "z": 0.4496}, "0.10, 0.4496"),
    ],
)
def test_by_hand(template: str, values: dict[str, str | int | float], said: str) -> None:
    assert say(template, values) == said


def test_a_sentence_for_any_and_for_none() -> None:
    template = if_any("n", "{m} went", "Nothing came")
    assert [say(template, {"n": n, "m": 2}) for n in (0, 1, 2)] == ["Nothing came", "2 went", "2 went"]


def test_what_is_missing_is_no_blank() -> None:
    with pytest.raises(KeyError):
        say("{name}", {})
    with pytest.raises(ValueError, match="a brace is not closed"):
        say("{name", {"name": "x"})


def test_every_sentence_of_the_tour_is_closed() -> None:
    for title, text in TOUR.values():
        assert "{" not in title
        assert text.count("{") == text.count("}")
