"""The ground truth of an image as the metrics see it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor

from vedette.ops.boxes import area


@dataclass(frozen=True, eq=False)
class Truth:
    """The G annotated boxes of one image, in the pixels in which its detections are given."""

    boxes: Tensor  # (G, 4) float, x1 y1 x2 y2
    labels: Tensor  # (G,) int64, 0..C-1
    difficult: Tensor  # (G,) bool: VOC's mark
    crowd: Tensor  # (G,) bool: COCO's mark
    area: Tensor  # (G,) float64, square pixels: COCO's size classes go by it

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, rows: Tensor) -> Truth:
        """Some of the boxes; rows (G,) bool."""
        return Truth(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})

    @classmethod
    def of(cls, boxes: Tensor, labels: Tensor, difficult: Tensor | None = None, crowd: Tensor | None = None) -> Truth:
        """A truth whose areas are those of its boxes; nothing is difficult or a crowd unless marked."""
        nothing = torch.zeros(len(labels), dtype=torch.bool)
        return cls(
            boxes=boxes,
            labels=labels,
            difficult=nothing if difficult is None else difficult,
            crowd=nothing if crowd is None else crowd,
            area=area(boxes.double()),
        )


class Annotated(Protocol):
    """What is asked of a data set: `vedette.data.annotations.Dataset` has it."""

    def __len__(self) -> int: ...
    def boxes(self, index: int, /) -> Tensor: ...
    def labels(self, index: int, /) -> Tensor: ...
    def difficult(self, index: int, /) -> Tensor: ...
    def crowd(self, index: int, /) -> Tensor: ...
    def area(self, index: int, /) -> Tensor: ...


def truths_of(dataset: Annotated, labels: Tensor | None = None) -> list[Truth]:
    """The truth of every image, in the data set's order.

    labels: (C of the data set,) int64, the label to use for each of the data set's classes; its own unless given.
    """
    return [
        Truth(
            boxes=dataset.boxes(index),
            labels=dataset.labels(index) if labels is None else labels[dataset.labels(index)],
            difficult=dataset.difficult(index),
            crowd=dataset.crowd(index),
            area=dataset.area(index),
        )
        for index in range(len(dataset))
    ]
