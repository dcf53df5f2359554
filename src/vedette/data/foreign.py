"""Other tools' files: those that lie beside a data set and are passed over, and those to be converted first."""

from __future__ import annotations

import json
import mmap
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vedette.data.files import Unreadable, list_folder, read_text, visible, walk

SMALL = 2**20  # bytes: a JSON up to here is read to see what it is, a larger one searched for COCO's words
LISTS = ("images", "annotations", "categories")
SPLIT_NAMES = ("train", "val", "valid", "test", "trainval", "labels", "_annotations.coco")
LABEL_STUDIO = (
    "an export of Label Studio as JSON, which is not read: export it there once more, as COCO, Pascal VOC XML or YOLO"
)
LABELME = (
    "labelme's annotations, a JSON a picture, which are not read: convert them with labelme2coco "
    "(pip install labelme2coco, then labelme2coco FOLDER), which writes COCO JSON"
)
CLASSES_ALONE = (
    "YOLO labels without a data.yaml: write one beside them, with train: images and the names of classes.txt as a list"
)
XML_BESIDE = "VOC XML outside of Annotations/: move the XML files to Annotations/ and the pictures to JPEGImages/"


def is_coco(file: Path) -> bool:
    """Whether a JSON is to be read as COCO's: by its lists, or by its name where it is too damaged to have any.

    What tools write beside it (settings, licences, results, captions of a picture) is not.
    """
    if not os.path.isfile(file):
        return False
    content, named = _small(file), file.stem in SPLIT_NAMES or file.stem.startswith("instances_")
    if isinstance(content, dict):
        return named or (sum(isinstance(content.get(key), list) for key in LISTS) > 1 and not _is_captions(content))
    return content is None and (named or _has_words(file))


def what_it_is(place: Path) -> str | None:
    """What a file or folder is that is no data set but another tool's, and what to do; None where that is not known."""
    files = [place] if place.is_file() else _some_json(place)
    contents = [_small(file, 2**26) for file in files]
    if any(_is_label_studio(content) for content in contents):
        return LABEL_STUDIO
    if any(isinstance(content, dict) and {"shapes", "imagePath"} <= content.keys() for content in contents):
        return LABELME
    names = list_folder(place)
    yaml = next((name for name in names if _names_classes(place / name)), None)
    if yaml is not None:
        return f"{yaml} for data.yaml: give {place / yaml} itself, or rename it"
    if "labels" in names and any(name.endswith(".txt") for name in list_folder(place / "labels")):
        return CLASSES_ALONE
    inner = [name for folder in [place, *(place / name for name in visible(names))] for name in list_folder(folder)]
    return XML_BESIDE if any(name.lower().endswith(".xml") for name in inner) else None


def _names_classes(file: Path) -> bool:
    """Whether a file is a YOLO data set's yaml, whatever its name."""
    if file.suffix.lower() not in (".yaml", ".yml"):
        return False
    try:
        return re.search(r"^names\s*:", read_text(file), re.MULTILINE) is not None
    except Unreadable:
        return False


def _some_json(folder: Path) -> Iterable[Path]:
    """The first few JSONs of a folder and of those below it."""
    found = [here / name for here, names in walk(folder) for name in names if name.lower().endswith(".json")]
    return found[:5]


def _small(file: Path, limit: int = SMALL) -> Any:
    """What a JSON of moderate size holds; None for a larger one and for what is no JSON."""
    try:
        return json.loads(read_text(file)) if file.stat().st_size <= limit else None
    except (OSError, ValueError, RecursionError, Unreadable):
        return None


def _has_words(file: Path) -> bool:
    """Whether a file that is too large or too damaged to be looked at whole names two of COCO's lists.

    A file of text in another encoding than UTF-8, or an empty one, has no words to go by.
    """
    if file.stat().st_size == 0:
        return False
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):  # a list, as files of results are
            return False
        if content.find(b'"category_id"') < 0 <= content.find(b'"caption"'):
            return False
        return any(content.find(f'"{key}"'.encode()) >= 0 for key in LISTS[:2])


def _is_captions(content: dict[str, Any]) -> bool:
    """Sentences about pictures, as COCO has them too."""
    annotations = content.get("annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else None
    return isinstance(first, dict) and "caption" in first and "category_id" not in first


def _is_label_studio(content: Any) -> bool:
    """A list of tasks: each its data, and annotations (completions, in old versions) or, in the short form, neither."""
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, dict):
        return False
    full = isinstance(first.get("data"), dict) and ("annotations" in first or "completions" in first)
    return full or ("annotation_id" in first and "annotator" in first)
