"""Painted images that several trainings learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Painted:
    """A grey picture with one rectangle."""

    size: tuple[int, int]
    box: tuple[int, int, int, int]
    label: int
    colour: tuple[int, int, int]


class PaintedImages:
    """Such pictures as vedette.data.annotations.Dataset gives them, annotated at `frame` times their size."""

    def __init__(self, pictures: Sequence[Painted], frame: int = 1) -> None:
        self.pictures, self.frame = pictures, frame

    def __len__(self) -> int:
        return len(self.pictures)

    def file(self, index: int) -> Path:
        return Path(f"painted{index}.jpg")

    def size(self, index: int) -> tuple[int, int]:
        width, height = self.pictures[index].size
        return self.frame * width, self.frame * height

    def boxes(self, index: int) -> Tensor:
        return self.frame * torch.tensor([self.pictures[index].box], dtype=torch.float32)

    def labels(self, index: int) -> Tensor:
        return torch.tensor([self.pictures[index].label])

    def difficult(self, index: int) -> Tensor:
        return torch.tensor([False])

    def crowd(self, index: int) -> Tensor:
        return torch.tensor([False])

    def image(self, index: int) -> Image.Image:
        picture = self.pictures[index]
        image = Image.new("RGB", picture.size, (90, 90, 90))
        image.paste(picture.colour, picture.box)
        return image
