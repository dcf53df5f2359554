"""YOLO's lines, one an object: `class cx cy w h` as fractions of the image, `class x1 y1 x2 y2 x3 y3 …`, an outline,
which becomes the box around it, or `class cx cy w h` and keypoints, which are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from vedette.data.findings import Kind
from vedette.data.shapes import Shape
from vedette.data.values import number

Box = tuple[float, float, float, float]
BOX_VALUES = 4
LEAST_OUTLINE = 6  # values of a triangle
LARGEST = 2.0  # a fraction may lie somewhat beyond the image, a number beyond this is one of pixels
ROUNDING = 0.01  # what a box may stick out of its image and still be one
MARKS = (0, 1, 2)  # of keypoints: not labelled, hidden, visible


@dataclass(frozen=True)
class Line:
    """What a line says: an object, or what is wrong."""

    place: int  # from 1
    label: int = 0
    box: Box = (0.0, 0.0, 0.0, 0.0)  # x1 y1 x2 y2, fractions of the image
    shape: Shape = field(default_factory=dict)  # outline or keypoints, fractions of the image
    fault: tuple[Kind, str] | None = None


def read_lines(text: str, labels: dict[int, int], keypoints: tuple[int, int] | None) -> Iterator[Line]:
    """What each line of a file of labels says, empty ones passed over.

    labels: the label of each number of a class. keypoints: how many an object has, and values each.
    """
    for place, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words:
            continue
        values = [value for value in map(number, words) if value is not None]
        if len(values) < len(words):
            values = []
        fault = _fault(line, values, labels, keypoints)
        if fault is not None:
            yield Line(place, fault=(fault[0], f"line {place}: {fault[1]}"))
        else:
            box, shape = _box(values[1:], keypoints), _shape(values[1:], keypoints)
            yield Line(place, labels[int(values[0])], box, shape)


def _fault(
    line: str, values: list[float], labels: dict[int, int], keypoints: tuple[int, int] | None
) -> tuple[Kind, str] | None:
    """What is wrong with a line; values: its numbers, none if one of its words is no number."""
    shown = repr(line.strip()[:60])
    count = len(values) - 1
    if not _is_object(count, keypoints):
        if keypoints is None or not values:
            return "annotation unreadable", f"{shown} is not class cx cy w h"
        due = 1 + BOX_VALUES + keypoints[0] * keypoints[1]
        return "annotation unreadable", f"{shown} has {count + 1} columns; with the yaml's kpt_shape it must have {due}"
    if values[0] not in labels:
        return "unknown class", f"class {line.split()[0][:60]} is not among the names in the yaml"
    if keypoints is None and may_be_keypoints(values[1:]):
        advice = "a box and more? State the keypoints' kpt_shape in the yaml, or end an outline with its first point"
        return "annotation unreadable", f"{shown}: {advice}"
    of_box = values[1 : 1 + BOX_VALUES] if keypoints else values[1:]
    if max(map(abs, of_box)) > LARGEST:
        return "wrong unit", f"{shown}: pixels, where fractions of the image's width and height are due"
    return None


def _is_object(count: int, keypoints: tuple[int, int] | None) -> bool:
    """Whether so many values behind the class are a box, an outline of three points or more, or a box and keypoints."""
    if keypoints is not None:
        return count in (BOX_VALUES, BOX_VALUES + keypoints[0] * keypoints[1])
    return count == BOX_VALUES or (count > BOX_VALUES and count % 2 == 0)


def may_be_keypoints(values: list[float]) -> bool:
    """Whether what would be an outline is likelier a box inside the image and more.

    That is a score and the whole number of a track, or points, each with a mark whether it is to be seen.
    """
    more = values[BOX_VALUES:]
    marks = more[1:2] if len(more) == 2 else more[2::3] if len(more) % 3 == 0 else []
    x1, y1, x2, y2 = _box(values[:BOX_VALUES], None)
    inside = x1 >= -ROUNDING and y1 >= -ROUNDING and x2 <= 1 + ROUNDING and y2 <= 1 + ROUNDING
    whole = all(mark.is_integer() if len(more) == 2 else mark in MARKS for mark in marks)
    return bool(marks) and whole and inside


def _box(values: list[float], keypoints: tuple[int, int] | None) -> Box:
    """Centre and size, or the points of an outline → x1 y1 x2 y2, all fractions of the image."""
    if len(values) == BOX_VALUES or keypoints is not None:
        x, y, width, height = values[:BOX_VALUES]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def are_beyond(shape: Shape) -> bool:
    """Whether keypoints are not fractions of the image, or their marks none."""
    return any(abs(value) > LARGEST for value in shape.get("keypoints", []))


def _shape(values: list[float], keypoints: tuple[int, int] | None) -> Shape:
    """The outline, without its first point once more at the end; or the keypoints, marked visible where none marks."""
    more = values[BOX_VALUES:]
    if not more:
        return {}
    if keypoints is None:
        closed = values[:2] == values[-2:] and len(values) > LEAST_OUTLINE
        return {"segmentation": [values[:-2] if closed else values]}
    if keypoints[1] == 3:
        return {"keypoints": more}
    points = zip(more[::2], more[1::2], strict=True)
    return {"keypoints": [value for x, y in points for value in ((x, y, 2.0) if x or y else (0.0, 0.0, 0.0))]}
