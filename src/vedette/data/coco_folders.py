"""Where people keep COCO's JSON files, and the pictures that belong to one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from vedette.data.files import file_in, list_folder, located, missing, subfolders, visible
from vedette.data.findings import shown
from vedette.data.foreign import is_coco
from vedette.errors import InputError

EXPORTED = "_annotations.coco"  # the stem of one common exporter's file, a folder a split
BESIDE_INSTANCES = ("captions_", "image_info_", "panoptic_", "person_keypoints_", "stuff_")  # COCO's own, of the same
LABELS, DATA = "labels", "data"  # labels.json beside data/: of another one


def coco_files(folder: Path) -> dict[str, Path]:
    """The COCO JSON of every split of a folder by the split's name, those of instances first.

    Beside these, what else COCO publishes of the same pictures is passed over.

    Raises InputError where two are of one name.
    """
    names = visible(list_folder(folder))
    files = [folder / name for name in names]
    files += [folder / "annotations" / name for name in visible(list_folder(folder / "annotations"))]
    inner = [folder / name for name in subfolders(folder)]
    files += [one / f"{EXPORTED}.json" for one in inner]
    files += [one / f"{LABELS}.json" for one in inner if os.path.isdir(one / DATA)]
    found = [file for file in files if file.suffix.lower() == ".json" and is_coco(file)]
    instances = [file for file in found if file.stem.startswith("instances_")]
    others = [
        file for file in found if not file.stem.startswith(("instances_", *(BESIDE_INSTANCES if instances else ())))
    ]
    splits: dict[str, Path] = {}
    for file in instances + others:
        name = _split_name(file, folder)
        if name in splits:
            which = f"{file}: {splits[name]} is of the split {name} too"
            raise InputError(shown(f"{which}; give one of the two files by name"))
        splits[name] = file
    return splits


def image_folder(file: Path, names: Sequence[str]) -> Path:
    """The folder in which most of the images are; the first of those that are likely where none has any."""
    split = re.sub(r"^instances_", "", file.stem)
    roots = [file.parent, file.parent.parent] if file.parent.name in ("annotations", split) else [file.parent]
    inner = [Path(split), Path("images") / split, Path("images"), Path("JPEGImages"), Path(DATA), Path()]
    likely = [root / path for root in roots for path in inner if os.path.isdir(root / path)]
    absent = {}
    for folder in likely:
        absent[folder] = len(missing(located([str(file_in(folder, name)) for name in names])))
        if absent[folder] == 0:
            return folder
    return min(likely, key=absent.__getitem__)


def _split_name(file: Path, folder: Path) -> str:
    of_folder = file.stem == EXPORTED or (file.stem == LABELS and file.parent not in (folder, folder / "annotations"))
    return file.parent.name if of_folder else file.stem
