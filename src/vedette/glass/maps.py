"""Shapes of a network's maps for an input of some size: one pass over a black picture.

On the meta device nothing would be computed, but it imports PyTorch's compiler, which takes longer than the pass.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

Call = Callable[[Any, Tensor], Mapping[str, Sequence[Tensor]]]


class Map(NamedTuple):
    """One map of one picture."""

    channels: int
    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows} × {self.columns}"


def maps_of(model: nn.Module, padded: tuple[int, int], call: Call) -> dict[str, list[Map]]:
    """The maps (B, C, H, W) that `call(model, images)` gives by name, for images of height and width `padded`."""
    device = next(model.parameters()).device
    with torch.inference_mode():
        given = call(model, torch.zeros(1, 3, *padded, device=device))
    return {name: [Map(*x.shape[1:]) for x in maps] for name, maps in given.items()}
