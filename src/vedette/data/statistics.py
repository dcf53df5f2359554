"""What is in a data set, in numbers: images, boxes by class, sizes, shapes. No torch here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vedette.data.annotations import CROWD, DIFFICULT, Dataset

SMALL, LARGE = 32**2, 96**2  # square pixels: COCO's classes of size
SIZES = ("small", "medium", "large")
RATIOS = (1 / 4, 1 / 2, 4 / 5, 5 / 4, 2, 4)  # borders between classes of width / height
RATIO_NAMES = ("below 1:4", "1:4 to 1:2", "1:2 to 4:5", "4:5 to 5:4", "5:4 to 2:1", "2:1 to 4:1", "4:1 and more")


def statistics_of(dataset: Dataset) -> dict[str, Any]:
    """Numbers of a data set, as JSON has them.

    Boxes are those neither difficult nor crowds, but for what says otherwise. Sizes go by the annotation's area, as
    COCO's metric does, in pixels of the pictures; a side is the root of the box's own area.
    """
    counted = dataset.all_flags == 0
    owners = np.repeat(np.arange(len(dataset)), np.diff(dataset.ends))
    boxes, labels, areas = dataset.all_boxes[counted], dataset.all_labels[counted], dataset.all_areas[counted]
    width, height = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64).T
    per_image = np.bincount(owners[counted], minlength=len(dataset))
    names = zip(range(len(dataset.classes)), dataset.classes, strict=True)
    ratios = np.bincount(np.searchsorted(RATIOS, width / height, side="right"), minlength=len(RATIO_NAMES))
    return {
        "images": len(dataset),
        "without_boxes": int((per_image == 0).sum()),
        "boxes": int(counted.sum()),
        "difficult": int((dataset.all_flags & DIFFICULT != 0).sum()),
        "crowds": int((dataset.all_flags & CROWD != 0).sum()),
        "boxes_an_image": _spread(per_image),
        "picture_widths": _spread(dataset.sizes[:, 0]),
        "picture_heights": _spread(dataset.sizes[:, 1]),
        "sides": _spread(np.sqrt(width * height)),
        "sizes": _by_size(areas),
        "ratios": dict(zip(RATIO_NAMES, ratios.tolist(), strict=True)),
        "classes": {
            name: {
                "images": len(np.unique(owners[counted][labels == label])),
                "boxes": int((labels == label).sum()),
                "ignored": int((dataset.all_labels[~counted] == label).sum()),
                **_by_size(areas[labels == label]),
            }
            for label, name in names
        },
    }


def _by_size(areas: NDArray[np.float64]) -> dict[str, int]:
    """How many are small (below 32²), medium, large (from 96² on)."""
    counts = np.bincount(np.searchsorted((SMALL, LARGE), areas, side="right"), minlength=3)
    return dict(zip(SIZES, counts.tolist(), strict=True))


def _spread(values: NDArray[Any]) -> dict[str, float] | None:
    """Least, median, mean and largest; None of nothing."""
    if not len(values):
        return None
    return {
        "least": float(values.min()),
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "largest": float(values.max()),
    }
