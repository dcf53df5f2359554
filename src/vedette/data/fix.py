"""A corrected copy of a data set's annotations, as COCO JSONs that name the pictures where they are.

Nothing is guessed: what cannot be known is left out, and every change is written down.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette.data.annotations import Dataset, Texts
from vedette.data.atomic import refuse_filled, whole_folder, write_json
from vedette.data.check import Report, Watch, check
from vedette.data.extents import measure
from vedette.data.files import refuse_among
from vedette.data.findings import Finding, Kind, is_harmful
from vedette.data.read import read_splits
from vedette.data.shapes import count, moved, without_mask
from vedette.data.usable import usable
from vedette.data.values import counted
from vedette.data.write_coco import write_json as write_split

DONE: Mapping[Kind, str] = {
    "image without boxes": "kept, if nothing else was found about it",
    "picture not annotated": "not in the copy",
    "picture in two splits": "kept in both: leave it out of one",
    "degenerate box": "box removed",
    "corners exchanged": "corners put in order",
    "box outside image": "box removed",
    "box clipped": "box cut to its image",
    "duplicate box": "removed, the first is kept",
    "image size differs": "boxes scaled to the picture, whose size is stated now",
    "width and height swapped": "image left out",
    "wrong unit": "image left out",
    "unknown class": "box removed",
    "class left out": "not in the copy",
    "class ids numbered": "numbered so",
    "class names alike": "kept as two classes",
    "several pictures in a file": "kept as it is: the first is looked at",
    "name collision": "images left out",
    "missing file": "left out",
    "unreadable file": "image left out",
    "truncated file": "image left out",
    "rotated by EXIF": "kept as it is",
    "annotation unreadable": "left out",
    "outline unreadable": "outline or keypoints left out, box kept",
}


@dataclass(frozen=True)
class Fixed:
    """What a source was found to be, and its corrected copy."""

    report: Report  # of the source
    images: int  # in the copy, an image of several splits as often
    boxes: int
    left_out: tuple[str, ...]  # a line for each kind of loss that is not a finding's own
    left: tuple[Finding, ...]  # what would still change or stop a training


def fix(path: str | Path, out: str | Path, split: str | None = None, watch: Watch | None = None) -> Fixed:
    """Writes SPLIT.json for each split into the new folder `out`, and fixes.json: every finding, and what was done.

    The source is left as it is. watch: see `check`.

    Raises InputError where there is nothing to read, nothing is left, or `out` is there already or lies among the
    source's pictures.
    """
    refuse_filled(Path(out))
    read = read_splits(path, split, clip=True, shapes=True)
    refuse_among((file for dataset, _ in read.values() for file in dataset.files), Path(out), path)
    report = check(path, split, watch)
    truncated = [finding for finding in report.findings if finding.kind == "truncated file"]
    splits, lost = usable({name: (one, [*found, *truncated]) for name, (one, found) in read.items()}, path)
    scaled = {name: _scaled(dataset, _of_other_size(dataset, read[name][1])) for name, dataset in splits.items()}
    masks = sum(map(_masks, splits.values())) - sum(map(_masks, scaled.values()))
    mended = {name: dataset.with_boxes(~_repeated(dataset)) for name, dataset in scaled.items()}
    if masks:
        lost.append(f"left out: {counted(masks, 'mask')} in runs, of pictures of another size")
    with whole_folder(Path(out)) as folder:
        for name, dataset in mended.items():
            write_split(
                folder / f"{name}.json", dataset, [os.path.abspath(dataset.file(i)) for i in range(len(dataset))]
            )
        fixes = [asdict(finding) | {"done": DONE[finding.kind]} for finding in report.findings]
        write_json(folder / "fixes.json", {"source": str(path), "left_out": lost, "fixes": fixes})
    left = [finding for _, found in read_splits(out).values() for finding in found if is_harmful([finding])]
    boxes = sum(len(dataset.all_labels) for dataset in mended.values())
    return Fixed(report, sum(map(len, mended.values())), boxes, tuple(lost), tuple(left))


def _of_other_size(dataset: Dataset, findings: Iterable[Finding]) -> list[int]:
    """The indices of the pictures that are larger or smaller than annotated."""
    other_size = {finding.file for finding in findings if finding.kind == "image size differs"}
    return [index for index in range(len(dataset)) if dataset.files[index] in other_size]


def _scaled(dataset: Dataset, indices: Sequence[int]) -> Dataset:
    """With the sizes that the pictures of these indices have, and their boxes scaled with them."""
    if not indices:
        return dataset
    sizes, factors = dataset.sizes.copy(), np.ones((len(dataset), 2))
    for index, extent in zip(indices, measure([dataset.files[index] for index in indices]), strict=True):
        if not isinstance(extent, str):
            factors[index] = np.array(extent.seen) / sizes[index]
            sizes[index] = extent.seen
    of_box = np.repeat(factors, np.diff(dataset.ends), axis=0)
    boxes = (dataset.all_boxes * np.tile(of_box, 2)).astype(np.float32)
    shapes = None if dataset.shapes is None else Texts.of(map(_scaled_shape, dataset.shapes, of_box))
    return replace(dataset, sizes=sizes, all_boxes=boxes, all_areas=dataset.all_areas * of_box.prod(1), shapes=shapes)


def _scaled_shape(text: str, factors: NDArray[np.float64]) -> str:
    """Its points scaled; a mask in runs, which is of one size, is left out."""
    return moved(without_mask(text), lambda points: points * factors) if text and (factors != 1).any() else text


def _masks(dataset: Dataset) -> int:
    return count(dataset.shapes or ())["mask"]


def _repeated(dataset: Dataset) -> NDArray[np.bool_]:
    """(M,) whether the same box with the same label came before on the same image."""
    owners = np.repeat(np.arange(len(dataset)), np.diff(dataset.ends))
    rows = np.hstack([owners[:, None], dataset.all_labels[:, None], dataset.all_boxes.astype(np.float64)])
    first = np.unique(rows, axis=0, return_index=True)[1]
    repeated = np.ones(len(rows), dtype=np.bool_)
    repeated[first] = False
    return repeated
