"""YOLO txt: data.yaml names the classes and, for each split, folders of images or a file that lists them.

Labels lie in `labels/` where the images lie in `images/`: a line an object, `class cx cy w h` as fractions of the
image, or `class x1 y1 x2 y2 x3 y3 …`, an outline, which becomes the box around it. No txt, no boxes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from vedette.data.draft import Draft, number
from vedette.data.files import SUFFIXES, file_in, list_folder
from vedette.errors import InputError

SPLITS = ("train", "val", "valid")  # must exist where they are named; exporters write "test" in any case
NOT_SPLITS = ("path", "names", "download")
NOT_LABELS = ("classes.txt",)  # written beside the labels by some tools
BOX_VALUES = 4


def yolo_splits(place: Path) -> dict[str, Callable[[], Draft]]:
    """The splits of a folder, or of its yaml file, by key, none if it is not YOLO; each a call that reads it.

    Raises InputError for a yaml that cannot be understood.
    """
    files = [place] if place.is_file() else [place / name for name in ("data.yaml", "data.yml")]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return {}
    content = _load(file)
    names = _names(content, file)
    splits: dict[str, Callable[[], Draft]] = {}
    for key, value in content.items():
        entries = value if isinstance(value, list) else [value]
        if key in NOT_SPLITS or not entries or not all(isinstance(entry, str) and entry for entry in entries):
            continue
        places = [_find(entry, content.get("path"), file.parent) for entry in entries]
        if key in SPLITS or any(path.exists() for path in places):
            splits[str(key)] = partial(parse_yolo, places, names)
    return splits


def parse_yolo(places: list[Path], names: dict[int, str]) -> Draft:
    """What the labels of images say, faults included.

    places: folders of images, or files that list images. names: the classes by their number.
    """
    ordered = sorted(names)
    draft = Draft(tuple(names[key] for key in ordered), tuple(ordered), unit="line", relative=True)
    labels = {key: label for label, key in enumerate(ordered)}
    listings: dict[Path, dict[str, str]] = {}  # names in each folder of labels
    labelled = False
    for place in places:
        if not place.exists():
            draft.find("missing file", place, "no such folder or list of images, but the yaml names it")
            continue
        for file in _images(place, draft):
            image = draft.add_image(file, file.stem)
            text = _label_file(file)
            if text.parent not in listings:
                listings[text.parent] = _by_plain_suffix(list_folder(text.parent))
            if text.name in listings[text.parent]:
                labelled = True
                _read_labels(text.with_name(listings[text.parent][text.name]), image, labels, draft)
    if not labelled:
        for folder in (folder for folder in listings if not folder.is_dir()):  # an empty one: images without boxes
            draft.find("missing file", folder, "no folder of labels for the images of the split")
    if all(place.is_dir() for place in places):
        _find_orphans(listings, draft)
    return draft


def _load(file: Path) -> dict[Any, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{file}: {line}not YAML ({getattr(error, 'problem', None) or error})") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: not a YOLO data set: it has no keys such as train and names")
    return content


def _names(content: dict[Any, Any], file: Path) -> dict[int, str]:
    """The classes by number; "class 0" and so on where only their count is given."""
    names, count = content.get("names"), content.get("nc")
    if names is None and isinstance(count, int) and count > 0:
        return {index: f"class {index}" for index in range(count)}
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names or not all(isinstance(key, int) for key in names):
        raise InputError(f'{file}: "names" is neither a list of class names nor names by number')
    if isinstance(count, int) and count != len(names):
        raise InputError(f'{file}: "nc" is {count}, but "names" has {len(names)}')
    for key, name in names.items():
        if not isinstance(name, str | int | float) or isinstance(name, bool):
            raise InputError(f'{file}: in "names", YAML reads the name of class {key} as {name!r}: put it in quotes')
    named = {key: str(name) for key, name in names.items()}
    if len(set(named.values())) < len(named):
        raise InputError(f'{file}: a class name is there twice in "names"')
    return named


def _find(entry: str, path: object, folder: Path) -> Path:
    """Where an entry of the yaml is: under its `path`, beside the yaml, or there in spite of a leading ../

    Beside the yaml where it is nowhere.
    """
    bases = [file_in(folder, str(path)), folder] if path else [folder]
    inner = entry.replace("\\", "/")
    while inner.startswith("../"):
        inner = inner.removeprefix("../")
    candidates = [file_in(base, one) for one in (entry, inner) for base in bases]
    return next((candidate for candidate in candidates if candidate.exists()), folder / entry)


def _images(place: Path, draft: Draft) -> Iterator[Path]:
    """The images of a folder, at any depth, or those that a text file lists."""
    if place.is_dir():
        for folder, inner, names in os.walk(place):
            inner.sort()
            yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix.lower() in SUFFIXES)
        return
    try:
        lines = place.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        draft.find("annotation unreadable", place, f"cannot be read ({error})")
        return
    yield from (file_in(place.parent, line.strip()) for line in lines if line.strip())


def _label_file(image: Path) -> Path:
    """.../images/a/1.jpg → .../labels/a/1.txt; beside the image where no folder is called images."""
    parts = list(image.with_suffix(".txt").parts)
    plain = [part.lower() for part in parts[:-1]]
    if "images" in plain:
        parts[len(plain) - 1 - plain[::-1].index("images")] = "labels"
    return Path(*parts)


def _by_plain_suffix(names: list[str]) -> dict[str, str]:
    """File names by themselves with the suffix in small letters: a.txt → a.TXT."""
    return {stem + suffix.lower(): name for name in names for stem, suffix in [os.path.splitext(name)]}


def _read_labels(file: Path, image: int, labels: dict[int, int], draft: Draft) -> None:
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        draft.find("annotation unreadable", file, f"cannot be read ({error})")
        return
    for place, line in enumerate(lines, 1):
        words = line.split()
        values = [value for value in map(number, words) if value is not None]
        if not words:
            continue
        if len(values) < len(words) or not _is_object(values):
            draft.find("annotation unreadable", file, f"line {place}: {line.strip()[:60]!r} is not class cx cy w h")
        elif values[0] not in labels:
            draft.find("unknown class", file, f"line {place}: class {words[0]} is not among the names in the yaml")
        else:
            draft.add_box(image, _box(values[1:]), labels[int(values[0])], place)


def _is_object(values: list[float]) -> bool:
    """A class and a box, or a class and an outline of three points or more."""
    count = len(values) - 1
    return count == BOX_VALUES or (count > BOX_VALUES and count % 2 == 0)


def _box(values: list[float]) -> tuple[float, float, float, float]:
    """Centre and size, or the points of an outline → x1 y1 x2 y2, all fractions of the image."""
    if len(values) == BOX_VALUES:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def _find_orphans(listings: dict[Path, dict[str, str]], draft: Draft) -> None:
    """Writes down labels whose image is not there."""
    used = {str(_label_file(Path(file))) for file in draft.files}
    for folder, names in listings.items():
        for plain, name in sorted(names.items()):
            if plain.endswith(".txt") and plain not in NOT_LABELS and str(folder / plain) not in used:
                draft.find("missing file", folder / name, "labels without an image of that name")
