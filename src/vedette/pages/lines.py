"""Several lines over one axis as SVG: told apart by colour, by dashes, and by the names in the page's legend."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, isfinite, log10

WIDTH, HEIGHT = 250, 184
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 8, 31  # margins around the axes
MOST_POINTS, MOST_DOTS = 200, 40
STYLES = 6  # of lines, by the class s0 … s5 in the page's style sheet

Points = Sequence[tuple[float, float | None]]
Range = tuple[float, float]


def lines_svg(
    lines: Sequence[Points],
    title: str,
    across: str,
    x: Range | None = None,
    y: Range | None = None,
    at: float | None = None,
    whole: bool = False,
    dots: bool = True,
) -> str:
    """Lines of points (x rising, y); y that is None or not finite parts a line in two.

    title: what is drawn, for those who hear the page; across: what the x axis is; x, y: ranges, by default those of the
    points; at: an x to mark, where it is within its range; whole: x counts things, and has no parts of one;
    dots: at each point of a line of few, else of a line of one alone.
    """
    known = [[(px, py) for px, py in points if py is not None and isfinite(py)] for points in lines]
    xs, ys = [px for points in known for px, _ in points], [py for points in known for _, py in points]
    frame = Frame(x or _range(xs), y or _range(ys))
    parts = [frame.grid(across, whole)]
    if at is not None and frame.x[0] <= at <= frame.x[1]:
        parts.append(f'<path class="at" d="M{frame.across(at):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
    for number, points in enumerate(lines):
        style = f"s{number % STYLES}"
        parts += [f'<path class="line {style}" d="{frame.path(piece)}"/>' for piece in _pieces(_thinned(points))]
        if len(known[number]) <= (MOST_DOTS if dots else 1):
            parts += [frame.dot(point, style) for point in known[number]]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


class Frame:
    """Where values lie in the picture."""

    def __init__(self, x: Range, y: Range) -> None:
        self.x, self.y = x, y

    def across(self, value: float) -> float:
        """Pixels from the left."""
        low, high = self.x
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def down(self, value: float) -> float:
        """Pixels from the top."""
        low, high = self.y
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """Straight from point to point."""
        return "M" + "L".join(f"{self.across(px):.1f} {self.down(py):.1f}" for px, py in points)

    def dot(self, point: tuple[float, float], style: str) -> str:
        """A point with its values; also what is left of a line of one."""
        px, py = point
        where = f'cx="{self.across(px):.1f}" cy="{self.down(py):.1f}"'
        return f'<circle class="{style}" {where} r="2"><title>{px:g}: {py:.4g}</title></circle>'

    def grid(self, across: str, whole: bool) -> str:
        """Lines, their values, and what the x axis is."""
        parts, bottom = [], HEIGHT - BOTTOM
        for step in range(5):
            value = self.y[0] + (self.y[1] - self.y[0]) * step / 4
            parts.append(f'<path d="M{LEFT} {self.down(value):.1f}H{WIDTH - RIGHT}"/>')
            parts.append(f'<text x="{LEFT - 5}" y="{self.down(value) + 3.5:.1f}" text-anchor="end">{value:.2g}</text>')
        for value in _ticks(*self.x, whole):
            parts.append(f'<path d="M{self.across(value):.1f} {TOP}V{bottom}"/>')
            parts.append(f'<text x="{self.across(value):.1f}" y="{bottom + 13}" text-anchor="middle">{value:g}</text>')
        parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" text-anchor="middle">{across}</text>')
        return f'<g class="grid">{"".join(parts)}</g>'


def _range(values: Sequence[float]) -> Range:
    """From the least to the most, never of no extent: half a value alone below and above it."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    half = abs(low) / 2 or 0.5
    return (low, high) if high > low else (low - half, high + half)


def _ticks(low: float, high: float, whole: bool) -> list[float]:
    """Up to seven round values within the range."""
    rough = (high - low) / 6
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
    step = max(step, 1.0) if whole else step
    return [step * count for count in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _thinned(points: Points) -> Points:
    """Some of very many, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    return [points[round(place * (len(points) - 1) / (MOST_POINTS - 1))] for place in range(MOST_POINTS)]


def _pieces(points: Points) -> list[list[tuple[float, float]]]:
    """The parts of a line between its gaps, those of a single point left out: dots show these."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for px, py in points:
        if py is None or not isfinite(py):
            pieces.append([])
        else:
            pieces[-1].append((px, py))
    return [piece for piece in pieces if len(piece) > 1]
