"""Diagrams of networks as SVG: maps as blocks, layers as plates, arrows between them, and steps that can be opened.

Colours are the page's own variables where it has some; else they follow the reader's light or dark scheme. Nothing has
an id, so two diagrams may stand on one page. Lengths are the SVG's units: 460 of them go into a phone's width.
"""

from collections.abc import Sequence
from html import escape
from math import hypot, sqrt

WIDTH = 460
LINE = 16  # from one line of text to the next
HEAD = 7  # an arrow's
LIGHT = {
    "ink": "#1d2329", "soft": "#5b6573", "line": "#dfe4ea", "paper": "#fff", "blue": "#1f5fbf",
    "s0": "#0067a5", "s1": "#b84a00", "s2": "#00795a", "s3": "#a3427f", "s5": "#444c56",
}  # fmt: skip
DARK = {
    "ink": "#e6e9ed", "soft": "#a4adb8", "line": "#363d46", "paper": "#1c2128", "blue": "#79aaf5",
    "s0": "#6cb6ee", "s1": "#f0995c", "s2": "#4fcb9f", "s3": "#e29aca", "s5": "#c3cad3",
}  # fmt: skip
RULES = (
    ".sketch{max-width:100%;height:auto;font:13px system-ui,'Segoe UI',sans-serif}"
    ".sketch text{fill:var(--v-ink)}.sketch .soft{fill:var(--v-soft)}.sketch .strong{font-weight:600}"
    ".sketch .count{font-variant-numeric:tabular-nums}.sketch .ground{fill:var(--v-paper)}"
    ".sketch .face{stroke-width:1.2;stroke-linejoin:round}.sketch .under{fill:var(--v-paper)}"
    ".sketch .arrow{fill:none;stroke:var(--v-soft);stroke-width:1.4;stroke-linejoin:round}"
    ".sketch .head{fill:var(--v-soft);stroke:none}.sketch .rule{stroke:var(--v-line);fill:none}"
    ".sketch .track{fill:none;stroke:var(--v-soft);stroke-dasharray:3 2.5}.sketch .bar{fill:var(--v-blue)}"
    ".sketch .hit{fill:transparent}.sketch .step{cursor:pointer}"
    ".sketch .step:hover .face,.sketch .step:hover .track{stroke-width:2.4}"
    ".sketch .step:focus{outline:none}.sketch .step:focus-visible{outline:3px solid var(--v-blue);outline-offset:2px}"
    ".sketch .step[aria-pressed=true] .face,.sketch .step[aria-current] .face{stroke-width:3}"
    ".sketch .region{fill:none;stroke:var(--v-s1);stroke-width:2.4;stroke-dasharray:6 3}"
    ".sketch .thin{fill:none;stroke:#fff;stroke-width:.8;stroke-opacity:.85}"
    ".sketch .halo{fill:none;stroke:var(--v-paper);stroke-width:4.5}"
)
KINDS = {"backbone": "s5", "first": "s0", "second": "s1", "between": "s2", "other": "s3"}


def sketch(content: str, height: float, label: str) -> str:
    """The whole: content of that height; label says what it is to those who hear the page."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="sketch" viewBox="0 0 {WIDTH} {height:g}" role="group"'
    ground = '<rect class="ground" width="100%" height="100%"/>'
    return f'{head} aria-label="{escape(label)}"><style>{_style()}</style>{ground}{content}</svg>'


def step(name: str, title: str, came: int, went: int, content: str) -> str:
    """A part that opens a step, with how many came in and went on."""
    says = escape(f"{title}: {came:,} in, {went:,} on")
    attributes = f'data-step="{escape(name)}" data-in="{came}" data-out="{went}" tabindex="0" role="button"'
    return f'<g class="step" {attributes} aria-label="{says}"><title>{says}</title>{content}</g>'


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "middle", size: float = 0) -> str:
    """Words whose base line is y."""
    sized = f' font-size="{size:g}"' if size else ""
    classes = f' class="{kind}"' if kind else ""
    return f'<text{classes} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{sized}>{escape(words)}</text>'


def lines(x: float, y: float, words: Sequence[str], kind: str = "", anchor: str = "middle", size: float = 0) -> str:
    """Lines of words, the first one's base line at y."""
    return "".join(text(x, y + number * LINE, line, kind, anchor, size) for number, line in enumerate(words))


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Of a class that the style sheet knows."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def plate(x: float, y: float, width: float, height: float, kind: str, words: Sequence[str] = ()) -> str:
    """A layer or a module: a rounded plate with its name, the first line strong."""
    top = y + height / 2 - LINE * (len(words) - 1) / 2 + 4.5
    written = "".join(
        text(x + width / 2, top + number * LINE, line, "" if number else "strong") for number, line in enumerate(words)
    )
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"'
    return f'<rect class="under" {shape}/><rect class="face {kind}" {shape}/>{written}'


def block(x: float, bottom: float, size: tuple[float, float, float], kind: str) -> str:
    """A map as a block around x: width, height and depth in units, standing on `bottom`."""
    width, height, depth = size
    shift = depth * 0.6
    left, top = x - (width + shift) / 2, bottom - height
    right = left + width
    front = f"M{left:.1f} {bottom:.1f}V{top:.1f}H{right:.1f}V{bottom:.1f}Z"
    lid = f"M{left:.1f} {top:.1f}l{shift:.1f} {-shift:.1f}h{width:.1f}L{right:.1f} {top:.1f}Z"
    side = f"M{right:.1f} {top:.1f}l{shift:.1f} {-shift:.1f}v{height:.1f}L{right:.1f} {bottom:.1f}Z"
    faces = "".join(
        f'<path class="face {kind}{shade}" d="{d}"/>' for d, shade in ((front, ""), (lid, " l"), (side, " d"))
    )
    return f'<path class="under" d="{front}{lid}{side}"/>{faces}'


def block_size(columns: int, rows: int, channels: int, largest: float, cells: int) -> tuple[float, float, float]:
    """Width, height and depth of a map's block: roots of its sides and channels; `cells` a side are `largest`."""
    unit = largest / sqrt(cells)
    return max(5.0, sqrt(columns) * unit), max(5.0, sqrt(rows) * unit), 3 + sqrt(channels) / 2.4


def arrow(*points: tuple[float, float], kind: str = "") -> str:
    """A line through the points, with a head at the last."""
    (x1, y1), (x2, y2) = points[-2:]
    length = hypot(x2 - x1, y2 - y1) or 1.0
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    bx, by = x2 - HEAD * dx, y2 - HEAD * dy
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (*points[:-1], (bx, by)))
    head = f"M{x2:.1f} {y2:.1f}L{bx - 3.2 * dy:.1f} {by + 3.2 * dx:.1f}L{bx + 3.2 * dy:.1f} {by - 3.2 * dx:.1f}Z"
    return f'<path class="arrow {kind}" d="{path}"/><path class="head {kind}" d="{head}"/>'


def picture(x: float, y: float, width: float, height: float, uri: str) -> str:
    """A photograph, given as a data URI."""
    frame = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    image = f'<image {frame} href="{uri}" preserveAspectRatio="none"/>'
    return f'{image}<rect class="rule" {frame}/>'


def _style() -> str:
    faces = "".join(
        f".sketch .{kind}{{fill:var(--v-{name});stroke:var(--v-{name});fill-opacity:.17}}"
        f".sketch .{kind}.l{{fill-opacity:.08}}.sketch .{kind}.d{{fill-opacity:.32}}"
        for kind, name in KINDS.items()
    )
    dark = f"@media(prefers-color-scheme:dark){{.sketch{{{_variables(DARK)}}}}}"
    return f".sketch{{{_variables(LIGHT)}}}{RULES}{faces}{dark}"


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--v-{name}:var(--{name},{colour});" for name, colour in colours.items())
