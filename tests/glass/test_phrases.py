import pytest

from vedette.glass.phrases import alone, apart, as_set, capital, listed, many, plain, share


def test_numbers_of_things() -> None:
    assert [many(n, "box", "boxes") for n in (0, 1, 2, 11, 6375)] == [
        *("no boxes", "one box", "two boxes", "11 boxes", "6,375 boxes")
    ]
    assert [alone(n) for n in (0, 1, 6375)] == ["none", "one", "6,375"]


def test_lists() -> None:
    assert [listed(range(n)) for n in (0, 1, 2, 3)] == ["", "0", "0 and 1", "0, 1 and 2"]
    assert listed(["a", "b"], "or") == "a or b"


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(0.45, 3, "0.45"), (320, 3, "320"), (100, 0, "100"), (25.6, 1, "25.6"), (0.0, 2, "0")]
)
def test_numbers(value: float, digits: int, text: str) -> None:
    assert plain(value, digits) == text


def test_scores_are_never_rounded_to_certainty() -> None:
    told = [share(score) for score in (0.0, 0.0004, 0.0007, 0.002, 0.5, 0.987, 0.9966, 0.99999, 1.0)]
    assert told == ["0.000", "under 0.001", "under 0.001", "0.002", "0.50", "0.99", "0.996", "over 0.999", "1.000"]


def test_a_value_is_seen_to_be_on_its_side_of_a_threshold() -> None:
    told = [apart(score, 0.3) for score in (0.1, 0.2951, 0.2996, 0.29999, 0.3, 0.3004, 0.312)]
    assert told == ["0.10", "0.295", "0.2996", "0.29999", "0.30", "0.3004", "0.31"]


def test_a_threshold_has_all_of_its_digits() -> None:
    assert [as_set(value) for value in (0.5, 0.45, 0.1044, 1.0)] == ["0.5", "0.45", "0.1044", "1"]


def test_capitals() -> None:
    assert (capital("no boxes"), capital("")) == ("No boxes", "")
