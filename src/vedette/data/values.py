"""What annotations write for numbers, for yes and no, and how what cannot be one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from reprlib import Repr

NAMED = 8  # things that a line names
_repr = Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 60
brief = _repr.repr  # of a value: cut, for it may be a megabyte, or lists in lists that share their parts


def counted(number: int, thing: str) -> str:
    """A number of things: 1 image, 2 images, 2 boxes, 2 classes."""
    if number == 1:
        return f"{number} {thing}"
    return f"{number} {thing}{'es' if thing.endswith(('s', 'x')) else 's'}"


def named(things: Sequence[str], more: str = "more") -> str:
    """The first eight in a line: a, b, c and 4 more."""
    first = ", ".join(things[:NAMED])
    return f"{first} and {len(things) - NAMED} {more}" if len(things) > NAMED else first


def fits_int64(value: int) -> bool:
    """Whether a whole number can stand in a tensor."""
    return -(2**63) <= value < 2**63


def number(value: object) -> float | None:
    """A finite number that an annotation gives as a number or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and "_" in value:  # Python's way of writing thousands, nobody else's
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if isfinite(result) else None


def truth(value: object) -> bool | None:
    """Whether an annotation says yes, as 0 or 1, true or false, or as text; no where it is silent; None: neither."""
    if value is None or isinstance(value, bool):
        return bool(value)
    text = value.strip().lower() if isinstance(value, str) else value
    if text in ("true", "yes") or text in ("false", "no", ""):
        return text in ("true", "yes")
    stated = number(text)
    return bool(stated) if stated in (0, 1) else None
