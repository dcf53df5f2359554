"""Everything that is odd about a data set, the harmless included, without stopping at the first fault."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from vedette.data.decode import TURNS, holds_more, to_rgb
from vedette.data.draft import Draft, settle
from vedette.data.extents import SIDEWAYS, orientation_of
from vedette.data.findings import STOPS, Finding, is_harmful, shown
from vedette.data.leaks import learnt_and_measured
from vedette.data.not_annotated import holds_all, not_annotated
from vedette.data.read import find_splits, lack_of
from vedette.data.threads import in_threads
from vedette.errors import InputError

Watch = Callable[[list[str]], Iterable[str]]  # such as a progress bar over the files


@dataclass(frozen=True)
class SplitCount:
    """One split: how much is in it, and its own numbers of the classes."""

    images: int
    boxes: int
    categories: dict[int, str]  # original id → name


@dataclass(frozen=True)
class Report:
    """What a check found. An image that is in several splits counts once."""

    images: int
    boxes: int  # as annotated, those that training leaves out included
    classes: tuple[str, ...]
    splits: dict[str, SplitCount]
    findings: tuple[Finding, ...]

    @property
    def harmful(self) -> bool:
        """Whether a finding would change or stop a training."""
        return is_harmful(self.findings)


def check(path: str | Path, split: str | None = None, watch: Watch | None = None) -> Report:
    """Reads the annotations of one split, or of all, and decodes every image whole.

    watch: is given the names of the image files as they are taken up, and gives them on.

    Raises InputError where nothing is at the path, or nothing that is a data set.
    """
    splits = find_splits(path, shapes=True)  # they may be unreadable too
    if split is not None and split not in splits:
        raise InputError(shown(f'{path}: no split "{split}"; there is {", ".join(splits)}'))
    counts: dict[str, SplitCount] = {}
    boxes: dict[str, int] = {}  # by image file
    frames: dict[str, tuple[int, int]] = {}  # by image file: 0, 0 where not stated
    files_of: dict[str, list[str]] = {}
    findings: dict[Finding, None] = {}  # in order, each once
    for name in splits if split is None else [split]:
        draft = splits[name]()
        counts[name] = _count(draft)
        boxes.update(_boxes_by_file(draft))
        files_of[name] = draft.files
        frames.update(zip(draft.files, draft.sizes, strict=True))
        found = settle(draft)[1]
        lack = lack_of(len(draft.files), draft.classes)
        if lack and not any(finding.kind in STOPS for finding in found):
            found.append(Finding("annotation unreadable", str(path), f"the split {name} has {lack}"))
        findings.update(dict.fromkeys(found))
    if split is None and holds_all(Path(path)):
        absent = {finding.file for finding in findings if finding.kind == "missing file"}
        findings.update(dict.fromkeys(not_annotated(file for file in frames if file not in absent)))
    bad = {finding.file for finding in findings if finding.kind in ("missing file", "unreadable file")}
    files = [file for file in frames if file not in bad]
    findings.update(dict.fromkeys(learnt_and_measured(files_of, bad)))
    findings.update(dict.fromkeys(_look_at_images(files, frames, watch)))
    classes = tuple(dict.fromkeys(name for count in counts.values() for name in count.categories.values()))
    return Report(len(frames), sum(boxes.values()), classes, counts, tuple(findings))


def _count(draft: Draft) -> SplitCount:
    categories = dict(zip(draft.category_ids, draft.classes, strict=True))
    return SplitCount(len(draft.files), len(draft.labels), categories)


def _boxes_by_file(draft: Draft) -> Counter[str]:
    """How many boxes each file has, one that is listed twice those of both."""
    counts = Counter(dict.fromkeys(draft.files, 0))
    counts.update(draft.files[owner] for owner in draft.owners)
    return counts


def _look_at_images(files: list[str], frames: dict[str, tuple[int, int]], watch: Watch | None) -> Iterator[Finding]:
    """Decodes the files; Pillow lets the threads run side by side."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about EXIF that it half understands
        found = in_threads(lambda file: _look_at(file, frames[file]), files, (os.cpu_count() or 1) + 4)
        for _, finding in zip(watch(files) if watch else files, found, strict=True):
            if finding is not None:
                yield finding


def _look_at(file: str, frame: tuple[int, int]) -> Finding | None:
    with Image.open(file) as image:  # it has been measured
        try:
            to_rgb(image, rotate=False)
        except InputError as error:
            return Finding("truncated file", file, str(error).removeprefix(f"{file}: "))
        if holds_more(image):
            return Finding("several pictures in a file", file, "an animation, or pages: the first is looked at")
        orientation = orientation_of(image)
        if orientation not in TURNS:
            return None
        stated = orientation in SIDEWAYS and frame == image.size != image.size[::-1]
    use = "not turned, as the annotation states its size so" if stated else "turned before use"
    return Finding("rotated by EXIF", file, f"orientation {orientation}: {use}")
