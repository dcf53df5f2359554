"""YOLO txt: data.yaml names the classes and, for each split, folders of images or a file that lists them.

Labels lie in `labels/` where the images lie in `images/`, else beside the images; see `yolo_labels` for their lines. No
txt, no boxes; but where a folder of images has no labels at all, they are taken for lost.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from vedette.data.draft import Draft
from vedette.data.files import (
    Unreadable,
    composed,
    file_in,
    is_picture,
    list_folder,
    located,
    missing,
    read_text,
    visible,
    walk,
)
from vedette.data.shapes import written
from vedette.data.values import counted
from vedette.data.yolo_labels import are_beyond, read_lines
from vedette.data.yolo_yaml import YoloYaml, read_yaml

YAMLS = ("data.yaml", "data.yml")
NOT_LABELS = ("classes.txt",)  # written beside the labels by some tools
IMAGES, LABELS = "images", "labels"


def yolo_splits(place: Path, shapes: bool = False) -> dict[str, Callable[[], Draft]]:
    """The splits of a folder, or of its yaml file, by key, none if it is not YOLO; each a call that reads it.

    Raises InputError for a yaml that cannot be understood.
    """
    names = {name.lower(): name for name in list_folder(place)}
    files = [place] if place.is_file() else [place / names[name] for name in YAMLS if name in names]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return {}
    said = read_yaml(file)
    return {key: partial(parse_yolo, places, said, shapes) for key, places in said.splits.items()}


def parse_yolo(places: list[Path], said: YoloYaml, shapes: bool = False) -> Draft:
    """What the labels of images say, faults included.

    places: folders of images, or files that list images. shapes: outlines and keypoints too.
    """
    ordered = sorted(said.names)
    draft = Draft(
        tuple(said.names[key] for key in ordered), tuple(ordered), unit="line", relative=True, with_shapes=shapes
    )
    if shapes and said.keypoints:
        names = [str(number) for number in range(1, said.keypoints[0] + 1)]
        draft.skeletons = (written({"keypoints": names}),) * len(ordered)
    reader = _Reader(draft, {key: label for label, key in enumerate(ordered)}, said.keypoints)
    for place in places:
        if not os.path.exists(place):
            draft.find("missing file", place, "no such folder or list of images, but the yaml names it")
            continue
        for file in _images(place, said.roots, draft):
            reader.take(file)
    reader.find_lost_labels()
    if all(os.path.isdir(place) for place in places):
        reader.find_orphans([label_file(place / "any").parent for place in places])
    return draft


class _Reader:
    """Takes the images of a split, one by one."""

    def __init__(self, draft: Draft, labels: dict[int, int], keypoints: tuple[int, int] | None) -> None:
        self.draft, self.labels, self.keypoints = draft, labels, keypoints
        self.listings: dict[Path, dict[str, str]] = {}  # names in each folder of labels
        self.images: dict[Path, list[Path]] = {}  # by the folder that their labels should be in
        self.files: set[Path] = set()
        self.used: dict[Path, Path] = {}  # files of labels, with the image that has them

    def take(self, file: Path) -> None:
        """An image, and what its labels say."""
        if file in self.files:
            self.draft.find("annotation unreadable", file, "image listed twice")
            return
        self.files.add(file)
        image = self.draft.add_image(file, file.stem)
        text = label_file(file)
        self.images.setdefault(text.parent, []).append(file)
        if text.parent not in self.listings:
            self.listings[text.parent] = _by_plain_suffix(visible(list_folder(text.parent)))
        name = self.listings[text.parent].get(composed(text.name))
        if name is not None:
            self.read(text.with_name(name), file, image)

    def read(self, text: Path, file: Path, image: int) -> None:
        """The labels of an image."""
        first = self.used.setdefault(text, file)
        if first != file:
            detail = f"labels of {first.name} or of {file.name}? Rename one of the two pictures, or take it away"
            self.draft.find("name collision", text, detail)
        try:
            content = read_text(text)
        except Unreadable as error:
            self.draft.find("annotation unreadable", text, str(error))
            return
        for line in read_lines(content, self.labels, self.keypoints):
            if line.fault is not None:
                self.draft.find(line.fault[0], text, line.fault[1])
            else:
                beyond = are_beyond(line.shape)
                if beyond and self.draft.with_shapes:
                    self.draft.find("outline unreadable", text, f"line {line.place}: keypoints far beyond the image")
                shape = "" if beyond else written(line.shape)
                self.draft.add_box(image, line.box, line.label, line.place, shape=shape)

    def find_lost_labels(self) -> None:
        """Writes down folders of images whose labels are not where they should be.

        An empty folder of labels says that there is nothing on the images; beside the images, an empty txt does.
        """
        labelled = {text.parent for text in self.used}
        for folder, images in self.images.items():
            is_lost = not os.path.isdir(folder) or (folder == images[0].parent and folder not in labelled)
            files = [file for file in images if os.path.exists(file)] if is_lost else []
            count = counted(len(files), "image")
            if files and folder != files[0].parent:
                detail = f"no folder of labels for {count} of {files[0].parent}; without objects, make it"
                self.draft.find("missing file", folder, detail)
            elif files:
                detail = (
                    f"no labels beside its {count}, nor a folder called {IMAGES} above them with "
                    f"one called {LABELS} beside it; write an empty txt for an image without objects"
                )
                self.draft.find("missing file", folder, detail)

    def find_orphans(self, roots: list[Path]) -> None:
        """Writes down labels whose image is not there, in all folders below the roots that hold labels alone."""
        for root in roots:
            if root not in self.images or root != self.images[root][0].parent:
                for folder, names in walk(root):
                    self.listings.setdefault(folder, _by_plain_suffix(names))
        for folder, names_by_plain in self.listings.items():
            for plain, name in sorted(names_by_plain.items()):
                if plain.endswith(".txt") and plain not in NOT_LABELS and folder / name not in self.used:
                    self.draft.find("missing file", folder / name, "labels without an image of that name")


def _images(place: Path, roots: list[Path], draft: Draft) -> Iterator[Path]:
    """The images of a folder, at any depth, or those that a file lists: from where it lies, else from the roots."""
    if place.is_dir():
        for folder, names in walk(place):
            yield from (folder / name for name in names if is_picture(name))
        return
    try:
        lines = read_text(place).split("\n")
    except Unreadable as error:
        draft.find("annotation unreadable", place, str(error))
        return
    names = [line.strip() for line in lines if line.strip()]
    yield from map(Path, _listed(names, [place.parent, *roots]))


def _listed(names: list[str], bases: list[Path]) -> list[str]:
    """The file of each name in the first of the folders that has it; in the first of all where none has."""
    files = located([str(file_in(bases[0], name)) for name in names])
    for base in bases[1:]:
        absent = missing(files)
        others = located([str(file_in(base, names[index])) for index in absent])
        for place in set(range(len(others))).difference(missing(others)):
            files[absent[place]] = others[place]
    return files


def label_file(image: Path) -> Path:
    """.../images/a/1.jpg → .../labels/a/1.txt; beside the image where no folder is called images."""
    parts = list(image.parts[:-1])
    plain = [part.lower() for part in parts]
    if IMAGES in plain:
        parts[len(plain) - 1 - plain[::-1].index(IMAGES)] = LABELS
    return Path(*parts, f"{image.stem}.txt")


def _by_plain_suffix(names: list[str]) -> dict[str, str]:
    """File names by themselves with the suffix in small letters and letters with marks composed: a.txt → a.TXT."""
    return {composed(stem + suffix.lower()): name for name in names for stem, suffix in [os.path.splitext(name)]}
