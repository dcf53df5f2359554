"""What the pictures of the Learn pages are drawn with: SVG on white, photographs inside, panels side by side.

Lines are told apart by dashes and width as well as by colour; the colours are Okabe and Ito's, which the colour-blind
can tell apart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from PIL import Image

from vedette.pages.embed import jpeg_uri

Box = Sequence[float]  # x1 y1 x2 y2
Point = tuple[float, float]

BLUE, ORANGE, RED, GREEN, PURPLE = "#0072b2", "#e69f00", "#d55e00", "#009e73", "#cc79a7"
INK, GREY = "#1d2733", "#8a949e"
WIDTH = 640  # of every picture, in its own units
RIM = 8  # white around it
GAP = 16
TITLE = 26  # height of a panel's title
SIZE = 16  # of letters
QUALITY = 62  # of photographs
DASHES = {"solid": "", "dashed": "9 5", "dotted": "2 5"}


@dataclass
class Canvas:
    """One picture: marks one after another; y grows downwards."""

    height: float
    title: str  # for those who do not see it
    marks: list[str] = field(default_factory=list)
    defs: dict[str, str] = field(default_factory=dict)

    def add(self, tag: str, content: str = "", **attributes: Any) -> None:
        """One element; an underscore in an attribute's name stands for a hyphen."""
        given = {name.replace("_", "-"): _short(value) for name, value in attributes.items() if value != ""}
        text = " ".join(f'{name}="{value}"' for name, value in given.items())
        self.marks.append(f"<{tag} {text}>{content}</{tag}>" if content else f"<{tag} {text}/>")

    def text(self, at: Point, words: str, **style: Any) -> None:
        """Words whose base line begins at a point."""
        style = {"x": at[0], "y": at[1], "font_size": SIZE, "fill": INK} | style
        self.add("text", escape(words), **style)

    def box(
        self,
        box: Box,
        colour: str = BLUE,
        width: float = 2.5,
        line: str = "solid",
        *,
        halo: bool = True,
        fill: str = "none",
        **style: Any,
    ) -> None:
        """A box whose outline a halo keeps visible on bright and on dark ground; of no width: its filling alone."""
        x1, y1, x2, y2 = box
        place = {"x": x1, "y": y1, "width": max(x2 - x1, 0.0), "height": max(y2 - y1, 0.0)}
        if halo:
            self.add("rect", **place, fill="none", stroke="#fff", stroke_width=width + 2, stroke_opacity=0.75)
        if width:
            style |= {"stroke": colour, "stroke_width": width, "stroke_dasharray": DASHES[line]}
        self.add("rect", **place, fill=fill, **style)

    def line(
        self, start: Point, end: Point, colour: str = INK, width: float = 1.5, line: str = "solid", **style: Any
    ) -> None:
        """From one point to another."""
        place = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
        self.add("line", **place, stroke=colour, stroke_width=width, stroke_dasharray=DASHES[line], **style)

    def arrow(self, start: Point, end: Point, colour: str = INK, width: float = 2) -> None:
        """A line with a head."""
        name = f"head{colour[1:]}"
        self.defs[name] = (
            f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" markerHeight="5" '
            f'orient="auto"><path d="M0 0 8 4 0 8z" fill="{colour}"/></marker>'
        )
        self.line(start, end, "#fff", width + 2, stroke_opacity=0.75)
        self.line(start, end, colour, width, marker_end=f"url(#{name})")

    def dot(self, at: Point, radius: float, colour: str, **style: Any) -> None:
        """A filled circle."""
        self.add("circle", cx=at[0], cy=at[1], r=radius, fill=colour, **style)

    def path(self, points: Iterable[Point], colour: str, width: float = 2.5, line: str = "solid") -> None:
        """A line through points."""
        way = " ".join(f"{'L' if i else 'M'}{_short(x)} {_short(y)}" for i, (x, y) in enumerate(points))
        self.add("path", d=way, fill="none", stroke=colour, stroke_width=width, stroke_dasharray=DASHES[line])

    def svg(self) -> str:
        """The whole file."""
        defs = f"<defs>{''.join(self.defs.values())}</defs>" if self.defs else ""
        body = "\n".join(self.marks)
        frame = f"{-RIM} {-RIM} {WIDTH + 2 * RIM} {_short(self.height + 2 * RIM)}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{frame}" role="img" '
            f'font-family="system-ui, sans-serif">\n<title>{escape(self.title)}</title>\n'
            f'<rect x="{-RIM}" y="{-RIM}" width="100%" height="100%" fill="#fff"/>\n{defs}\n{body}\n</svg>\n'
        )


@dataclass(frozen=True)
class Panel:
    """A part of a canvas that shows a picture of some size; points are given in that picture's pixels."""

    canvas: Canvas
    left: float
    top: float
    scale: float  # units of the canvas a pixel
    size: tuple[float, float]  # of the picture, width and height

    def at(self, x: float, y: float) -> Point:
        """A pixel's place on the canvas."""
        return self.left + x * self.scale, self.top + y * self.scale

    def placed(self, box: Box) -> Box:
        """A box's place on the canvas."""
        return (*self.at(box[0], box[1]), *self.at(box[2], box[3]))

    def cut(self, box: Box) -> Box:
        """A box's place on the canvas, cut a little outside of the panel, so that one sees that it goes on."""
        (width, height), rim = self.size, 3 / self.scale
        x1, y1, x2, y2 = box
        return self.placed((max(x1, -rim), max(y1, -rim), min(x2, width + rim), min(y2, height + rim)))

    def grid(self, step: Point, colour: str = "#fff", width: float = 1, opacity: float = 0.8) -> None:
        """Lines every so many pixels across and down."""
        (wide, high), style = self.size, {"stroke_opacity": opacity}
        for n in range(1, round(wide / step[0])):
            self.canvas.line(self.at(n * step[0], 0), self.at(n * step[0], high), colour, width, **style)
        for n in range(1, round(high / step[1])):
            self.canvas.line(self.at(0, n * step[1]), self.at(wide, n * step[1]), colour, width, **style)

    def label(self, at: Point, words: str) -> None:
        """Words on a dark plate whose lower left corner is at a pixel, moved into the panel."""
        wide = 8.3 * len(words) + 8
        x, y = self.at(*at)
        x = min(x, self.left + self.size[0] * self.scale - wide)
        y = max(y, self.top + 20)
        self.canvas.box((x, y - 20, x + wide, y), width=0, halo=False, fill=INK)
        self.canvas.text((x + 4, y - 5), words, font_size=14, fill="#fff")


def panels(canvas: Canvas, titles: Sequence[str], size: tuple[float, float], columns: int) -> list[Panel]:
    """Panels of one size in rows of `columns`, each under its title; size: of the picture that each shows."""
    wide = (WIDTH - GAP * (columns - 1)) / columns
    scale = wide / size[0]
    made = []
    for number, title in enumerate(titles):
        row, column = divmod(number, columns)
        left, above = column * (wide + GAP), row * (TITLE + size[1] * scale + GAP)
        canvas.text((left, above + TITLE - 9), title, font_weight=600)
        made.append(Panel(canvas, left, above + TITLE, scale, size))
    return made


def panels_height(count: int, size: tuple[float, float], columns: int) -> float:
    """Of so many panels, in units of a canvas."""
    wide = (WIDTH - GAP * (columns - 1)) / columns
    rows = -(-count // columns)
    return rows * (TITLE + size[1] * wide / size[0] + GAP) - GAP


def show(panel: Panel, picture: Image.Image, name: str = "photo", pixels: int = 400) -> None:
    """Lays a picture into a panel; one of the same name is stored once in a canvas."""
    wide, high = panel.size[0] * panel.scale, panel.size[1] * panel.scale
    if name not in panel.canvas.defs:
        panel.canvas.defs[name] = (
            f'<image id="{name}" width="{_short(wide)}" height="{_short(high)}" preserveAspectRatio="none" '
            f'href="{jpeg_uri(picture, pixels, QUALITY)}"/>'
        )
    panel.canvas.add("use", href=f"#{name}", x=panel.left, y=panel.top)


def _short(value: Any) -> str:
    """A float with two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
