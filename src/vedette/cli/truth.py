"""vedette explain IMAGE --data: the ground truth of a picture, found among the annotated ones by its file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vedette.cli.annotated import read_annotated, tell_left_out
from vedette.data.findings import shown
from vedette.data.values import counted
from vedette.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from vedette.data.annotations import Dataset
    from vedette.structures import Target


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The annotated pictures that `--data` names."""

    dataset: Dataset
    named: str  # as the command line has them

    @cached_property
    def _rows(self) -> dict[str, int]:
        """By the real paths of the files."""
        return {os.path.realpath(self.dataset.file(index)): index for index in range(len(self.dataset))}

    def files(self, images: Sequence[str]) -> list[str]:
        """The images, those that are no path but the name of an annotated picture as that picture's path."""
        by_name = {Path(path).name: path for path in self._rows}
        return [image if os.path.lexists(image) else by_name.get(image, image) for image in images]

    def picture(self, file: Path) -> Image.Image:
        """The picture in the frame of its boxes; raises InputError for one that is not annotated, or cannot be read."""
        return self.dataset.image(self._row(file))

    def target(self, file: Path, model: str, classes: Sequence[str] | None) -> Target:
        """What is annotated, in pixels of `picture` and in the model's classes; difficult ones and crowds are ignored.

        Boxes of classes that the model does not know are left out, and told. Raises InputError for weights without
        classes, and where the model knows none of the picture's.
        """
        from torch import from_numpy

        from vedette.data.windows import map_boxes
        from vedette.evaluate.measure import known_labels_for
        from vedette.structures import Target

        if classes is None:
            raise InputError(f"{model}: the weights name no classes, so they cannot be matched with those of the data")
        index = self._row(file)
        one = self.dataset.part([index])
        try:
            known, unknown = known_labels_for(one, classes)
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
        tell_left_out(f"{file}, {model}: ", unknown)
        labels, size = known[one.labels(0)], self.picture(file).size
        frame = self.dataset.size(index) if all(self.dataset.size(index)) else size
        boxes = from_numpy(map_boxes(one.boxes(0).numpy(), window=(0.0, 0.0, *frame), size=size, flip=False))
        seen = (boxes[:, 2:] > boxes[:, :2]).all(1) & (labels >= 0)  # what lies outside is on no picture
        return Target(boxes[seen], labels[seen], (one.difficult(0) | one.crowd(0))[seen])

    def _row(self, file: Path) -> int:
        row = self._rows.get(os.path.realpath(file))
        if row is None:
            pictures = counted(len(self.dataset), "picture")
            raise InputError(
                shown(f"{file}: not among the {pictures} of --data {self.named}; name one of them, or leave --data out")
            )
        return row


def read_truth(sources: Sequence[str]) -> GroundTruth:
    """What `--data` names; raises InputError for what cannot be read."""
    return GroundTruth(read_annotated(sources), ", ".join(sources))
