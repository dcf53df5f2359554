"""YOLO's data.yaml: the classes, the splits and their places, and how many values a keypoint has."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from vedette.data.files import Unreadable, file_in, is_root, read_text
from vedette.data.findings import shown
from vedette.data.values import brief, fits_int64
from vedette.errors import InputError
from vedette.pages.class_names import all_unnamed

SPLITS = ("train", "val", "valid", "test")
OPTIONAL = "test"  # exporters write it in any case; the others must exist where they are named
NOT_SPLITS = ("path", "names", "download")
NOT_A_SPLIT = (*NOT_SPLITS, "nc", "kpt_shape")  # keys that mean something else, or nothing
MOST_CLASSES = 100_000
MOST_DIGITS = 18  # of the number of a class
MOST_ALIASES = 10  # *name for &name: a few hundred bytes of them can stand for more than all memory
LARGEST = 2**20  # letters
DEEPEST = 50  # lists in lists; YAML's reader takes seconds over thousands


@dataclass(frozen=True)
class YoloYaml:
    """What a yaml says."""

    names: dict[int, str]  # the classes by their number
    splits: dict[str, list[Path]]  # by key: folders of images, or files that list images
    roots: list[Path]  # what places count from
    keypoints: tuple[int, int] | None  # how many an object has, and values each; None: objects have none


def read_yaml(file: Path) -> YoloYaml:
    """What a yaml says. Raises InputError for what cannot be understood."""
    content = _load(file)
    roots = _roots(content.get("path"), file.parent)
    return YoloYaml(_names(content, file), _splits(content, file, roots), roots, _keypoints(content, file))


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Takes few aliases, and no key twice, of which YAML's reader would drop one without a word."""

    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MOST_ALIASES:
                mark = self.peek_event().start_mark
                raise yaml.MarkedYAMLError(problem=f"more than {MOST_ALIASES} aliases (*name)", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is there twice", problem_mark=key.start_mark)
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def _load(file: Path) -> dict[Any, Any]:
    try:
        text = read_text(file)
        if len(text) > LARGEST:
            raise InputError(f"{file}: {len(text)} letters are no data.yaml; give the file that names the classes")
        if _depth(text) > DEEPEST:
            raise RecursionError
        content = yaml.load(text, _Loader)
    except Unreadable as error:
        raise InputError(f"{file}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{file}: {line}not YAML ({shown(getattr(error, 'problem', None) or str(error))})") from None
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{file}: not YAML that can be read (lists in lists without end)") from None
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError) as error:  # the 99th day of a month
        raise InputError(f"{file}: not YAML ({shown(str(error))}); put such a value in quotes") from None
    if not isinstance(content, dict):
        raise InputError(f"{file}: not a YOLO data set: it has no keys such as train and names")
    return content


def _depth(text: str) -> int:
    """How deep brackets are open at most, those in texts too."""
    steps = (1 if bracket in "[{" else -1 for bracket in re.findall(r"[\[\]{}]", text))
    return max(accumulate(steps), default=0)


def _names(content: dict[Any, Any], file: Path) -> dict[int, str]:
    """The classes by number; "class 0" and so on where only their count is given."""
    names, stated = content.get("names"), content.get("nc")
    count = stated if isinstance(stated, int) and not isinstance(stated, bool) else None
    if count is not None and count > MOST_CLASSES:
        raise InputError(f'{file}: "nc" is {brief(count)}, more classes than the {MOST_CLASSES} that are taken')
    if names is None and count is not None and count > 0:
        return dict(enumerate(all_unnamed(count)))
    if isinstance(names, list):
        names = dict(enumerate(names))
    if isinstance(names, dict):
        numbered = {int(key) if _is_digits(key) else key: name for key, name in names.items()}
        if len(numbered) < len(names):
            raise InputError(f'{file}: a number of a class is there twice in "names"')
        names = numbered
    if not isinstance(names, dict) or not names or not all(_is_number_of_class(key) for key in names):
        raise InputError(f'{file}: "names" is neither a list of class names nor names by number')
    if count is not None and count != len(names):
        raise InputError(f'{file}: "nc" is {brief(count)}, but "names" has {len(names)}')
    for key, name in names.items():
        if not isinstance(name, str | int | float) or isinstance(name, bool):
            raise InputError(
                f'{file}: in "names", YAML reads the name of class {key} as {brief(name)}: put it in quotes'
            )
        if name == "" or str(name).isspace():
            raise InputError(f'{file}: in "names", the name of class {key} is empty: give it one')
    named = {key: name if isinstance(name, str) else brief(name) for key, name in names.items()}
    if len(set(named.values())) < len(named):
        raise InputError(f'{file}: a class name is there twice in "names"')
    return named


def _is_digits(key: object) -> bool:
    return isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= MOST_DIGITS


def _is_number_of_class(key: object) -> bool:
    return isinstance(key, int) and not isinstance(key, bool) and key >= 0 and fits_int64(key)


def _roots(path: object, folder: Path) -> list[Path]:
    """What the places in a yaml count from: its `path`, and where it lies."""
    return [file_in(folder, path), folder] if isinstance(path, str) and path else [folder]


def _splits(content: dict[Any, Any], file: Path, roots: list[Path]) -> dict[str, list[Path]]:
    """The places of every split; other keys whose value names folders or lists are splits too.

    Raises InputError for a split whose value names nothing. An empty one is none.
    """
    splits = {}
    for key, value in content.items():
        entries = value if isinstance(value, list) else [value]
        if key in NOT_SPLITS or value is None or value in ("", []):
            continue
        if not all(isinstance(entry, str) and entry for entry in entries):
            if key in SPLITS:
                raise InputError(f'{file}: "{key}" is {brief(value)}, which names no folder: write it in quotes')
            continue
        places = [_find(entry, roots) for entry in entries]
        if any(is_root(place) for place in places):
            raise InputError(
                f'{file}: "{shown(str(key))}" is {brief(value)}, the whole disk: name the folder of its images'
            )
        if (key in SPLITS and key != OPTIONAL) or any(_holds_images(place) for place in places):
            splits[str(key)] = places
    return splits


def _holds_images(place: Path) -> bool:
    """Whether a place is a folder or a list of images."""
    return os.path.isdir(place) or (os.path.isfile(place) and place.suffix.lower() == ".txt")


def _find(entry: str, roots: list[Path]) -> Path:
    """Where an entry of the yaml is: under its `path`, beside the yaml, or there in spite of a leading ../

    Beside the yaml where it is nowhere.
    """
    inner = entry.replace("\\", "/")
    while inner.startswith("../"):
        inner = inner.removeprefix("../")
    candidates = [file_in(base, one) for one in (entry, inner) for base in roots]
    return next((candidate for candidate in candidates if os.path.exists(candidate)), roots[-1] / entry)


def _keypoints(content: dict[Any, Any], file: Path) -> tuple[int, int] | None:
    """Of poses: how many keypoints an object has, and whether each is x y or x y visible."""
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    whole = isinstance(shape, list) and all(isinstance(one, int) and not isinstance(one, bool) for one in shape)
    if not whole or len(shape) != 2 or not 0 < shape[0] <= MOST_CLASSES or shape[1] not in (2, 3):
        raise InputError(f'{file}: "kpt_shape" is {brief(shape)}; it must be [number of keypoints, 2 or 3]')
    return shape[0], shape[1]
