"""Selective search: class-agnostic boxes from a picture's own regions, for the detectors that are given proposals.

Uijlings, van de Sande, Gevers, Smeulders. "Selective Search for Object Recognition." IJCV 2013. The search itself is
OpenCV's (the extra `rcnn`). What it finds is kept on disk by the picture's pixels, for it takes seconds a picture.

Shapes: `N` proposals of one picture, x1 y1 x2 y2 in pixels of the picture unless said otherwise.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from vedette.data.atomic import write_whole
from vedette.data.cache import cache_folder
from vedette.data.loader import AnnotatedImages, Proposals
from vedette.errors import InputError

Mode = Literal["fast", "quality"]
MODES: tuple[Mode, ...] = ("fast", "quality")
LIMIT = 2000  # R-CNN, section 2.2: about 2000 an image
LONGEST_SIDE = 500  # pixels; R-CNN, section 2.2, searches pictures 500 wide, ours are no longer than that
LEAST_SIDE = 20  # pixels of the searched picture, as R-CNN's authors have it
FORMAT = 2  # of the cached files; a change of the search asks for another number

Boxes = NDArray[np.int16]  # (N, 4) pixels of the searched picture, which is small enough for 16 bits


def proposals(picture: Image.Image, mode: Mode = "fast", limit: int = LIMIT) -> Tensor:
    """The (N, 4) float32 proposals of an RGB picture, the best first; N is at most `limit`.

    Pictures whose long side is above 500 pixels are searched at that size. The same picture has the same proposals.

    Raises InputError for a mode or a limit that cannot be, and where OpenCV's contributed modules are not installed.
    """
    _check(mode, limit)
    return _in_picture(_search(picture, mode), picture, limit)


def cached_proposals(
    picture: Image.Image, mode: Mode = "fast", limit: int = LIMIT, cache: str | Path | None = None
) -> Tensor:
    """`proposals`, from the folder `cache` where they are there, else computed and put there.

    cache: `default_cache()` unless given. A damaged file is replaced; where nothing can be written nothing is kept.
    """
    _check(mode, limit)
    file = (default_cache() if cache is None else Path(cache)) / f"{_key(picture, mode)}.npy"
    found = _read(file)
    if found is None:
        found = boxes = _search(picture, mode)
        with suppress(InputError):  # a full or a read-only disk costs time, not the result
            write_whole(file, lambda stream: np.save(stream, boxes))
    return _in_picture(found, picture, limit)


def proposals_of(
    dataset: AnnotatedImages,
    mode: Mode = "fast",
    limit: int = LIMIT,
    cache: str | Path | None = None,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
    indices: Sequence[int] | None = None,
) -> list[Tensor]:
    """The cached proposals of each image, in the pixels of its annotated boxes, searched by `workers` processes.

    progress: called with the images done and all images, after each. indices: those images alone.

    Raises InputError as `proposals` does, and for an image that cannot be read.
    """
    _check(mode, limit)
    _check_opencv()
    searches = _Searches(dataset, mode, limit, cache)
    found: list[Tensor] = []
    order = range(len(dataset)) if indices is None else indices
    for boxes in DataLoader(searches, batch_size=None, sampler=order, num_workers=workers, collate_fn=_as_it_is):
        if isinstance(boxes, str):
            raise InputError(boxes)
        found.append(torch.from_numpy(boxes))
        if progress is not None:
            progress(len(found), len(order))
    return found


def proposals_for(
    model: Any, dataset: AnnotatedImages, workers: int, watch: Callable[[int, str], AbstractContextManager[Any]]
) -> Proposals | None:
    """The cached proposals of each image as a model's config wants them; None for a model that needs none.

    watch: shows how many images have theirs. Raises InputError as `proposals_of` does.
    """
    if not getattr(model, "needs_proposals", False):
        return None
    with watch(len(dataset), "proposals") as bar:
        c = model.config
        return proposals_of(dataset, c.search, c.proposals, workers=workers, progress=bar.reach).__getitem__


def default_cache() -> Path:
    """Where they are kept unless another folder is given."""
    return cache_folder("proposals")


class _Searches(TorchDataset[Any]):
    """The proposals of each image as an array, which crosses from a process without a file handle; or its fault."""

    def __init__(self, dataset: AnnotatedImages, mode: Mode, limit: int, cache: str | Path | None) -> None:
        self.dataset, self.mode, self.limit, self.cache = dataset, mode, limit, cache

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            picture = self.dataset.image(index)
            boxes = cached_proposals(picture, self.mode, self.limit, self.cache)
        except InputError as error:
            return str(error)
        width, height = self.dataset.size(index)
        frame = (width, height) if width and height else picture.size
        return (boxes * (torch.tensor(frame) / torch.tensor(picture.size)).repeat(2)).numpy()


def _as_it_is(item: Any) -> Any:
    return item


def _check(mode: str, limit: int) -> None:
    if mode not in MODES:
        raise InputError(f"the mode of selective search is {mode!r}: give one of {', '.join(MODES)}")
    if limit < 1:
        raise InputError(f"the limit of proposals is {limit}: give a whole number from 1 on")


def _check_opencv() -> Any:
    """OpenCV with its contributed modules; raises InputError where it is not there."""
    try:
        import cv2

        return cv2, cv2.ximgproc.segmentation
    except (ImportError, AttributeError):
        message = 'selective search needs OpenCV with its contributed modules: pip install "vedette[rcnn]"'
        raise InputError(message) from None


def _search(picture: Image.Image, mode: Mode) -> Boxes:
    """OpenCV's boxes in the searched picture, each once, without those that are too small."""
    cv2, segmentation = _check_opencv()
    pixels = np.asarray(picture.resize(_searched_size(picture), Image.Resampling.BILINEAR))
    search = segmentation.createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(pixels[..., ::-1]))  # blue first
    search.switchToSelectiveSearchFast() if mode == "fast" else search.switchToSelectiveSearchQuality()
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        _seed()
        rows = np.asarray(search.process()).reshape(-1, 4)
    finally:
        cv2.setNumThreads(threads)
    rows = rows[(rows[:, 2:] >= LEAST_SIDE).all(1)]
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], 1)
    _, first = np.unique(corners, axis=0, return_index=True)
    return corners[np.sort(first)].astype(np.int16)


def _seed() -> None:
    """OpenCV ranks regions by chance, with the C library's numbers: `setRNGSeed` does not reach them."""
    with suppress(AttributeError, OSError, TypeError):  # where there is no such library the order is not repeatable
        ctypes.CDLL(None).srand(1)


def _searched_size(picture: Image.Image) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE / max(picture.size))
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


def _in_picture(found: Boxes, picture: Image.Image, limit: int) -> Tensor:
    scale = torch.tensor(picture.size) / torch.tensor(_searched_size(picture))
    return torch.from_numpy(found[:limit].astype(np.float32)) * scale.repeat(2)


def _key(picture: Image.Image, mode: Mode) -> str:
    """Names the picture's pixels and whatever else decides what is found."""
    settings = f"{FORMAT} {mode} {LONGEST_SIDE} {LEAST_SIDE} {picture.size} "
    return blake2b(settings.encode() + picture.tobytes(), digest_size=16).hexdigest()


def _read(file: Path) -> Boxes | None:
    """The boxes in a cached file; None where there is none, or not a whole one."""
    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(found, np.ndarray) and found.dtype == np.int16 and found.ndim == 2 and found.shape[1] == 4
    return found if whole else None
