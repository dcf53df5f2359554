"""Whole images with their proposals, for training the detectors that are given both.

Images keep their shape: the short side is resized, nothing is cut. Shapes: `G` boxes and `N` proposals of one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from vedette.data.loader import AnnotatedImages, Difficult, Draw, UnreadableImage
from vedette.errors import InputError
from vedette.ops.boxes import clip, mirror
from vedette.ops.images import to_input
from vedette.structures import InputSpec, Target


@dataclass(frozen=True, eq=False)
class WholeImage:
    """One image as the model sees it."""

    image: Tensor  # (3, H, W) uint8
    target: Target  # in pixels of `image`
    proposals: Tensor  # (N, 4) likewise
    index: int
    file: str


class WholeImages(TorchDataset[WholeImage]):
    """The images of a data set by the spec of a model, with proposals given in the pixels of the annotated boxes.

    Takes an index, or a `Draw`, whose seed decides whether the image is mirrored. difficult as in `DetectionDataset`.

    Raises UnreadableImage (an InputError).
    """

    def __init__(
        self, dataset: AnnotatedImages, spec: InputSpec, proposals: Sequence[Tensor], difficult: Difficult = "ignore"
    ) -> None:
        self.dataset, self.spec, self.proposals, self.difficult = dataset, spec, proposals, difficult

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, item: int | Draw) -> WholeImage:
        index = item.index if isinstance(item, Draw) else item
        try:
            picture = self.dataset.image(index)
        except InputError as error:
            raise UnreadableImage(str(error)) from error
        image = to_input(picture, self.spec)
        height, width = image.shape[1:]
        size = self.dataset.size(index)
        scale = (torch.tensor([width, height]) / torch.tensor(size if all(size) else picture.size)).repeat(2)
        boxes, proposals = clip(self.dataset.boxes(index) * scale, width, height), self.proposals[index] * scale
        if isinstance(item, Draw) and item.seed % 2:
            image, boxes, proposals = image.flip(-1), mirror(boxes, width), mirror(proposals, width)
        crowd, difficult = self.dataset.crowd(index), self.dataset.difficult(index)
        ignore = crowd | difficult if self.difficult == "ignore" else crowd
        seen = (boxes[:, 2:] > boxes[:, :2]).all(1)
        target = Target(boxes[seen], self.dataset.labels(index)[seen], ignore[seen])
        return WholeImage(image, target, proposals, index, str(self.dataset.file(index)))


def as_list(samples: Any) -> Any:
    """Images of different sizes stay a list."""
    return samples
