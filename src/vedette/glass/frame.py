"""The way from an input's pixels into the picture's."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from vedette.infer.look import in_frame
from vedette.ops.boxes import mirror
from vedette.structures import Detections


class Frame(NamedTuple):
    """An input and its picture."""

    shape: Tensor  # (2,) height and width of the input without its padding
    size: Tensor  # (2,) width and height of the picture
    mirrored: bool = False

    @property
    def scale(self) -> Tensor:
        """(2,) pixels of the picture to one of the input, across and down."""
        return self.size / self.shape.flip(0)

    def boxes(self, boxes: Tensor) -> Tensor:
        """(N, 4) in the picture's pixels, on the CPU, not cut at its border."""
        return self._upright(boxes.float().cpu()) * self.scale.repeat(2)

    def input_boxes(self, boxes: Tensor) -> Tensor:
        """The way back: (N, 4) of the picture in the input's pixels."""
        return self._upright(boxes / self.scale.repeat(2))

    def detections(self, found: Detections) -> Detections:
        """As `detect` gives them: cut at the border, without what lies outside."""
        return in_frame(replace(found, boxes=self._upright(found.boxes)), self.shape, self.size)

    def visible(self, boxes: Tensor) -> Tensor:
        """(N,) bool: which of the input's boxes (N, 4) `detections` leaves in."""
        rows = torch.arange(len(boxes))
        nothing = torch.zeros(len(boxes))
        left = self.detections(Detections(boxes=boxes.cpu(), scores=nothing, labels=rows, source=rows)).source
        return torch.zeros(len(boxes), dtype=torch.bool).index_fill(0, left, True)

    def _upright(self, boxes: Tensor) -> Tensor:
        return mirror(boxes, float(self.shape[1])) if self.mirrored else boxes
