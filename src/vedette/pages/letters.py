"""What a line of text is made of: letters with their marks, signs that are not seen, and the order they are read in."""

import re
from functools import cache
from unicodedata import bidirectional, category, normalize

from PIL import features

JOINERS = "\u200c\u200d"  # between letters, which change their shape
VARIANTS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # ask for another shape of the sign before
MOST_MARKS = 4  # on one letter; more would cover the picture


def clean(text: str) -> str:
    """The text on one line: composed, with spaces for line breaks and control characters, without what is not seen.

    Marks that turn the direction of reading are among that: they would turn what stands behind the name, too.
    """
    composed = VARIANTS.sub("", normalize("NFC", text))
    seen = "".join(
        " " if category(letter) in ("Cc", "Zl", "Zp") else letter
        for letter in composed
        if category(letter) != "Cf" or letter in JOINERS
    )
    return " ".join("".join(cluster[: 1 + MOST_MARKS] for cluster in clusters(seen)).split())


def clusters(text: str) -> list[str]:
    """Each letter with the marks on it, and with what a joiner joins to it."""
    found: list[str] = []
    for letter in text:
        if found and (is_mark(letter) or is_silent(letter) or found[-1][-1] == "\u200d"):
            found[-1] += letter
        else:
            found.append(letter)
    return found


def is_mark(letter: str) -> bool:
    """Whether it stands on, under or around the letter before."""
    return category(letter).startswith("M")


def is_silent(letter: str) -> bool:
    """Whether nothing of it is seen by itself."""
    return letter in JOINERS


def plain(text: str) -> str:
    """The text without marks: é is e."""
    return "".join(letter for letter in normalize("NFKD", text) if not is_mark(letter) and not is_silent(letter))


def in_order(text: str) -> str:
    """The text as it is to be drawn from left to right.

    Pillow sees to that where it has raqm and fribidi. Else stretches of letters that are read from right to left are
    turned around here; they are not joined then as Arabic's should be.
    """
    if _orders_itself():
        return text
    ordered: list[str] = []
    stretch: list[str] = []  # from right to left, perhaps with spaces behind it
    for cluster in [*clusters(text), ""]:
        turned = bool(cluster) and bidirectional(cluster[0]) in ("R", "AL")
        if turned or (stretch and cluster.isspace()):
            stretch.append(cluster)
            continue
        words = "".join(stretch).rstrip()
        ordered += [*reversed(clusters(words)), "".join(stretch)[len(words) :], cluster]
        stretch = []
    return "".join(ordered)


@cache
def _orders_itself() -> bool:
    return bool(features.check("raqm") and features.check("fribidi"))
