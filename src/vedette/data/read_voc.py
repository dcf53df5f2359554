"""VOC XML: Annotations/ID.xml, JPEGImages/ID.jpg, and the splits as lists of ids in ImageSets/Main/SPLIT.txt.

VOC numbers pixels from 1 and counts the last one in: xmin = xmax = 1 is a box around the first pixel. Here boxes are
edges, so that one becomes 0, ..., 1: (xmin - 1, ymin - 1, xmax, ymax). Where a file writes 0 as the first pixel's
number, as some tools do, that edge is taken as the image's. A box whose corners are one point or one line as written
stays as it is, without an area: somebody's slip, not an object one pixel wide.

Classes are the names that occur anywhere in Annotations/, sorted, so that all splits share them; the twenty of VOC
where no other name occurs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from xml.etree import ElementTree

from vedette.data.draft import Draft, number, truth
from vedette.data.files import SUFFIXES, list_folder

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
MARKS = (["1"], ["0"], ["-1"])  # what VOC's lists of one class add to an id
EVERYTHING = "all"  # the split's name where there is no list of ids
Box = tuple[float, float, float, float]


@dataclass
class Annotation:
    """What one XML says."""

    size: tuple[int, int] = (0, 0)
    file_name: str = ""
    objects: list[tuple[int, str, Box, bool]] = field(default_factory=list)  # number, name, box, difficult
    faults: list[str] = field(default_factory=list)


def voc_splits(folder: Path) -> dict[str, Callable[[], Draft]]:
    """The splits of a folder by name, none if it is not VOC; each a call that reads it."""
    if not any(name.endswith(".xml") for name in list_folder(folder / "Annotations")):
        return {}
    voc = VocFolder(folder)
    lists = [Path(name).stem for name in list_folder(folder / "ImageSets" / "Main") if name.endswith(".txt")]
    splits = [name for name in lists if not _is_of_one_class(name, lists)]
    return {name: partial(voc.parse, name) for name in splits or [EVERYTHING]}


class VocFolder:
    """A folder whose XML files are read once for all of its splits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def annotations(self) -> dict[str, Annotation]:
        """What the XML files say, by id."""
        folder = self.folder / "Annotations"
        files = [folder / name for name in list_folder(folder) if name.endswith(".xml")]
        return {file.stem: read_xml(file) for file in files}

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of all splits."""
        names = {name for annotation in self.annotations.values() for _, name, _, _ in annotation.objects}
        return VOC_CLASSES if names <= set(VOC_CLASSES) else tuple(sorted(names))

    @cached_property
    def images(self) -> dict[str, Path]:
        """The image files by name and by name without suffix."""
        folder = self.folder / "JPEGImages"
        names = [name for name in list_folder(folder) if Path(name).suffix.lower() in SUFFIXES]
        return {key: folder / name for name in names for key in (name, Path(name).stem)}

    def parse(self, split: str) -> Draft:
        """What the annotations of a split say, faults included."""
        draft = Draft(self.classes, tuple(range(1, len(self.classes) + 1)), unit="object")
        labels = {name: label for label, name in enumerate(self.classes)}
        for key in self._ids(split, draft):
            file = self.folder / "Annotations" / f"{key}.xml"
            annotation = self.annotations.get(key)
            if annotation is None:
                draft.find("missing file", file, f"no such annotation, but {split} lists it")
                continue
            for fault in annotation.faults:
                draft.find("annotation unreadable", file, fault)
            image = draft.add_image(self._image_file(key, annotation), key, annotation.size)
            for place, name, box, difficult in annotation.objects:
                draft.add_box(image, box, labels[name], place, difficult=difficult)
        return draft

    def _ids(self, split: str, draft: Draft) -> Iterable[str]:
        """The ids of a split, one a line."""
        file = self.folder / "ImageSets" / "Main" / f"{split}.txt"
        if split == EVERYTHING and not file.exists():
            return self.annotations
        ids: dict[str, None] = {}
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            draft.find("annotation unreadable", file, f"cannot be read ({error})")
            return ids
        for place, line in enumerate(lines, 1):
            key = self._id(line) if line.strip() else None
            if key in ids:
                draft.find("annotation unreadable", file, f"line {place}: {key} is there twice")
            elif key is not None:
                ids[key] = None
        return ids

    def _id(self, line: str) -> str:
        """The id in a line that may add VOC's 1, 0 or -1, or the suffix of the image; the id itself may hold spaces."""
        whole = line.strip()
        first, *rest = line.split()
        names = [whole, first]
        names += [Path(name).stem for name in names if Path(name).suffix.lower() in SUFFIXES]
        return next((name for name in names if name in self.annotations), first if rest in MARKS else whole)

    def _image_file(self, key: str, annotation: Annotation) -> Path:
        found = self.images.get(key) or self.images.get(annotation.file_name)
        return found or self.folder / "JPEGImages" / f"{key}.jpg"


def read_xml(file: Path) -> Annotation:
    """What an XML says; what it says wrongly is in `faults`."""
    try:
        root = ElementTree.parse(file).getroot()
    except ElementTree.ParseError as error:
        line, column = error.position
        return Annotation(faults=[f"line {line}, column {column + 1}: not XML ({error.msg.split(':')[0]})"])
    except (OSError, ValueError, LookupError) as error:
        return Annotation(faults=[f"cannot be read ({error})"])
    if root.tag != "annotation":
        return Annotation(faults=[f"not a VOC annotation: the outermost element is {root.tag!r}"])
    width, height = (int(number(root.findtext(f"size/{side}")) or 0) for side in ("width", "height"))
    annotation = Annotation(file_name=(root.findtext("filename") or "").strip())
    if width > 0 and height > 0:
        annotation.size = (width, height)
    for place, element in enumerate(root.iterfind("object"), 1):
        _read_object(place, element, annotation)
    return annotation


def _read_object(place: int, element: ElementTree.Element, annotation: Annotation) -> None:
    name = (element.findtext("name") or "").strip()
    if not name:
        annotation.faults.append(f"object {place} has no name")
        return
    corners = []
    for side in ("xmin", "ymin", "xmax", "ymax"):
        text = element.findtext(f"bndbox/{side}")
        value = number(text)
        if value is None:
            annotation.faults.append(f"object {place}, {name}: {side} is {text!r}, not a number")
            return
        corners.append(value)
    difficult = truth(element.findtext("difficult"))
    if difficult is None:
        annotation.faults.append(f"object {place}, {name}: difficult is {element.findtext('difficult')!r}, not 0 or 1")
    annotation.objects.append((place, name, _edges(*corners), bool(difficult)))


def _edges(xmin: float, ymin: float, xmax: float, ymax: float) -> Box:
    """Pixel numbers → edges x1 y1 x2 y2."""
    if xmax <= xmin or ymax <= ymin:
        return xmin, ymin, xmax, ymax
    return _first_edge(xmin), _first_edge(ymin), xmax, ymax


def _first_edge(pixel: float) -> float:
    """The edge before a pixel numbered from 1; 0 is taken for 1."""
    return 0.0 if 0 <= pixel < 1 else pixel - 1


def _is_of_one_class(name: str, lists: list[str]) -> bool:
    """VOC's own folder has lists such as cat_train.txt beside train.txt: not splits."""
    return any(name.endswith(f"_{other}") for other in lists)
