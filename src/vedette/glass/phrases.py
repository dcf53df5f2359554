"""Numbers and lists as they stand in a sentence."""

from collections.abc import Iterable
from math import floor as round_down
from typing import NamedTuple

SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Told(NamedTuple):
    """A step in words."""

    title: str
    text: str
    equation: str = ""  # as vedette.pages.mathml takes it


def many(count: int, thing: str, things: str = "") -> str:
    """ "no anchors", "one anchor", "6,375 anchors"; things: the plural where an s is not enough."""
    return f"{in_words(count)} {thing if count == 1 else things or thing + 's'}"


def in_words(count: int) -> str:
    """Small ones as words, large ones with their thousands apart."""
    return SMALL[count] if 0 <= count < len(SMALL) else f"{count:,}"


def alone(count: int) -> str:
    """A number without its thing: "none", "one", "6,375"."""
    return in_words(count) if count else "none"


def listed(things: Iterable[object], last: str = "and") -> str:
    """ "8, 16 and 32"."""
    words = [str(thing) for thing in things]
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def plain(value: float, digits: int = 3) -> str:
    """Without the zeros behind the point: 0.45, 320, 25.6."""
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(score: float) -> str:
    """A score in two digits, three where it is near 1 or 0, cut as the page's, and never either of them."""
    if 0.005 <= score < 0.995:
        return f"{score:.2f}"
    if 0.001 <= score < 0.9995 or score in (0, 1):
        return f"{round_down(score * 1000 + 1e-6) / 1000:.3f}"
    return "over 0.999" if score > 0.5 else "under 0.001"


def as_set(threshold: float) -> str:
    """A threshold with all of the digits that one sets."""
    return plain(threshold, 6)


def apart(value: float, threshold: float) -> str:
    """A value beside a threshold, with as many digits as show on which side of it it lies."""
    told = (f"{value:.{digits}f}" for digits in range(2, 8))
    beside = (text for text in told if _sides(float(text), threshold) == _sides(value, threshold))
    return next(beside, f"{value:.8f}")


def _sides(value: float, threshold: float) -> tuple[bool, bool]:
    return value < threshold, value > threshold


def capital(sentence: str) -> str:
    """With its first letter large."""
    return sentence[:1].upper() + sentence[1:]
