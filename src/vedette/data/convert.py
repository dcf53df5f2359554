"""From one format to another: COCO JSON, VOC XML and YOLO txt, with the pictures.

What a format has no place for, and what the reader found at fault, is left out and said.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vedette.data.atomic import refuse_filled, whole_folder
from vedette.data.files import refuse_among
from vedette.data.findings import Finding
from vedette.data.left_out import left_out
from vedette.data.read import read_splits
from vedette.data.usable import usable
from vedette.data.write_coco import write_coco
from vedette.data.write_huggingface import write_huggingface
from vedette.data.write_voc import fit_voc, write_voc
from vedette.data.write_yolo import fit_yolo, write_yolo

Format = Literal["coco", "voc", "yolo", "huggingface"]
Watch = Callable[[list[str]], Iterable[str]]  # such as a progress bar over the files


@dataclass(frozen=True)
class Converted:
    """What was written, and what was not."""

    counts: dict[str, tuple[int, int]]  # images and boxes of each split
    lost: tuple[str, ...]  # a line for each thing that the format has no place for
    findings: tuple[Finding, ...]  # of the reader: what is at fault in the source


def convert(
    path: str | Path,
    to: Format,
    out: str | Path,
    split: str | None = None,
    link: bool = False,
    keep_ignored: bool = False,
    boxes_only: bool = False,
    watch: Watch | None = None,
) -> Converted:
    """Writes all splits, or one, into the new folder `out` in another format, or anew in the same.

    VOC and YOLO, whose tools refuse boxes that stick out of their image, have them cut to it. link:
    the pictures are the source's own files (hard links, else symbolic ones), not copies. keep_ignored: in YOLO, which
    has no marks, difficult objects and crowds become ordinary ones instead of being left out. boxes_only: without
    outlines and keypoints, which are else kept where both formats have them. watch: is given the names of the pictures
    as they are taken up, and gives them on.

    Raises InputError where there is nothing to read, or `out` is there already, lies among the source's pictures,
    or cannot be written.
    """
    refuse_filled(Path(out))
    read = read_splits(path, split, clip=to in ("voc", "yolo"), shapes=not boxes_only)
    refuse_among((file for dataset, _ in read.values() for file in dataset.files), Path(out), path)
    findings = tuple(dict.fromkeys(finding for _, found in read.values() for finding in found))
    splits, lost = usable(read, path)
    if to == "voc":
        splits, more = fit_voc(splits)
        lost += more
    elif to == "yolo":
        splits, more = fit_yolo(splits, keep_ignored)
        lost += more
    lost += left_out(splits, to)
    write = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo, "huggingface": write_huggingface}[to]
    with whole_folder(Path(out)) as folder:
        place_pictures(write(folder, splits, Path(path)), link, watch)
    counts = {name: (len(dataset), len(dataset.all_labels)) for name, dataset in splits.items()}
    return Converted(counts, tuple(lost), findings)


def place_pictures(pictures: Mapping[Path, str], link: bool, watch: Watch | None) -> None:
    """Copies each file to its place, or links it; one that has several places is copied once."""
    first: dict[str, Path] = {}
    files = list(pictures.values())
    for place, file in zip(pictures, watch(files) if watch else files, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        source = os.path.realpath(file)
        if source in first or link:
            _link(str(first.get(source, source)), place)
        else:
            shutil.copyfile(source, place)
        first.setdefault(source, place)


def _link(file: str, place: Path) -> None:
    """A second name of the file; a symbolic link where that cannot be, as on another disk; else a copy."""
    for way in (os.link, os.symlink, shutil.copyfile):
        try:
            way(file, place)
            return
        except OSError:
            if way is shutil.copyfile:
                raise
