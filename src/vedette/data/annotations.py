"""One split of a data set in flat arrays.

Nothing here is a Python object an image: a list of a hundred thousand of those is copied, page by page, into every
worker process as its reference counts change; arrays stay shared. torch is imported when a tensor is asked for: data
are read, checked and converted without it. `N` images, `M` boxes in all, `G` on one image.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vedette.data.decode import decode_image

if TYPE_CHECKING:
    from torch import Tensor

DIFFICULT, CROWD = 1, 2  # bits of the flags


@dataclass(frozen=True, eq=False)
class Texts:
    """Many strings as one run of bytes."""

    content: NDArray[np.uint8]
    ends: NDArray[np.int64]  # (N + 1,): string i lies between ends[i] and ends[i + 1]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """The strings, in their order."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]  # names may hold any byte
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> str:
        start, end = self.ends[index : index + 2].tolist()
        return self.content[start:end].tobytes().decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))

    def part(self, indices: NDArray[np.int64]) -> Texts:
        """The strings of these indices alone."""
        return Texts.of(self[index] for index in indices.tolist())

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.content.nbytes + self.ends.nbytes


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split: its images' files, and the boxes on them.

    Labels are 0..C-1 in the order of `classes`. `category_ids` are the numbers that the annotation gives the classes.
    `notes` say, a line a kind, what was left out or changed while reading.
    """

    classes: tuple[str, ...]  # (C)
    category_ids: tuple[int, ...]  # (C)
    files: Texts  # (N)
    image_ids: NDArray[np.int64] | Texts  # (N), or strings
    sizes: NDArray[np.int32]  # (N, 2) width, height of the frame that the boxes are in; 0, 0 where not known
    ends: NDArray[np.int64]  # (N + 1,): the boxes of image i lie between ends[i] and ends[i + 1]
    all_boxes: NDArray[np.float32]  # (M, 4) x1 y1 x2 y2, pixels
    all_labels: NDArray[np.int32]  # (M,)
    all_areas: NDArray[np.float64]  # (M,) square pixels: COCO parts sizes at 32², and 1024.00003 is more
    all_flags: NDArray[np.uint8]  # (M,) of DIFFICULT and CROWD
    notes: tuple[str, ...] = ()
    shapes: Texts | None = None  # (M,) outlines and keypoints, see `shapes`; None where nobody asked for them
    skeletons: tuple[str, ...] = ()  # (C) what is said of a class's keypoints, JSON; () where nobody asked for them

    def __len__(self) -> int:
        return len(self.files)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        arrays = (self.sizes, self.ends, self.all_boxes, self.all_labels, self.all_areas, self.all_flags)
        shapes = 0 if self.shapes is None else self.shapes.nbytes
        return self.files.nbytes + self.image_ids.nbytes + shapes + sum(array.nbytes for array in arrays)

    @property
    def fingerprint(self) -> str:
        """Of the classes, the images' names and all that is annotated: it changes when any of these does."""
        digest = sha256(json.dumps([self.classes, [self.file(index).name for index in range(len(self))]]).encode())
        for array in (self.sizes, self.ends, self.all_boxes, self.all_labels, self.all_flags):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def file(self, index: int) -> Path:
        """The image's file."""
        return Path(self.files[index])

    def image_id(self, index: int) -> int | str:
        """The image's id: COCO's, or the file's name without its suffix."""
        found = self.image_ids[index]
        return found if isinstance(found, str) else int(found)

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of the frame that the boxes are in: as annotated, else measured; 0, 0 if not known."""
        width, height = self.sizes[index].tolist()
        return width, height

    def boxes(self, index: int) -> Tensor:
        """(G, 4) float32 x1 y1 x2 y2, pixels of the frame."""
        return _tensor(self.all_boxes[self._rows(index)])

    def labels(self, index: int) -> Tensor:
        """(G,) int64, 0..C-1."""
        return _tensor(self.all_labels[self._rows(index)].astype(np.int64))

    def difficult(self, index: int) -> Tensor:
        """(G,) bool: VOC's mark."""
        return _tensor((self.all_flags[self._rows(index)] & DIFFICULT) != 0)

    def crowd(self, index: int) -> Tensor:
        """(G,) bool: COCO's mark of a box around many."""
        return _tensor((self.all_flags[self._rows(index)] & CROWD) != 0)

    def area(self, index: int) -> Tensor:
        """(G,) float64 square pixels: what the annotation says (COCO's is that of the outline), else the box's."""
        return _tensor(self.all_areas[self._rows(index)])

    def image(self, index: int) -> Image.Image:
        """The picture as RGB, in the frame of its boxes.

        It is turned as its EXIF says, unless the stated width and height are those of the picture not turned.

        Raises InputError for a file that is missing or damaged.
        """
        file, frame = self.file(index), self.size(index)
        turned = decode_image(file)
        if turned.size != frame and turned.size == frame[::-1]:
            raw = decode_image(file, rotate=False)
            if raw.size == frame:
                return raw
        return turned

    def part(self, indices: Sequence[int]) -> Dataset:
        """The images of these indices alone, with their boxes."""
        rows = np.concatenate([np.arange(0), *(np.r_[self._rows(index)] for index in indices)]).astype(np.int64)
        chosen = np.array(indices, dtype=np.int64)
        ids = self.image_ids
        return replace(
            self,
            files=Texts.of(self.files[index] for index in indices),
            image_ids=Texts.of(ids[index] for index in indices) if isinstance(ids, Texts) else ids[chosen],
            sizes=self.sizes[chosen],
            ends=np.concatenate([[0], np.diff(self.ends)[chosen].cumsum()]).astype(np.int64),
            all_boxes=self.all_boxes[rows],
            all_labels=self.all_labels[rows],
            all_areas=self.all_areas[rows],
            all_flags=self.all_flags[rows],
            shapes=None if self.shapes is None else self.shapes.part(rows),
        )

    def with_boxes(self, keep: NDArray[np.bool_]) -> Dataset:
        """All images, with the boxes alone that `keep` (M,) marks."""
        kept_before = np.concatenate([[0], keep.cumsum()])
        return replace(
            self,
            ends=kept_before[self.ends].astype(np.int64),
            all_boxes=self.all_boxes[keep],
            all_labels=self.all_labels[keep],
            all_areas=self.all_areas[keep],
            all_flags=self.all_flags[keep],
            shapes=None if self.shapes is None else self.shapes.part(np.flatnonzero(keep)),
        )

    def _rows(self, index: int) -> slice:
        start, end = self.ends[index : index + 2].tolist()
        return slice(start, end)


def union(datasets: Sequence[Dataset]) -> Dataset:
    """All images of several data sets, classes united by name in the order of their first coming.

    Image ids are the positions 0..N-1 and category ids 1..C, for those of the parts may collide. One data set alone
    is returned as it is.
    """
    if len(datasets) == 1:
        return datasets[0]
    classes = tuple(dict.fromkeys(name for dataset in datasets for name in dataset.classes))
    new_labels = [np.array([classes.index(name) for name in dataset.classes], dtype=np.int32) for dataset in datasets]
    said = {name: text for one in datasets for name, text in zip(one.classes, one.skeletons, strict=False) if text}
    return Dataset(
        classes=classes,
        category_ids=tuple(range(1, len(classes) + 1)),
        files=_chain_texts([one.files for one in datasets]),
        image_ids=np.arange(sum(map(len, datasets))),
        sizes=np.concatenate([one.sizes for one in datasets]),
        ends=_chain([one.ends for one in datasets]),
        all_boxes=np.concatenate([one.all_boxes for one in datasets]),
        all_labels=np.concatenate([new[one.all_labels] for one, new in zip(datasets, new_labels, strict=True)]),
        all_areas=np.concatenate([one.all_areas for one in datasets]),
        all_flags=np.concatenate([one.all_flags for one in datasets]),
        notes=tuple(note for one in datasets for note in one.notes),
        shapes=_chain_texts([one.shapes for one in datasets if one.shapes is not None])
        if all(one.shapes is not None for one in datasets)
        else None,
        skeletons=tuple(said.get(name, "") for name in classes) if said else (),
    )


def _chain_texts(texts: Sequence[Texts]) -> Texts:
    return Texts(np.concatenate([one.content for one in texts]), _chain([one.ends for one in texts]))


def _chain(ends: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The ends of runs laid one after the other."""
    lengths = np.concatenate([np.diff(one) for one in ends])
    return np.concatenate([[0], lengths.cumsum()]).astype(np.int64)


def _tensor(rows: NDArray[Any]) -> Tensor:
    """A copy, which may be changed."""
    from torch import from_numpy

    return from_numpy(rows.copy())
