"""Shapes of a network's maps for an input of some size, found without computing anything."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vedette.parts.layers import on_meta

Call = Callable[[Any, Tensor], Mapping[str, Sequence[Tensor]]]


class Map(NamedTuple):
    """One map of one picture."""

    channels: int
    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows} × {self.columns}"


class _Called(nn.Module):
    """A part of a model's way as a module of its own."""

    def __init__(self, model: nn.Module, call: Call) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self, images: Tensor) -> Mapping[str, Sequence[Tensor]]:
        return self.call(self.model, images)


def maps_of(model: nn.Module, padded: tuple[int, int], call: Call) -> dict[str, list[Map]]:
    """The maps (B, C, H, W) that `call(model, images)` gives by name, for images of height and width `padded`."""
    with torch.no_grad():
        given = on_meta(_Called(model, call), torch.empty(1, 3, *padded, device="meta"))
    return {name: [Map(*x.shape[1:]) for x in maps] for name, maps in given.items()}
