"""The frame that an image's boxes are in: the size that its annotation states, held against the picture's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vedette.data.extents import Extent, measure
from vedette.data.files import missing
from vedette.data.findings import Finding

LARGEST_SIDE = 2**31  # a size beyond it is no size


def frames_of(files: Sequence[str], stated: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], list[Finding]]:
    """(N, 2) width and height of every image's frame, measured where not stated; 0, 0 where neither is possible.

    With them what is found: files that are not there or no images, and those of another size than stated.
    """
    sizes = np.array([size if max(size) < LARGEST_SIDE else (0, 0) for size in stated], dtype=np.int64).reshape(-1, 2)
    absent = missing(files)
    findings = [Finding("missing file", files[index], "no such image file") for index in absent]
    there = np.setdiff1d(np.arange(len(sizes)), absent).tolist()
    for index, extent in zip(there, measure([files[index] for index in there]), strict=True):
        if isinstance(extent, str):
            findings.append(Finding("unreadable file", files[index], extent))
        elif not sizes[index].all():
            sizes[index] = extent.seen
        else:
            width, height = sizes[index].tolist()
            findings += _contradiction(files[index], (width, height), extent)
    return sizes, findings


def _contradiction(file: str, size: tuple[int, int], extent: Extent) -> list[Finding]:
    """What is to be said where neither the picture as it is seen nor as it lies in the file has the size."""
    if size in (extent.seen, extent.raw):
        return []
    sides = f"annotated as {size[0]} x {size[1]}, the picture is {extent.seen[0]} x {extent.seen[1]}"
    if not _is_turned(size, extent.seen):
        return [Finding("image size differs", file, sides)]
    advice = "width and height are swapped, or the picture was turned later: exchange the two, or turn it back"
    return [Finding("width and height swapped", file, f"{sides}: {advice}")]


def _is_turned(size: tuple[int, int], seen: tuple[int, int]) -> bool:
    """Whether a size is that of the picture lying on its side, perhaps in another scale: boxes would be stretched."""
    (width, height), (across, down) = size, seen
    upright, turned = abs(width * down - height * across), abs(height * down - width * across)
    rounding = max(width, height)  # a pixel of the picture
    return (height, width) == seen or turned <= rounding < upright
