"""Tables as plain text, which a pipe and a narrow terminal take too."""

from __future__ import annotations

from collections.abc import Sequence

GAP = "  "


def table_lines(rows: Sequence[Sequence[object]]) -> list[str]:
    """The rows with their columns aligned: the first to the left, the others, which are numbers, to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in cells]
    return [GAP.join(row).rstrip() for row in aligned]
