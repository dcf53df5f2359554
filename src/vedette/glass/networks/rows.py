"""What figures with their maps side by side are made of: the picture, rows of maps, arrows from map to map, heads."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from vedette.glass.maps import Map
from vedette.glass.phrases import many, plain
from vedette.glass.scene import MARGIN, Scene
from vedette.pages.embed import jpeg_uri
from vedette.pages.sketch import LINE, WIDTH, arrow, block, block_size, lines, picture, plate, text

LEFT, RIGHT = 112.0, WIDTH - 40.0  # where maps stand; on the left is the picture, on the right what passes them by
LARGEST = 42  # side of the largest map's front
THUMB = 82
PLATE = 40  # a head's height
Marks = Callable[[float, float, float, float], str] | None  # left, top, width and height of the picture → SVG


class Drawn(NamedTuple):
    """SVG, and where it ends."""

    content: str
    end: float


def columns(count: int, left: float = LEFT, right: float = RIGHT) -> list[float]:
    """The middles of `count` columns."""
    wide = (right - left) / count
    return [left + wide * (number + 0.5) for number in range(count)]


def size_of(one: Map, maps: Sequence[Map]) -> tuple[float, float, float]:
    """Width, height and depth of a map's block beside those of the others."""
    most = max(max(other.rows, other.columns) for other in maps)
    return block_size(one.columns, one.rows, one.channels, LARGEST, most)


def top_of(one: Map, maps: Sequence[Map], floor: float) -> float:
    """Where a block ends that stands on `floor`, its lid included."""
    _, high, deep = size_of(one, maps)
    return floor - high - 0.6 * deep


def row(
    maps: Sequence[Map],
    places: Sequence[float],
    floor: float,
    kind: str,
    said: Sequence[Sequence[str]],
    beside: Sequence[Map] = (),
    size: float = 0,
) -> str:
    """Maps side by side, and what is said of each below it.

    beside: all that they are to be compared with; size: of the letters, if not as usual.
    """
    parts, scale = [], beside or maps
    for one, x, words in zip(maps, places, said, strict=True):
        parts += [block(x, floor, size_of(one, scale), kind), lines(x, floor + LINE, words, "count", size=size)]
    return "".join(parts)


def onward(maps: Sequence[Map], places: Sequence[float], y: float) -> str:
    """Arrows from each map to the next, coarser one."""
    wide = [wide + 0.6 * deep for wide, _, deep in (size_of(one, maps) for one in maps)]
    ends = [(x + w / 2 + 1, y) for x, w in zip(places, wide, strict=True)]
    begins = [(x - w / 2 - 2, y) for x, w in zip(places, wide, strict=True)]
    return "".join(arrow(end, begin) for end, begin in zip(ends, begins[1:], strict=False))


def sizes_said(scene: Scene, maps: Sequence[Map]) -> list[list[str]]:
    """Of each map: its cells, its channels, its stride."""
    return [
        [str(one), f"{one.channels} ch.", f"stride {plain(level.stride[0], 0)}"]
        for one, level in zip(maps, scene.levels, strict=True)
    ]


def photograph(scene: Scene, floor: float, left: float = MARGIN, side: float = THUMB, marks: Marks = None) -> str:
    """The picture standing on `floor`, with the size in which the network saw it, and marks on it."""
    height, width = scene.look.padded
    wide, high = side * min(1.0, width / height), side * min(1.0, height / width)
    uri = jpeg_uri(scene.trace.picture, 2 * THUMB)
    said = text(left + wide / 2, floor + LINE, f"{height} × {width}", "count")
    marked = marks(left, floor - high, wide, high) if marks is not None else ""
    return picture(left, floor - high, wide, high, uri) + marked + said


def heads(
    scene: Scene,
    top: float,
    name: str,
    left: float = LEFT - 12,
    right: float = RIGHT + 12,
    per: str = "an anchor",
    by: str = "Scores",
) -> Drawn:
    """What a network ends in: a plate for the scores, which opens "floor", and one for the boxes: "decode"."""
    half = (right - left) / 2
    alone = getattr(scene.model, "classes_alone", False)
    classes = many(scene.trace.num_classes, "class", "classes") + ("" if alone else " + “nothing”")
    scores = plate(left, top, half - 3, PLATE, "second", [by, classes])
    boxes = plate(left + half + 3, top, half - 3, PLATE, "second", ["Boxes", f"4 deltas {per}"])
    said = text(left + half, top + PLATE + LINE, name, "soft")
    return Drawn(scene.opens("floor", scores) + scene.opens("decode", boxes) + said, top + PLATE + LINE)


def key(x: float, y: float, kind: str, words: str) -> str:
    """What blocks of a kind are."""
    patch = f'<rect class="face {kind}" x="{x}" y="{y - 10}" width="14" height="12"/>' if kind else ""
    return patch + text(x + 22 * bool(kind), y, words, "soft", "start")


def upright(x: float, y: float, words: str) -> str:
    """Words from the bottom to the top."""
    return f'<g transform="translate({x:.1f} {y:.1f}) rotate(-90)">{text(0, 0, words, "soft", size=12)}</g>'
