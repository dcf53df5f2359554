"""From what an annotation says to a data set: the part that is the same for every format.

A reader fills a `Draft`; `settle` looks for the files, clips, leaves out what has no area, and says so. Neither raises
for a fault in the data: both write it down, and who reads for training refuses it where the checker lists it.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette.data.annotations import CROWD, DIFFICULT, Dataset, Texts
from vedette.data.files import composed
from vedette.data.findings import Finding, Kind
from vedette.data.frames import frames_of
from vedette.data.shapes import cut, moved
from vedette.data.values import fits_int64

TOLERANCE = 0.1  # pixels: what rounding in a file may put a box beyond its image
FEW_PIXELS = 4  # in a larger image nobody annotates the first pixel alone


@dataclass(eq=False)
class Draft:
    """The images and boxes that a reader has found so far, and the faults.

    unit: what the number of a box counts in its file: "annotation", "object" or "line".
    relative: boxes are fractions of the image's width and height. with_shapes: outlines and keypoints are taken too.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    unit: str
    relative: bool = False
    with_shapes: bool = False
    files: list[str] = field(default_factory=list)
    ids: list[int | str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    coordinates: array[float] = field(default_factory=lambda: array("d"))  # four a box
    labels: array[int] = field(default_factory=lambda: array("q"))
    owners: array[int] = field(default_factory=lambda: array("q"))  # index of the image
    numbers: array[int] = field(default_factory=lambda: array("q"))
    areas: array[float] = field(default_factory=lambda: array("d"))  # nan: not stated
    flags: bytearray = field(default_factory=bytearray)
    shapes: list[str] = field(default_factory=list)  # one a box, see `shapes`; none unless with_shapes
    skeletons: tuple[str, ...] = ()  # (C) what is said of a class's keypoints, JSON
    findings: list[Finding] = field(default_factory=list)

    def find(self, kind: Kind, file: str | Path, detail: str) -> None:
        """Writes a fault down."""
        self.findings.append(Finding(kind, str(file), detail))

    def add_image(self, file: str | Path, image_id: int | str, size: tuple[int, int] = (0, 0)) -> int:
        """An image of width and height as stated (0, 0: not stated); gives its index."""
        self.files.append(str(file))
        self.ids.append(image_id)
        self.sizes.append(size)
        return len(self.files) - 1

    def add_box(
        self,
        image: int,
        box: tuple[float, float, float, float],
        label: int,
        number: int,
        area: float = float("nan"),
        difficult: bool = False,
        crowd: bool = False,
        shape: str = "",
    ) -> None:
        """A box x1 y1 x2 y2 on the image of that index, and the shape that is in it."""
        self.coordinates.extend(box)
        self.labels.append(label)
        self.owners.append(image)
        self.numbers.append(number)
        self.areas.append(area)
        self.flags.append(DIFFICULT * difficult | CROWD * crowd)
        if self.with_shapes:
            self.shapes.append(shape)

    def renumber(self, owner_of: Sequence[int], label_of: Sequence[int]) -> list[tuple[int, int, int]]:
        """Replaces every owner and label k by owner_of[k] and label_of[k].

        Boxes for which one of them is -1 are taken out; gives their numbers with the owners and labels of before.
        """
        before = np.array(self.owners, dtype=np.int64), np.array(self.labels, dtype=np.int64)
        owners, labels = np.array(owner_of, dtype=np.int64)[before[0]], np.array(label_of, dtype=np.int64)[before[1]]
        keep = (owners >= 0) & (labels >= 0)
        out = np.flatnonzero(~keep).tolist()
        rejected = [(self.numbers[row], self.owners[row], self.labels[row]) for row in out]
        self.owners, self.labels = array("q", owners[keep].tobytes()), array("q", labels[keep].tobytes())
        if rejected:
            self.coordinates = array("d", np.array(self.coordinates).reshape(-1, 4)[keep].tobytes())
            self.numbers = array("q", np.array(self.numbers)[keep].tobytes())
            self.areas = array("d", np.array(self.areas)[keep].tobytes())
            self.flags = bytearray(np.array(self.flags)[keep].tobytes())
            self.shapes = [shape for shape, stays in zip(self.shapes, keep.tolist(), strict=False) if stays]
        return rejected


@np.errstate(over="ignore", invalid="ignore")  # numbers beyond float32 are findings, not warnings
def settle(draft: Draft, clip: bool = True) -> tuple[Dataset, list[Finding]]:
    """The data set, without boxes that have no area or lie outside their image; and all faults, the draft's first.

    Corners that come in another order are put in order. clip: cut the boxes that stick out of their image; otherwise
    they stay as annotated.
    """
    sizes, of_frames = frames_of(draft.files, draft.sizes)
    findings = [*draft.findings, *of_frames, *_alike_classes(draft)]
    owners = np.array(draft.owners, dtype=np.int64)
    order = np.argsort(owners, kind="stable")
    owners = owners[order]
    boxes = np.array(draft.coordinates, dtype=np.float64).reshape(-1, 4)[order]
    frames = np.tile(sizes[owners], 2).astype(np.float64)
    if draft.relative:
        boxes *= np.where(frames > 0, frames, 1)
    exchanged = _exchanged(boxes)
    boxes = np.hstack([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])])
    inside = _clipped(boxes, frames)
    labels = np.array(draft.labels, dtype=np.int32)[order]
    keep = _examine(draft, boxes, inside, exchanged, frames, order, findings)
    kept = (inside if clip else boxes)[keep]
    areas = np.array(draft.areas, dtype=np.float64)[order][keep]
    own = (kept[:, 2] - kept[:, 0]) * (kept[:, 3] - kept[:, 1])  # float64, as COCO's tools reckon it
    counts = np.bincount(owners[keep], minlength=len(draft.files))
    dataset = Dataset(
        classes=draft.classes,
        category_ids=draft.category_ids,
        files=Texts.of(draft.files),
        image_ids=_ids(draft.ids),
        sizes=sizes.astype(np.int32),
        ends=np.concatenate([[0], counts.cumsum()]).astype(np.int64),
        all_boxes=kept.astype(np.float32),
        all_labels=labels[keep],
        all_areas=np.where(np.isnan(areas), own, areas),
        all_flags=np.array(draft.flags, dtype=np.uint8)[order][keep],
        shapes=_shapes(draft, order[keep], frames[keep], clip) if draft.with_shapes else None,
        skeletons=draft.skeletons,
    )
    return dataset, findings


def _shapes(draft: Draft, rows: NDArray[np.int64], frames: NDArray[np.float64], clip: bool) -> Texts:
    """Those of boxes at these places in the draft, in pixels, and cut to the frame as the boxes are."""

    def settled(row: int, width: float, height: float) -> str:
        text = draft.shapes[row]
        if text and draft.relative:
            text = moved(text, lambda points: points * (width or 1, height or 1))
        return cut(text, width, height) if text and clip and width and height else text

    return Texts.of(settled(row, *frame) for row, frame in zip(rows.tolist(), frames[:, :2].tolist(), strict=True))


def _clipped(boxes: NDArray[np.float64], frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes cut to frames (M, 4) of width, height, width, height; left alone where a frame is not known."""
    return np.where(frames > 0, np.clip(boxes, 0, np.where(frames > 0, frames, np.inf)), boxes)


def _examine(
    draft: Draft,
    boxes: NDArray[np.float64],
    inside: NDArray[np.float64],
    exchanged: NDArray[np.bool_],
    frames: NDArray[np.float64],
    order: NDArray[np.int64],
    findings: list[Finding],
) -> NDArray[np.bool_]:
    """(M,) which boxes to keep; writes down what is odd about the boxes and which images have none.

    exchanged: (M,) boxes whose corners were put in order. frames: (M, 4) width, height, width, height of the image.
    order: (M,) the place in the draft of each of the boxes here, which are sorted by image.
    """
    degenerate = ~_has_area(boxes)
    outside = ~degenerate & ~_has_area(inside)
    keep = ~degenerate & ~outside
    sticks_out = keep & (np.abs(boxes - inside) > TOLERANCE).any(1)
    odd: dict[Kind, NDArray[np.bool_]] = {
        "degenerate box": degenerate,
        "corners exchanged": keep & exchanged,
        "box outside image": outside,
        "box clipped": sticks_out,
        "duplicate box": keep & _repeated(draft, boxes, order),
        "wrong unit": keep & (frames.max(1, initial=0) > FEW_PIXELS) & _in_first_pixel(draft, boxes, order),
    }
    for kind, rows in odd.items():
        for row in np.flatnonzero(rows).tolist():
            findings.append(_about_box(draft, kind, boxes[row], int(order[row])))
    empty = np.setdiff1d(np.arange(len(draft.files)), np.array(draft.owners, dtype=np.int64)).tolist()
    findings += [Finding("image without boxes", draft.files[index], "it has no box") for index in empty]
    return keep


def _exchanged(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(M,) boxes of which a side that is due second comes first: drawn from right to left, nothing else is wrong."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    return np.asarray((width * height != 0) & ((width < 0) | (height < 0)))


def _has_area(boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(M,) whether a box still has an area as float32, in which it is kept."""
    small = boxes.astype(np.float32)
    return (small[:, 2] > small[:, 0]) & (small[:, 3] > small[:, 1])


def _in_first_pixel(draft: Draft, boxes: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(M,) which boxes lie in their image's first pixel, as all others on it do: fractions written for pixels."""
    if draft.relative or not len(boxes):
        return np.zeros(len(boxes), dtype=np.bool_)
    owners = np.array(draft.owners, dtype=np.int64)[order]
    tiny = (boxes <= 1).all(1)
    return tiny & ~np.isin(owners, owners[~tiny])


def _repeated(draft: Draft, boxes: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(M,) whether the same box with the same label came before on the same image."""
    label_and_owner = [np.array(column, dtype=np.float64)[order, None] for column in (draft.owners, draft.labels)]
    rows = np.hstack([*label_and_owner, boxes])
    ranks = np.lexsort(rows.T[::-1])
    repeated = np.zeros(len(rows), dtype=np.bool_)
    repeated[ranks[1:]] = (rows[ranks[1:]] == rows[ranks[:-1]]).all(1)
    return repeated


def _about_box(draft: Draft, kind: Kind, box: NDArray[np.float64], place: int) -> Finding:
    image = draft.owners[place]
    corners = ", ".join(f"{value:g}" for value in box.tolist())
    name = draft.classes[draft.labels[place]]
    advice = ": fractions of the image, where pixels are due" if kind == "wrong unit" else ""
    return Finding(kind, draft.files[image], f"{draft.unit} {draft.numbers[place]}: {name} at ({corners}){advice}")


def _alike_classes(draft: Draft) -> Iterator[Finding]:
    """Classes that somebody wrote in two ways, perhaps: Cat and cat."""
    first: dict[str, str] = {}
    for name in draft.classes:
        other = first.setdefault("".join(composed(name).casefold().split()), name)
        if other != name and draft.files:
            yield Finding("class names alike", os.path.dirname(draft.files[0]), f"{other!r} and {name!r}: one class?")


def _ids(ids: list[int | str]) -> NDArray[np.int64] | Texts:
    if all(isinstance(one, int) and fits_int64(one) for one in ids):
        return np.array(ids, dtype=np.int64)
    return Texts.of(str(one) for one in ids)
