"""What one VOC XML says. Names of elements are taken in any case and namespace; what is not read is a fault.

VOC numbers pixels from 1 and counts the last one in: xmin = xmax = 1 is a box around the first pixel. Here boxes are
edges, so that one becomes 0, ..., 1: (xmin - 1, ymin - 1, xmax, ymax). Where a file writes 0 as the first pixel's
number, as some tools do, that edge is taken as the image's. A box whose corners are one point or one line as written
stays as it is, without an area: somebody's slip, not an object one pixel wide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from vedette.data.files import Unreadable, read_bytes
from vedette.data.values import brief, counted, number, truth

Box = tuple[float, float, float, float]
Element = ElementTree.Element
DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)["'][^>]*\?>""")
WIDER = {"gb2312": "gb18030", "gbk": "gb18030"}  # what is called so often holds signs of the larger set
CORNERS = ("xmin", "ymin", "xmax", "ymax")
ROTATED = "robndbox"  # of one tool: centre, size and angle
BODY_PART = "part"  # of a person, in VOC's own files: a box in a box, no object


@dataclass
class Annotation:
    """What one XML says."""

    size: tuple[int, int] = (0, 0)
    file_name: str = ""
    objects: list[tuple[int, str, Box, bool]] = field(default_factory=list)  # number, name, box, difficult
    faults: list[str] = field(default_factory=list)


def read_xml(file: Path) -> Annotation:
    """What an XML says; what it says wrongly is in `faults`."""
    try:
        root = _tree(read_bytes(file))
    except Unreadable as error:
        return Annotation(faults=[str(error)])
    except ElementTree.ParseError as error:
        line, column = error.position
        return Annotation(faults=[f"line {line}, column {column + 1}: not XML ({error.msg.split(':')[0]})"])
    except (ValueError, LookupError) as error:
        return Annotation(faults=[f"cannot be read ({error})"])
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2].lower()
    if root.tag != "annotation":
        return Annotation(faults=[f"not a VOC annotation: the outermost element is {brief(root.tag)}"])
    return _read_annotation(root)


def _tree(content: bytes) -> Element:
    """The outermost element. Python's parser knows no encoding with several bytes a letter but Unicode's.

    Raises ParseError, ValueError or LookupError for what cannot be understood.
    """
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError):
        declared = DECLARED.match(content)
        if declared is None:
            raise
        name = declared[1].decode("ascii").lower()
        try:  # a file that its tool wrote as UTF-8, or saved so later, may still say UTF-16
            text = content[declared.end() :].decode("utf-8" if "utf" in name else WIDER.get(name, name))
        except (ValueError, LookupError):
            text = ""
        if not text:
            raise
        lines = "\n" * content.count(b"\n", 0, declared.end())
        return ElementTree.fromstring(lines + text)


def _read_annotation(root: Element) -> Annotation:
    annotation = Annotation()
    size = _only(root, "size", "", annotation.faults)
    width, height = (int(number(size.findtext(side)) or 0) if size is not None else 0 for side in ("width", "height"))
    if width > 0 and height > 0:
        annotation.size = (width, height)
    annotation.file_name = _text(_only(root, "filename", "", annotation.faults))
    objects = [*root.iterfind("object"), *root.iterfind("objects/object")]
    for place, element in enumerate(objects, 1):
        _read_object(place, element, annotation)
    _find_strays(root, objects, annotation)
    return annotation


def _read_object(place: int, element: Element, annotation: Annotation) -> None:
    where, faults = f"object {place}: ", annotation.faults
    name = _text(_only(element, "name", where, faults))
    if not name:
        faults.append(f"object {place} has no name")
        return
    where = f"object {place}, {brief(name)[1:-1]}: "
    box = _only(element, "bndbox", where, faults)
    if box is None:
        turned = element.find(ROTATED) is not None
        faults.append(f"{where}there is no <bndbox>" + f", but a rotated <{ROTATED}>; write the box around it" * turned)
        return
    corners = []
    for side in CORNERS:
        found = _only(box, side, where, faults)
        value = None if found is None else number(found.text)
        if value is None:
            faults.append(f"{where}{side} is {brief(None if found is None else found.text)}, not a number")
            return
        corners.append(value)
    mark = _only(element, "difficult", where, faults)
    difficult = truth(None if mark is None else mark.text)
    if difficult is None and mark is not None:
        faults.append(f"{where}difficult is {brief(mark.text)}, not 0 or 1")
    annotation.objects.append((place, name, _edges(*corners), bool(difficult)))


def _only(element: Element, tag: str, where: str, faults: list[str]) -> Element | None:
    """The element's child of a name; which of several is meant cannot be told."""
    found = element.findall(tag)
    if len(found) > 1:
        advice = "; write an <object> for each box" if tag == "bndbox" else ""
        faults.append(f"{where}there are {len(found)} <{tag}>, where one alone is read{advice}")
    return found[0] if found else None


def _text(element: Element | None) -> str:
    return "" if element is None else (element.text or "").strip()


def _find_strays(root: Element, objects: list[Element], annotation: Annotation) -> None:
    """Writes down boxes that stand where none is read."""
    known, read = set(objects), {box for element in objects for box in element.findall("bndbox")}
    of_parts = {box for part in root.iter(BODY_PART) for box in part.iter("bndbox")}
    strays = [box for box in root.iter("bndbox") if box not in read and box not in of_parts]
    empty = [one for one in root.iter("object") if one not in known and not one.findall("bndbox")]
    if strays or empty:
        lost = counted(len(strays), "box") if strays else counted(len(empty), "object")
        annotation.faults.append(f"{lost} elsewhere than VOC has them, in <object> in <annotation>")


def _edges(xmin: float, ymin: float, xmax: float, ymax: float) -> Box:
    """Pixel numbers → edges x1 y1 x2 y2."""
    if xmax == xmin or ymax == ymin:
        return xmin, ymin, xmax, ymax
    (x1, x2), (y1, y2) = _side(xmin, xmax), _side(ymin, ymax)
    return x1, y1, x2, y2


def _side(first: float, last: float) -> tuple[float, float]:
    """The edges around pixels from one number to another, in the order in which these come."""
    if first > last:
        return first, _first_edge(last)
    return _first_edge(first), last


def _first_edge(pixel: float) -> float:
    """The edge before a pixel numbered from 1; 0 is taken for 1."""
    return 0.0 if 0 <= pixel < 1 else pixel - 1
