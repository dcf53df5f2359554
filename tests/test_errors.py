"""A name that there is not, and the one that was probably meant."""

import pytest

from vedette.errors import likely


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("catt", "cat"),
        ("Dog", "dog"),  # two of three letters are the same: below what counts as near
        ("DINING TABLE", "DiningTable"),
        ("tbc", "tcb"),
        ("dgo", "dog"),
        ("car", None),  # another word, not a slip
        ("zebra", None),
        ("", None),
    ],
)
def test_the_likely_name(given: str, meant: str | None) -> None:
    assert likely(given, ("cat", "dog", "DiningTable", "tcb")) == (f"; did you mean {meant}?" if meant else "")


def test_of_no_names_none_is_likely() -> None:
    assert likely("cat", ()) == ""
