"""VOC XML: Annotations/ID.xml, JPEGImages/ID.jpg, and the splits as lists of ids in ImageSets/Main/SPLIT.txt.

XML files and pictures may lie in subfolders. A picture belongs to the XML of its name; where several share it, as a.jpg
and a.png do, the XML's <filename> decides, and where none has it, the picture of that <filename> is taken. Some tools
call the folders annotations/ and images/.

Classes are the names that occur anywhere in Annotations/, sorted, so that all splits share them; the twenty of VOC
where no other name occurs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from pathlib import Path, PurePath

from vedette.data.draft import Draft
from vedette.data.files import Unreadable, composed, is_picture, list_folder, read_text, visible, walk
from vedette.data.voc_xml import Annotation, read_xml

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
MARKS = (["1"], ["0"], ["-1"])  # what VOC's lists of one class add to an id
EVERYTHING = "all"  # the split's name where there is no list of ids


def voc_splits(folder: Path, annotations: str = "Annotations") -> dict[str, Callable[[], Draft]]:
    """The splits of a folder by name, none if it is not VOC; each a call that reads it."""
    if not any(_is_xml(name) for _, names in walk(folder / annotations) for name in names):
        return {}
    voc = VocFolder(folder, folder / annotations)
    names = visible(list_folder(folder / "ImageSets" / "Main"))
    lists = {Path(name).stem: name for name in names if name.lower().endswith(".txt")}
    splits = [name for name in lists if not any(_is_of_one_class(name, other, voc) for other in lists)]
    return {name: partial(voc.parse, name, lists.get(name)) for name in splits or [EVERYTHING]}


class VocFolder:
    """A folder whose XML files are read once for all of its splits."""

    def __init__(self, folder: Path, xml_folder: Path) -> None:
        self.folder, self.xml_folder = folder, xml_folder

    @cached_property
    def files(self) -> dict[str, list[Path]]:
        """The XML files by id: their path in Annotations/ without suffix."""
        return _by_key(self.xml_folder, _is_xml)

    @cached_property
    def keys(self) -> dict[str, list[str]]:
        """The ids by what a list may call them: by themselves, and without their folder."""
        names: dict[str, list[str]] = {}
        for key in self.files:
            for name in {key, PurePath(key).name}:
                names.setdefault(name, []).append(key)
        return names

    @cached_property
    def annotations(self) -> dict[str, Annotation]:
        """What the XML files say, by id."""
        return {key: read_xml(files[0]) for key, files in self.files.items()}

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of all splits."""
        names = {name for annotation in self.annotations.values() for _, name, _, _ in annotation.objects}
        return VOC_CLASSES if names <= set(VOC_CLASSES) else tuple(sorted(names))

    @cached_property
    def pictures(self) -> Path:
        """Their folder: VOC's, or that of a tool which calls it otherwise."""
        folder, other = self.folder / "JPEGImages", self.folder / "images"
        return other if os.path.isdir(other) and not os.path.isdir(folder) else folder

    @cached_property
    def images(self) -> dict[str, list[Path]]:
        """The picture files by their path in the folder, by that without suffix, and by both without the path."""
        files: dict[str, list[Path]] = {}
        for key, paths in _by_key(self.pictures, is_picture).items():
            for path in paths:
                whole = key + composed(path.suffix)
                for name in {key, whole, PurePath(key).name, PurePath(whole).name}:
                    files.setdefault(name, []).append(path)
        return files

    def parse(self, split: str, list_name: str | None) -> Draft:
        """What the annotations of a split say, faults included."""
        draft = Draft(self.classes, tuple(range(1, len(self.classes) + 1)), unit="object")
        labels = {name: label for label, name in enumerate(self.classes)}
        taken: dict[Path, str] = {}  # pictures, with the id that has them
        for key in self.files if list_name is None else self._ids(list_name, draft):
            files = self.files.get(key)
            if files is None:
                file = self.xml_folder / f"{key}.xml"
                draft.find("missing file", file, f"no such annotation, but {split} lists it")
                continue
            if len(files) > 1:
                draft.find("name collision", files[0], f"{files[1].name} is of the same name; keep one of the two")
            annotation = self.annotations[key]
            for fault in annotation.faults:
                draft.find("annotation unreadable", files[0], fault)
            picture = self._picture(key, annotation, files[0], draft)
            if taken.setdefault(picture, key) != key:
                draft.find("name collision", files[0], f"{taken[picture]} is an annotation of {picture.name} too")
            image = draft.add_image(picture, key, annotation.size)
            for place, name, box, difficult in annotation.objects:
                draft.add_box(image, box, labels[name], place, difficult=difficult)
        return draft

    def _ids(self, list_name: str, draft: Draft) -> Iterable[str]:
        """The ids of a split, one a line."""
        file = self.folder / "ImageSets" / "Main" / list_name
        ids: dict[str, None] = {}
        try:
            lines = read_text(file).splitlines()
        except Unreadable as error:
            draft.find("annotation unreadable", file, str(error))
            return ids
        for place, line in enumerate(lines, 1):
            keys = self._keys(line) if line.strip() else []
            if len(keys) > 1:
                draft.find("name collision", file, f"line {place}: {keys[0]} or {keys[1]}? Name the folder too")
            for key in keys[:1]:
                if key in ids:
                    draft.find("annotation unreadable", file, f"line {place}: {key} is there twice")
                ids[key] = None
        return ids

    def _keys(self, line: str) -> list[str]:
        """The ids that a line may mean; it may add VOC's 1, 0 or -1, or the picture's suffix, and may hold spaces."""
        whole = composed(line.strip())
        first, *rest = whole.split()
        names = [whole, first]
        names += [os.path.splitext(name)[0] for name in names if is_picture(name)]
        names += [PurePath(name.replace("\\", "/")).name for name in names]
        unknown = first if rest in MARKS else whole
        found = next((name for name in names if name in self.keys), None)
        if found is None:
            return [unknown]
        return [found] if found in self.files else self.keys[found]

    def _picture(self, key: str, annotation: Annotation, file: Path, draft: Draft) -> Path:
        """The picture of an annotation; the one that should be there where none is."""
        stated = composed(PurePath(annotation.file_name.replace("\\", "/")).name)
        found = self.images.get(key) or self.images.get(PurePath(key).name) or self.images.get(stated)
        if not found:
            return self.pictures / f"{key}.jpg"
        beside = self.pictures / PurePath(key).parent
        found = [path for path in found if path.parent == beside] or found  # 1.jpg, though there is a/1.jpg too
        named = [path for path in found if composed(path.name) == stated]
        if len(found) > 1 and len(named) != 1:
            first, second = (path.relative_to(self.pictures) for path in found[:2])
            draft.find("name collision", file, f"of {first} or of {second}? Say so in <filename>, or rename one")
        return (named or found)[0]


def _by_key(folder: Path, is_wanted: Callable[[str], bool]) -> dict[str, list[Path]]:
    """The files at any depth of a folder by their path in it without suffix, letters with marks composed."""
    found: dict[str, list[Path]] = {}
    for here, names in walk(folder):
        inner = here.relative_to(folder)
        for name in filter(is_wanted, names):
            key = composed((inner / os.path.splitext(name)[0]).as_posix())
            found.setdefault(key, []).append(here / name)
    return found


def _is_xml(name: str) -> bool:
    return name.lower().endswith(".xml")


def _is_of_one_class(name: str, split: str, voc: VocFolder) -> bool:
    """VOC's own folder has lists such as cat_train.txt beside train.txt: not splits, as night_train.txt would be."""
    before = name.removesuffix(f"_{split}")
    return before != name and before in (*VOC_CLASSES, *voc.classes)
