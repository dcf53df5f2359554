"""Pictures that lie among those of a data set, and that it does not mention."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from vedette.data.coco_folders import coco_files
from vedette.data.files import is_picture, is_root, real_path, walk
from vedette.data.findings import Finding
from vedette.data.values import counted


def holds_all(place: Path) -> bool:
    """Whether nothing beside a place says more of the same pictures, as val.json does beside train.json."""
    return place.suffix.lower() != ".json" or len(coco_files(place.parent)) == 1


def not_annotated(files: Iterable[str]) -> Iterator[Finding]:
    """One finding for each folder of the images, or below these, that holds other pictures too.

    files: the images of all splits that there are.
    """
    known: dict[str, set[str]] = {}  # names by the folder, which may be named in several ways
    for file in files:
        folder, name = os.path.split(file)
        known.setdefault(folder, set()).add(name)
    by_real: dict[str, set[str]] = {}
    for folder, names in known.items():
        by_real.setdefault(real_path(folder), set()).update(names)
    seen: set[str] = set()
    for folder in sorted(known):  # those above come first
        if real_path(folder) in seen or is_root(folder):
            continue
        for here, names_here in walk(folder):
            real = real_path(here)
            others = [name for name in names_here if is_picture(name) and name not in by_real.get(real, ())]
            if others and real not in seen:
                pictures = counted(len(others), "picture")
                detail = f"{pictures} that no annotation and no split mentions, such as {others[0]}"
                yield Finding("picture not annotated", str(here), detail)
            seen.add(real)
