"""COCO's values: ids, and the box of an annotation."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from vedette.data.values import brief, number

Box = tuple[float, float, float, float]
MOST_DIGITS = 18  # of an id


@dataclass(frozen=True, repr=False)
class NoId:
    """What is given for an id and cannot be one."""

    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass
class Numbers:
    """Numbers ids in the order of their first coming."""

    by_key: dict[Hashable, int] = field(default_factory=dict)

    def of(self, key: Any) -> int:
        """The number of an id, a new one for a new id."""
        return self.by_key.setdefault(key if is_id(key) else NoId(brief(key)), len(self.by_key))

    def __contains__(self, key: Hashable) -> bool:
        return key in self.by_key

    @property
    def keys(self) -> list[Any]:
        """The ids by their numbers."""
        return list(self.by_key)


def is_id(key: Any) -> bool:
    """Whether a value can be an id."""
    return isinstance(key, int | str) and not isinstance(key, bool)


def whole(key: Any) -> Any:
    """An id that is a whole number written as a float, as an int; any other as it is."""
    return int(key) if isinstance(key, float) and key.is_integer() else key


def category_key(key: Any) -> Any:
    """A category's id; digits in quotes are a number, as the results that are scored by it must have one."""
    text = key.strip() if isinstance(key, str) else ""
    if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS:
        return int(text)
    return None if key == "" else whole(key)


def box_of(record: dict[str, Any]) -> Box | str:
    """x1 y1 x2 y2 of an annotation: of its bbox, else around its polygons; else why there is none."""
    bbox, outline = record.get("bbox"), record.get("segmentation")
    if bbox is None or bbox == []:
        around = _around(outline)
        if around is not None:
            return around
        if isinstance(outline, dict):
            return "it has no bbox, and its segmentation is a mask; write the bbox of the mask beside it"
        if outline:
            return "it has no bbox, and its segmentation is no list of polygons of three points or more"
    values = [number(value) for value in bbox] if isinstance(bbox, list) and len(bbox) == 4 else []
    x, y, width, height = values or [None] * 4
    if x is None or y is None or width is None or height is None:
        return f"bbox {brief(bbox)} is not four numbers"
    return x, y, x + width, y + height


def _around(polygons: Any) -> Box | None:
    """The box around polygons [x1, y1, x2, y2, x3, y3, …]; None where they are none."""
    if not isinstance(polygons, list) or not polygons:
        return None
    xs: list[float] = []
    ys: list[float] = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            return None
        values = [value for value in map(number, polygon) if value is not None]
        if len(values) < len(polygon):
            return None
        xs += values[::2]
        ys += values[1::2]
    return min(xs), min(ys), max(xs), max(ys)
