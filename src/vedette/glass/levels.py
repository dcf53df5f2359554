"""The levels of an input's anchors: their grids, strides and shapes."""

from dataclasses import dataclass

from torch import Tensor

from vedette.ops.boxes import to_centers
from vedette.parts.anchors import Anchors


@dataclass(frozen=True, eq=False)
class Level:
    """One map's anchors, in the input's pixels."""

    first: int  # its first anchor
    rows: int
    columns: int
    per_cell: int
    stride: tuple[float, float]  # from cell to cell, across and down; of a single one the input's side
    shapes: Tensor  # (K, 2) width and height of the first cell's anchors

    @property
    def count(self) -> int:
        """Its anchors."""
        return self.rows * self.columns * self.per_cell


def levels_of(anchors: Anchors, padded: tuple[int, int]) -> list[Level]:
    """Fine to coarse; padded: height and width of the input."""
    levels, first = [], 0
    centers = to_centers(anchors.boxes.cpu())
    for (rows, columns), k in zip(anchors.grids, anchors.per_cell, strict=True):
        own = centers[first : first + rows * columns * k]
        way = (own[-k, :2] - own[0, :2]).tolist()  # from the first cell to the last
        across, down = (
            round(length / (cells - 1), 4) if cells > 1 else float(side)
            for length, cells, side in zip(way, (columns, rows), reversed(padded), strict=True)
        )
        levels.append(Level(first, rows, columns, k, (across, down), own[:k, 2:]))
        first += len(own)
    return levels
