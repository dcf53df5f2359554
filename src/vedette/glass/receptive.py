"""What of the input a cell of each level sees: its receptive field, measured on the network itself.

NaN goes through every layer, whatever its weights: a convolution, a ReLU, a pooling or an addition that sees one gives
one. So the input right of a line is filled with them, and the line moved until a cell begins, or ends, to see beyond
it; the same from the left, from above and from below. Exact for whatever layers there are, and for a level's coarser
maps that come back to it. It ends at the border of the input, and a layer that looks at the whole map sees all of it.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from vedette.parts.anchors import Anchors

Sees = Callable[[int], dict[str, Tensor]]  # a line → of each head (L,) bool: whether cells see something beyond it
LEFT, TOP, RIGHT, BOTTOM = (-1, True), (-2, True), (-1, False), (-2, False)  # an axis, and whether it is its low end


def receptive_fields(model: nn.Module, anchors: Anchors, padded: tuple[int, int]) -> dict[str, Tensor]:
    """(L, 4) of each head, by its name: what the middle cell of every level sees of an input of that height and width.

    Heads are "arm" and "odm" of RefineDet, "rpn" of two-stage detectors, else "head"; x1 y1 x2 y2 in pixels. It takes
    about 60 looks.
    """
    cells = _middle_anchors(anchors)
    sides = []
    for end in (LEFT, TOP, RIGHT, BOTTOM):
        sees = cache(partial(_sees_beyond, model, cells, padded, end))
        size = padded[end[0]]
        heads = sees(size // 2)
        sides.append({head: [_edge(sees, head, level, end, size) for level in range(len(cells))] for head in heads})
    return {head: torch.tensor([side[head] for side in sides]).T for head in sides[0]}


def _middle_anchors(anchors: Anchors) -> list[int]:
    """The first anchor of each level's middle cell."""
    first, found = 0, []
    for (rows, columns), k, count in zip(anchors.grids, anchors.per_cell, anchors.counts, strict=True):
        found.append(first + (rows // 2 * columns + columns // 2) * k)
        first += count
    return found


def _edge(sees: Sees, head: str, level: int, end: tuple[int, bool], size: int) -> float:
    """The line beyond which the level's cell sees nothing, by bisection."""
    blind, seen = (0, size) if end[1] else (size, 0)
    while abs(seen - blind) > 1:
        line = (seen + blind) // 2
        if bool(sees(line)[head][level]):
            seen = line
        else:
            blind = line
    return float(blind)


def _sees_beyond(
    model: nn.Module, cells: list[int], padded: tuple[int, int], end: tuple[int, bool], line: int
) -> dict[str, Tensor]:
    """Of each head (L,) bool: whether the cells see something of the pixels before the line, or from it on."""
    axis, low = end
    image = torch.zeros(1, 3, *padded, device=next(model.parameters()).device)
    beyond = image.narrow(axis, 0, line) if low else image.narrow(axis, line, padded[axis] - line)
    beyond.fill_(torch.nan)
    with torch.inference_mode():
        predictions: Any = model(image.contiguous(memory_format=torch.channels_last))
    names = [name for name in ("arm", "odm", "rpn") if getattr(predictions, name, None) is not None]
    logits = {name: getattr(predictions, name).logits for name in names} or {"head": predictions.logits}
    return {name: own[0, cells].isnan().any(-1).cpu() for name, own in logits.items()}
