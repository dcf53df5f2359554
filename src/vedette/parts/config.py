"""What the dataclasses of the detectors check of themselves: bounds stand in the annotations, one function checks them.

match_iou: Annotated[float, Gt(0), Le(1)] = 0.5
"""

from dataclasses import dataclass, fields
from math import isfinite
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


@dataclass(frozen=True)
class Gt:
    """Above."""

    bound: float


@dataclass(frozen=True)
class Ge:
    """From this number on."""

    bound: float


@dataclass(frozen=True)
class Lt:
    """Below."""

    bound: float


@dataclass(frozen=True)
class Le:
    """This number at most."""

    bound: float


Count = Annotated[int, Ge(1)]
Share = Annotated[float, Ge(0), Le(1)]
IoU = Annotated[float, Gt(0), Le(1)]  # from which on boxes belong together: 0 would be every pair
Positive = Annotated[float, Gt(0)]
FromZero = Annotated[float, Ge(0)]
Size = Annotated[int, Ge(32), Le(16384)]  # a side of an image in pixels; beyond, no memory holds the maps
Std = tuple[Positive, Positive, Positive, Positive]  # a box coder's
Suppression = Literal["hard", "linear", "gaussian"]


def check(config: Any) -> None:
    """Raises ValueError for the first field of a dataclass that is not of its annotated type or not in its bounds.

    A float may be written as a whole number, and becomes a float; it is neither NaN nor infinite. True is no number.
    Numbers of numpy's become Python's.
    """
    hints = get_type_hints(type(config), include_extras=True)
    for field in fields(config):
        value, hint = _own(getattr(config, field.name)), hints[field.name]
        if not _fits(value, hint):
            raise ValueError(f"{field.name} is {value!r}: give {describe(hint)}")
        object.__setattr__(config, field.name, _with_floats(value, hint))


def check_input(image_size: int, max_side: int) -> None:
    """Raises ValueError for sides that an image cannot be brought to."""
    if max_side < image_size:
        raise ValueError(f"max_side is {max_side}: give no less than image_size, {image_size}")


def check_at_most(name: str, value: float, other: str, most: float) -> None:
    """Raises ValueError for a field that is above another one."""
    if value > most:
        raise ValueError(f"{name} is {value}: give 0 to {other}, {most}")


def check_levels(name: str, levels: tuple[Any, ...], count: int) -> None:
    """Raises ValueError unless a field has something for each of `count` levels."""
    if len(levels) != count:
        raise ValueError(f"{name} is {levels}: give {name.split('_')[-1]} for {count} level{'s' * (count != 1)}")


def check_anchors(anchor_sizes: tuple[tuple[float, ...], ...], aspect_ratios: tuple[float, ...]) -> None:
    """Raises ValueError unless every level has as many sizes as another, at least one, and there are ratios."""
    counts = {len(sizes) for sizes in anchor_sizes}
    if len(counts) != 1 or 0 in counts or not aspect_ratios:
        raise ValueError(f"anchor_sizes is {anchor_sizes}: give as many sizes for every level, and aspect_ratios")


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, arguments[0]) and all(_within(value, bound) for bound in arguments[1:])
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        wanted = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        return len(value) == len(wanted) and all(map(_fits, value, wanted))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _own(value: Any) -> Any:
    """Python's own number for one of numpy's, which no weight file's header could hold."""
    if isinstance(value, tuple):
        return tuple(map(_own, value))
    return value.item() if isinstance(value, np.generic) else value


def _with_floats(value: Any, hint: Any) -> Any:
    """JSON writes 10.0 as 10, of which PyTorch would make an integer tensor."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _with_floats(value, arguments[0])
    if origin is tuple:
        return tuple(map(_with_floats, value, arguments[:1] * len(value) if arguments[-1] is ... else arguments))
    return float(value) if hint is float else value


def _within(value: float, limit: Gt | Ge | Lt | Le) -> bool:
    match limit:
        case Gt(bound):
            return value > bound
        case Ge(bound):
            return value >= bound
        case Lt(bound):
            return value < bound
        case Le(bound):
            return value <= bound


def describe(hint: Any) -> str:
    """An annotated type in words: "a number above 0, at most 1"."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"{describe(arguments[0])} {_bounds(arguments[1:])}"
    if origin in (Union, UnionType):
        return " or ".join(map(describe, arguments))
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple:
        amount = "" if arguments[-1] is ... else f", {len(arguments)}"
        return f"a list ({describe(arguments[0])} each{amount})"
    return KINDS.get(hint, str(hint))


def _bounds(limits: tuple[Gt | Ge | Lt | Le, ...]) -> str:
    """From 0 to 1; above 0, at most 1; from 1 on."""
    words = []
    for limit in limits:
        word = {Gt: "above", Ge: "from", Lt: "below", Le: "at most"}[type(limit)]
        words.append(f"{word} {limit.bound:g}")
    if len(limits) == 2 and isinstance(limits[0], Ge) and isinstance(limits[1], Le):
        return f"from {limits[0].bound:g} to {limits[1].bound:g}"
    return words[0] + " on" if len(words) == 1 and isinstance(limits[0], Ge) else ", ".join(words)
