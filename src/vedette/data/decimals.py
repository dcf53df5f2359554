"""Boxes as the decimal numbers that an annotation gave them: 473.07 is kept as the float32 nearest to it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

Corners = tuple[Decimal, Decimal, Decimal, Decimal]


def decimals(boxes: NDArray[np.float32]) -> Iterator[Corners]:
    """The corners of each box (M, 4), the shortest that are read as these float32; sums and differences are exact."""
    for x1, y1, x2, y2 in boxes.astype(np.str_).tolist():
        yield Decimal(x1), Decimal(y1), Decimal(x2), Decimal(y2)


def written(value: Decimal) -> str:
    """A number without an exponent and without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
