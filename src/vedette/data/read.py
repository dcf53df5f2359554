"""From `--data PATH[:SPLIT]` to a data set: the format is recognised, the split chosen, the faults refused."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from vedette.data.annotations import Dataset, union
from vedette.data.draft import Draft, settle
from vedette.data.files import release_memory
from vedette.data.findings import Finding, notes_of, refuse_faults, shown
from vedette.data.foreign import is_coco, what_it_is
from vedette.data.read_coco import coco_splits, parse_coco
from vedette.data.read_voc import voc_splits
from vedette.data.read_yolo import yolo_splits
from vedette.errors import InputError

Purpose = Literal["train", "evaluate"]
Splits = dict[str, Callable[[], Draft]]
WANTED: dict[Purpose, tuple[str, ...]] = {"train": ("train",), "evaluate": ("val", "valid", "test")}


def parse_source(source: str) -> tuple[Path, str | None]:
    """PATH[:SPLIT] → path and split. A path that exists as a whole is taken as one, colons and all.

    Raises InputError for an empty one.
    """
    if not source:
        raise InputError("an empty path is no data set: give PATH[:SPLIT]")
    path, colon, split = source.rpartition(":")
    if os.path.exists(source) or not colon or not split or "/" in split or "\\" in split:  # as in C:\photos
        return Path(source), None
    return Path(path), split


def find_splits(path: str | Path, shapes: bool = False) -> Splits:
    """The splits at a path by name, each a call that reads it and yields its faults instead of raising.

    shapes: with outlines and keypoints, where the format has any.

    Raises InputError where there is nothing, or nothing that is COCO JSON, VOC XML or YOLO txt.
    """
    place = Path(path)
    if not os.path.exists(place):
        raise InputError(shown(f"{path}: no such file or folder"))
    splits = _splits_of_file(place, shapes) if place.is_file() else _splits_of_folder(place, shapes)
    if not splits:
        found = what_it_is(place) or (
            "no data set found; it takes COCO (train.json …), VOC (Annotations/*.xml) or YOLO (data.yaml)"
        )
        raise InputError(f"{path}: {found}")
    return splits


def read_dataset(
    path: str | Path, split: str | None = None, purpose: Purpose = "train", shapes: bool = False
) -> Dataset:
    """One split; by default "train" to train, and "val", else "valid", else "test" to evaluate.

    To train, boxes that stick out of their image are clipped; to evaluate they stay as annotated. Boxes without an
    area, or outside their image, are left out; corners in another order are put in order. `Dataset.notes` says it.
    shapes: with outlines and keypoints, for who writes them anew.

    Raises InputError for whatever cannot be right: a missing image, an unknown class, an unreadable annotation …
    """
    splits = find_splits(path, shapes)
    name = split if split is not None else default_split(splits, purpose)
    if name is None or name not in splits:
        asked = f'no split "{split}"' if split is not None else f"no split to {purpose}"
        raise InputError(shown(f"{path}: {asked}; there is {', '.join(splits)} (choose with {path}:SPLIT)"))
    dataset, findings = settle(splits[name](), clip=purpose == "train")
    release_memory()
    refuse_faults(findings)
    lack = lack_of(len(dataset), dataset.classes)
    if lack:
        raise InputError(shown(f"{path}: the split {name} has {lack}"))
    return replace(dataset, notes=notes_of(findings, clipped=purpose == "train"))


def read_splits(
    path: str | Path, split: str | None = None, clip: bool = False, shapes: bool = False
) -> dict[str, tuple[Dataset, list[Finding]]]:
    """Every split, or the one named, with all that is found at fault: nothing is refused.

    Boxes without an area, or outside their image, are left out; others are cut to it if `clip`. Splits are called
    plainly, instances_train2017 train, where no two would be called so. shapes: with outlines and keypoints.

    Raises InputError where nothing is at the path, or no such split.
    """
    splits = find_splits(path, shapes)
    if split is not None and split not in splits:
        raise InputError(shown(f'{path}: no split "{split}"; there is {", ".join(splits)}'))
    names = list(splits) if split is None else [split]
    plain = names if len(set(map(_plain, names))) < len(names) else list(map(_plain, names))
    return {given: settle(splits[name](), clip) for given, name in zip(plain, names, strict=True)}


def lack_of(images: int, classes: Sequence[str]) -> str | None:
    """What a split needs and has none of."""
    if images == 0:
        return "no images"
    return None if classes else "no classes"


def read_datasets(sources: Sequence[str], purpose: Purpose = "train") -> Dataset:
    """The union of several PATH[:SPLIT], classes united by name; see `read_dataset`."""
    if not sources:
        raise InputError("no data given: name a data set with --data PATH[:SPLIT]")
    for number, source in enumerate(sources):
        if source in sources[:number]:
            raise InputError(f"{source}: named twice, its images would count twice; name it once")
    return union([read_dataset(*parse_source(source), purpose) for source in sources])


def validation_source(source: str) -> str | None:
    """The PATH:SPLIT to evaluate on that belongs to a PATH[:SPLIT] to train on; None where there is none."""
    path, split = parse_source(source)
    splits = find_splits(path)
    trained = split if split is not None else default_split(splits, "train")
    covered = {trained, "val"} if trained == "trainval" else {trained}
    rest = {name: parse for name, parse in splits.items() if _plain(name) not in covered and name != trained}
    wanted = [name for wish in WANTED["evaluate"] for name in rest if _plain(name) == wish]
    return f"{path}:{wanted[0]}" if wanted else None


def default_split(splits: Splits, purpose: Purpose) -> str | None:
    """The name of the split for a purpose; the only one, whatever its name."""
    if len(splits) == 1:
        return next(iter(splits))
    return next((name for wish in WANTED[purpose] for name in splits if _plain(name) == wish), None)


def _plain(name: str) -> str:
    """instances_train2017 → train."""
    return re.sub(r"^instances_|\d{4}$", "", name)


def _splits_of_file(file: Path, shapes: bool) -> Splits:
    if file.suffix.lower() == ".json":
        return {} if not is_coco(file) and what_it_is(file) else {file.stem: partial(parse_coco, file, shapes)}
    return yolo_splits(file, shapes) if file.suffix.lower() in (".yaml", ".yml") else {}


def _splits_of_folder(folder: Path, shapes: bool) -> Splits:
    coco_or_voc = voc_splits(folder) or coco_splits(folder, shapes) or voc_splits(folder, "annotations")
    return yolo_splits(folder, shapes) or coco_or_voc
