"""What the dataclasses of the detectors check of themselves: wrong values are named before a layer is built."""

from dataclasses import fields
from math import isfinite
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def check_types(config: Any) -> None:
    """Raises ValueError for the first field of a dataclass that is not of its annotated type.

    A float may be written as a whole number, but is neither NaN nor infinite; True is no number.
    """
    hints = get_type_hints(type(config))
    for field in fields(config):
        value = getattr(config, field.name)
        if not _is(value, hints[field.name]):
            raise ValueError(f"{field.name} is {value!r}: give {_described(hints[field.name])}")


def check_matching(match_iou: float, negatives_per_positive: float, min_negatives: int, std: tuple[float, ...]) -> None:
    """Raises ValueError for a number of the multibox loss (SSD, section 2.2) that cannot be."""
    if not 0 < match_iou <= 1:
        raise ValueError(f"match_iou is {match_iou}: give a number above 0, at most 1")
    for name, value in (("negatives_per_positive", negatives_per_positive), ("min_negatives", min_negatives)):
        if value < 0:
            raise ValueError(f"{name} is {value}: give 0 or more")
    check_std(std)


def check_std(std: tuple[float, ...]) -> None:
    """Raises ValueError for divisors of a box coder that cannot be."""
    if min(std) <= 0:
        raise ValueError(f"box_std is {std}: give numbers above 0")


def check_suppression(nms_iou: float, candidates: int, keep: int) -> None:
    """Raises ValueError for a config's numbers of detection that cannot be."""
    if not 0 <= nms_iou <= 1:
        raise ValueError(f"nms_iou is {nms_iou}: give a number from 0 to 1")
    for name, value in (("candidates", candidates), ("keep", keep)):
        if value < 1:
            raise ValueError(f"{name} is {value}: give a whole number from 1 on")


def check_input(image_size: int, max_side: int) -> None:
    """Raises ValueError for sides that an image cannot be brought to."""
    if image_size < 32:
        raise ValueError(f"image_size is {image_size}: give a whole number from 32 on")
    if max_side < image_size:
        raise ValueError(f"max_side is {max_side}: give no less than image_size, {image_size}")


def _is(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_is(value, one) for one in arguments)
    if origin is Literal:
        return any(value == one and type(value) is type(one) for one in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        wanted = arguments[:1] * len(value) if arguments[-1] is ... else arguments
        return len(value) == len(wanted) and all(map(_is, value, wanted))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def _described(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(_described, arguments))
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple:
        return (
            f"a list ({_described(arguments[0])} each" + ("" if arguments[-1] is ... else f", {len(arguments)}") + ")"
        )
    return KINDS.get(hint, str(hint))
