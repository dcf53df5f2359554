"""Marks on a photograph as SVG: boxes told apart by line and dash, points by shape, arrows, cells of a map.

What goes on is solid, what is left behind dashed or crossed out, so colour is never needed to tell them apart. Every
line has a dark one under it, to show on bright and on dark ground. Nothing has an id.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from textwrap import wrap

from PIL import Image

from vedette.pages.embed import jpeg_uri
from vedette.pages.sketch import HEAD, text

WIDTH = 640  # units of the whole
MARGIN, GAP = 16, 14
HEADING, LINE = 22, 24  # a title's letters, and from one line below the pictures to the next
LETTERS = 66  # of a line below the pictures
MOST_PIXELS = 900  # of a picture's longer side
SHADES = 8  # of a heat map
CAPTION = 22  # height of a caption

Box = Sequence[float]
Point = tuple[float, float]
RULES = (
    ".marks{max-width:100%;height:auto;font:17px system-ui,'Segoe UI',sans-serif}"
    ".marks text{fill:var(--ink,#1d2329)}.marks .soft{fill:var(--soft,#5b6573)}.marks .strong{font-weight:600}"
    ".marks .ground{fill:var(--paper,#fff)}"
    "@media(prefers-color-scheme:dark){.marks text{fill:var(--ink,#e6e9ed)}.marks .soft{fill:var(--soft,#a4adb8)}"
    ".marks .ground{fill:var(--paper,#1c2128)}}"
    ".marks .b,.marks .u,.marks .l{fill:none;stroke-linejoin:round}.marks .u{stroke:#000;opacity:.62}"
    ".marks .on{stroke:#ffb000;stroke-width:2.6}.marks .off{stroke:#fff;stroke-width:1.8;stroke-dasharray:6 5}"
    ".marks .from{stroke:#7cc4ff;stroke-width:2.4;stroke-dasharray:2 4;stroke-linecap:round}"
    ".marks .gt{stroke:#fff;stroke-width:4}.marks .best{stroke:#ff8ad4;stroke-width:2.6;stroke-dasharray:12 4 2 4}"
    ".marks .l{stroke:#fff;stroke-width:1.5}.marks .line{stroke:#fff;stroke-width:.7;fill:none;stroke-opacity:.75}"
    ".marks .dot{stroke:#ffb000;stroke-width:5;stroke-linecap:round;fill:none}"
    ".marks .rim{stroke:#000;stroke-width:7;stroke-linecap:round;fill:none;opacity:.6}"
    ".marks .cross{stroke:#fff;stroke-width:1.3;fill:none}.marks .dark{stroke:#000;stroke-width:3;fill:none;opacity:.5}"
    ".marks .head{fill:#fff;stroke:#000;stroke-width:.6}.marks .cell{fill:#ffb000}.marks .plate{fill:#14181d}"
    ".marks .plate+text{fill:#fff;font-size:15px;font-weight:600}"
)
UNDER = {"on": 5, "off": 4, "from": 5, "gt": 7, "best": 5}  # the dark line's width


@dataclass(frozen=True)
class Canvas:
    """A picture shown so many units wide; what is drawn is given in its pixels."""

    size: tuple[int, int]
    width: float

    @property
    def scale(self) -> float:
        """Units to a pixel."""
        return self.width / self.size[0]

    @property
    def height(self) -> float:
        """In units."""
        return self.size[1] * self.scale

    def box(self, box: Box, kind: str) -> str:
        """kind: "on" stays, "off" is left behind, "from" is where a move begins, "gt" an object, "best" its anchor."""
        x1, y1, x2, y2 = (side * self.scale for side in box)
        shape = f'x="{x1:.1f}" y="{y1:.1f}" width="{max(x2 - x1, 0):.1f}" height="{max(y2 - y1, 0):.1f}"'
        return f'<rect class="u" {shape} stroke-width="{UNDER[kind]}"/><rect class="b {kind}" {shape}/>'

    def captions(self, captions: Iterable[tuple[Point, str]]) -> str:
        """Words on plates above corners, within the picture; one that would cover an earlier one is left out."""
        parts, placed = [], list[tuple[float, float, float]]()
        for corner, words in captions:
            wide = 8.6 * len(words) + 10
            x = min(max(corner[0] * self.scale, 0), max(self.width - wide, 0))
            y = min(max(corner[1] * self.scale - CAPTION, 0), self.height - CAPTION)
            if any(abs(y - other) < CAPTION and x < right and x + wide > left for left, other, right in placed):
                continue
            placed.append((x, y, x + wide))
            parts.append(f'<rect class="plate" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="21" rx="3"/>')
            parts.append(f'<text x="{x + 5:.1f}" y="{y + 15.5:.1f}">{escape(words)}</text>')
        return "".join(parts)

    def arrow(self, start: Point, end: Point) -> str:
        """A move, from point to point; nothing where it is shorter than its head."""
        (x1, y1), (x2, y2) = ((x * self.scale, y * self.scale) for x, y in (start, end))
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        if length < HEAD:
            return ""
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        bx, by = x2 - HEAD * dx, y2 - HEAD * dy
        shaft = f"M{x1:.1f} {y1:.1f}L{bx:.1f} {by:.1f}"
        head = f"M{x2:.1f} {y2:.1f}L{bx - 3.4 * dy:.1f} {by + 3.4 * dx:.1f}L{bx + 3.4 * dy:.1f} {by - 3.4 * dx:.1f}Z"
        line = f'<path class="u" stroke-width="3.4" d="{shaft}"/><path class="l" d="{shaft}"/>'
        return f'{line}<path class="head" d="{head}"/>'

    def line(self, start: Point, end: Point) -> str:
        """From one box to the one that it belongs to."""
        (x1, y1), (x2, y2) = ((x * self.scale, y * self.scale) for x, y in (start, end))
        return f'<path class="line" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'

    def dots(self, points: Iterable[Point]) -> str:
        """Round points."""
        d = "".join(f"M{x * self.scale:.0f} {y * self.scale:.0f}h.1" for x, y in points)
        return f'<path class="rim" d="{d}"/><path class="dot" d="{d}"/>' if d else ""

    def crosses(self, points: Iterable[Point]) -> str:
        """Crosses: ×."""
        d = "".join(f"M{x * self.scale - 3:.0f} {y * self.scale - 3:.0f}l6 6m0-6l-6 6" for x, y in points)
        return f'<path class="dark" d="{d}"/><path class="cross" d="{d}"/>' if d else ""

    def grid(self, rows: int, columns: int, step: Point) -> str:
        """Lines between cells of that width and height in pixels."""
        wide, high = step[0] * self.scale, step[1] * self.scale
        across = "".join(f"M{wide * column:.1f} 0V{high * rows:.1f}" for column in range(columns + 1))
        down = "".join(f"M0 {high * row:.1f}H{wide * columns:.1f}" for row in range(rows + 1))
        return f'<path class="line" d="{across}{down}"/>'

    def heat(self, values: Sequence[Sequence[float]], step: Point, most: float) -> str:
        """Cells the more opaque the nearer their value is to `most`, in a few shades."""
        wide, high = step[0] * self.scale, step[1] * self.scale
        shades: list[list[str]] = [[] for _ in range(SHADES + 1)]
        for row, line in enumerate(values):
            column = 0
            for shade, cells in groupby(min(SHADES, round(SHADES * value / max(most, 1e-12))) for value in line):
                count = len(list(cells))
                across = f"h{count * wide:.1f}v{high:.1f}h-{count * wide:.1f}z"
                shades[shade].append(f"M{column * wide:.1f} {row * high:.1f}{across}")
                column += count
        drawn = enumerate(shades[1:], 1)
        return "".join(
            f'<path class="cell" fill-opacity="{0.85 * number / SHADES:.2f}" d="{"".join(d)}"/>'
            for number, d in drawn
            if d
        )


@dataclass(frozen=True)
class Panel:
    """One picture with what is drawn on it and said above it."""

    title: str
    content: str


def canvas_of(picture: Image.Image, panels: int = 1) -> Canvas:
    """For so many panels of a picture: one alone is as wide as the whole, more stand in two columns."""
    width = WIDTH - 2 * MARGIN if panels == 1 else (WIDTH - 2 * MARGIN - GAP) / 2
    return Canvas(picture.size, width if panels > 1 else min(width, 760 * picture.width / picture.height))


def overlay(picture: Image.Image, title: str, panels: Sequence[Panel], said: Sequence[str]) -> str:
    """The whole: a title, panels, and lines of words below them."""
    canvas, columns = canvas_of(picture, len(panels)), 1 if len(panels) == 1 else 2
    uri = jpeg_uri(picture, min(MOST_PIXELS, round(1.5 * max(canvas.width, canvas.height))))
    top, parts = MARGIN + HEADING, [text(MARGIN, MARGIN + 16, title, "strong", "start", HEADING - 2)]
    row_height = canvas.height + (LINE if columns > 1 else 0) + GAP
    for number, panel in enumerate(panels):
        x = MARGIN + number % columns * (canvas.width + GAP)
        y = top + 10 + number // columns * row_height
        if columns > 1:
            parts.append(text(x, y + 14, panel.title, "soft", "start", 16))
            y += LINE - 4
        parts.append(_panel(canvas, x, y, uri, panel))
    end = top + 10 + -(-len(panels) // columns) * row_height
    words = [line for sentence in said for line in wrap(sentence, LETTERS)]
    parts += [text(MARGIN, end + 12 + LINE * number, line, "", "start") for number, line in enumerate(words)]
    height = end + LINE * len(words) + MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="marks" viewBox="0 0 {WIDTH} {height:.0f}" role="img"'
    ground = '<rect class="ground" width="100%" height="100%"/>'
    return f'{head} aria-label="{escape(title)}"><style>{RULES}</style>{ground}{"".join(parts)}</svg>'


def _panel(canvas: Canvas, x: float, y: float, uri: str, panel: Panel) -> str:
    frame = f'x="{x:.1f}" y="{y:.1f}" width="{canvas.width:.1f}" height="{canvas.height:.1f}"'
    view = f'viewBox="0 0 {canvas.width:.1f} {canvas.height:.1f}"'
    image = f'<image width="{canvas.width:.1f}" height="{canvas.height:.1f}" href="{uri}" preserveAspectRatio="none"/>'
    return f"<svg {frame} {view}>{image}{panel.content}</svg>"
