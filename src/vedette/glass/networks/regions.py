"""Detectors that look at regions: R-CNN, fig. 1, SPPNet, fig. 3 and 5, Fast R-CNN, fig. 1, Faster R-CNN, fig. 2."""

from collections.abc import Callable, Sequence
from math import floor as floor_of
from typing import Any

from torch import Tensor

from vedette.glass.guide import Guide
from vedette.glass.maps import Map, maps_of
from vedette.glass.networks.rows import PLATE, Drawn, heads, photograph
from vedette.glass.phrases import many, share
from vedette.glass.scene import MARGIN, Scene
from vedette.pages.embed import jpeg_uri
from vedette.pages.sketch import LINE, WIDTH, arrow, block, lines, picture, plate, rectangle, text

SIDE = 96  # of a picture in these figures
FLOOR = 116
MAP = 250.0  # where the map stands
GRID = 54.0  # side of a pooled region's grid
WARPED = 72.0  # side of a warped one
RPN_LEFT = 314.0


def rcnn(scene: Scene) -> Drawn:
    """One region of the picture, warped, on its way through the whole network by itself."""
    c, floor, middle = scene.model.config, FLOOR + 10, 84
    marked = photograph(scene, floor, MARGIN, SIDE, _outlines(scene))
    parts = [scene.opens("regions", marked + text(MARGIN, 18, "1 · regions", "strong", "start"))]
    parts.append(text(MARGIN + SIDE / 2, floor + 2 * LINE, many(len(scene.steps["regions"]), "region"), "count"))
    parts += [text(176, 18, "2 · warped", "strong", "start"), _warped(scene, 176, floor)]
    parts.append(text(176 + WARPED / 2, floor + LINE, f"{c.warp_size} × {c.warp_size}", "count"))
    parts += [arrow((118, middle), (172, middle)), arrow((252, middle), (302, middle))]
    parts += [text(306, 18, "3 · the network", "strong", "start"), _funnel(306, middle - 36, 132, 72)]
    widths = [f"pool5 {scene.model.pool5_width:,}", f"fc7 {scene.model.fc7_width:,}"]
    parts += [lines(370, middle - 4, widths, "count"), arrow((438, middle), (446, middle), (446, floor + 3 * LINE + 4))]
    return _verdict(scene, "".join(parts), floor + 3 * LINE + 6, "4 ·")


def sppnet(scene: Scene) -> Drawn:
    """A window of the map, pooled in parts of several sizes."""
    c, one = scene.model.config, _last_map(scene)
    y, x = FLOOR + 74, MARGIN + 10.0
    parts = [text(MARGIN, y - 10, "spatial pyramid pooling: the largest value in each part", "soft", "start", 12)]
    downs = []
    for bins in reversed(c.levels):
        parts += [_grid(x, y, bins), text(x + GRID / 2, y + GRID + LINE, f"{bins} × {bins}", "count")]
        downs.append(arrow((x + GRID / 2, y + GRID + LINE + 6), (x + GRID / 2, y + GRID + LINE + 22)))
        x += GRID + 22
    parts.append(
        lines(x + 54, y + 22, [f"{c.bins} × {one.channels} =", f"{scene.model.pool5_width:,} numbers"], "count")
    )
    above = _window(scene, one) + arrow((MAP, FLOOR + 2 * LINE + 6), (MAP, y - 24)) + "".join(downs)
    return _verdict(scene, above + scene.opens("regions", "".join(parts)), y + GRID + LINE + 24, "")


def fast_rcnn(scene: Scene) -> Drawn:
    """A region of interest, projected onto the map and pooled."""
    top = _window(scene, _last_map(scene))
    last = region_head(scene, FLOOR + 64, (MAP, FLOOR + 2 * LINE + 6), ["each projected", "onto the map"])
    return Drawn(top + last.content, last.end)


def faster_rcnn(scene: Scene) -> Drawn:
    """The same, with regions that the network proposes itself."""
    parts = [
        _window(scene, _last_map(scene), "anchors"),
        rpn_plate(scene, 30),
        arrow((MAP + 54, 76), (RPN_LEFT - 2, 76)),
    ]
    proposed = len(scene.steps["regions"])
    last = region_head(scene, FLOOR + 64, (MAP, FLOOR + 2 * LINE + 6), [many(proposed, "proposal")], 118)
    return Drawn("".join(parts) + last.content, last.end)


def rpn_plate(scene: Scene, top: float) -> str:
    """The region proposal network."""
    said = [
        "Proposals (RPN)",
        "object or not and",
        "4 deltas for each of",
        f"{scene.levels[0].per_cell} anchors a cell",
    ]
    return scene.opens("rpn refine", plate(RPN_LEFT, top, WIDTH - RPN_LEFT - 8, 88, "first", said))


def region_head(
    scene: Scene, top: float, source: tuple[float, float], said: Sequence[str], rpn: float | None = None
) -> Drawn:
    """A region pooled to a grid, the layers that follow, and the two heads.

    source: where the arrow from the map begins; rpn: where the RPN's plate ends, whose proposals are the regions.
    """
    pool, backbone = scene.model.pool, scene.model.backbone
    side, channels, (x, _) = pool.size, backbone.channels[-1], source
    parts = [arrow(source, (x, top - 2))]
    if rpn is not None:
        down = (RPN_LEFT + WIDTH - 8) / 2
        parts.append(arrow((down, rpn + 2), (down, top + 12), (x + GRID / 2 + 3, top + 12)))
    kind = "RoIAlign" if scene.model.config.pooling == "align" else "RoI max pooling"
    words = [f"{kind} to {side} × {side}", f"{channels} channels a part"]
    pooled = _grid(x - GRID / 2, top, side) + lines(x - GRID / 2 - 12, top + 24, words, "", "end")
    pooled += lines(x + GRID / 2 + 12, top + 28, said, "soft", "start")
    y = top + GRID + 18
    parts += [scene.opens("regions", pooled), arrow((x, top + GRID + 2), (x, y - 2))]
    layers = ["The network's last layers", f"{side * side * channels:,} → {backbone.top_channels:,} numbers a region"]
    parts.append(plate(MARGIN, y, WIDTH - 2 * MARGIN, PLATE, "between", layers))
    parts += [arrow((x, y + PLATE), (x, y + PLATE + 18)) for x in (WIDTH / 4, 3 * WIDTH / 4)]
    last = heads(scene, y + PLATE + 20, "for each region", MARGIN, WIDTH - MARGIN, "a class")
    return Drawn("".join(parts) + last.content, last.end)


def _last_map(scene: Scene) -> Map:
    """The map that regions are read from."""
    (one,) = maps_of(scene.model, scene.look.padded, _backbone)["map"]
    return one


def _backbone(model: Any, images: Tensor) -> dict[str, Sequence[Tensor]]:
    return {"map": model.backbone(images)}


def _verdict(scene: Scene, above: str, top: float, number: str) -> Drawn:
    """SVMs and box regression behind R-CNN's and SPPNet's features, and what they say of the hero."""
    hero = Guide(scene.trace).hero
    model = scene.model
    judged = "SVMs" if model.config.scorer == "svm" and bool(model.svm_fitted) else "Softmax"
    layers = plate(MARGIN, top, WIDTH - 2 * MARGIN, 28, "between", [f"{model.fc7_width:,} numbers of a region (fc7)"])
    ys = top + 28
    arrows = "".join(arrow((x, ys), (x, ys + 18)) for x in (WIDTH / 4, 3 * WIDTH / 4))
    last = heads(scene, ys + 20, "for each region", MARGIN, WIDTH - MARGIN, "a class", f"{number} {judged}".strip())
    if hero is None:
        return Drawn(above + layers + arrows + last.content, last.end)
    said = [(hero.label, hero.score), *hero.others[:1]]
    asked = [
        f"{scene.trace.classes[label]}? {'yes' if score >= scene.trace.score else 'no'}, {share(score)}"
        for label, score in said
    ]
    answers = text(WIDTH / 2, last.end + LINE, " · ".join(asked), "strong")
    return Drawn(above + layers + arrows + last.content + answers, last.end + LINE)


def _window(scene: Scene, one: Map, opens: str = "") -> str:
    """The picture with a region on it, and the same region on the map."""
    marked = photograph(scene, FLOOR, MARGIN, SIDE, _outlines(scene))
    height = 70.0
    wide = height * min(1.35, one.columns / one.rows)
    high = wide * one.rows / one.columns
    size = (wide, high, 14.0)
    left, base = MAP - (wide + 0.6 * 14) / 2, FLOOR - high
    shown = block(MAP, FLOOR, size, "backbone") + _projected(scene, left, base, wide, high)
    said = lines(MAP, FLOOR + LINE, [str(one), f"{one.channels} channels"], "count")
    across = arrow((MARGIN + SIDE + 4, 80), (left - 3, 80)) + text(
        (MARGIN + SIDE + left) / 2, 72, "convolutions", "soft", size=12
    )
    return marked + scene.opens(opens, shown + said) + across


def _region(scene: Scene, x: float, y: float, wide: float, high: float) -> str:
    """The hero's region within a frame that shows the whole input."""
    hero = Guide(scene.trace).hero
    if hero is None:
        return ""
    box = hero.stage.references[hero.row].tolist()
    height, width = hero.look.padded
    return _outline(x, y, wide / width, high / height, box)


def _projected(scene: Scene, x: float, y: float, wide: float, high: float) -> str:
    """The same region as the cells of the map that are read for it."""
    hero = Guide(scene.trace).hero
    if hero is None:
        return ""
    height, width = scene.look.padded
    return _outline(x, y, wide / width, high / height, scene.trace.regions().in_input()[hero.row].tolist())


def _outlines(scene: Scene, most: int = 12) -> Callable[[float, float, float, float], str]:
    """Some of the regions on the photograph, the hero's among them."""

    def draw(x: float, y: float, wide: float, high: float) -> str:
        height, width = scene.look.padded
        some = scene.look.stages[-1].references[:most].tolist()
        thin = "".join(_outline(x, y, wide / width, high / height, box, "thin") for box in some)
        return thin + _region(scene, x, y, wide, high)

    return draw


def _outline(x: float, y: float, across: float, down: float, box: Sequence[float], kind: str = "region") -> str:
    x1, y1, x2, y2 = box
    shape = x + x1 * across, y + y1 * down, (x2 - x1) * across, (y2 - y1) * down
    return (rectangle(*shape, "halo") if kind == "region" else "") + rectangle(*shape, kind)


def _warped(scene: Scene, x: float, floor: float) -> str:
    """What the network sees of the hero's region: a square, with some of what lies around it."""
    hero = Guide(scene.trace).hero
    if hero is None:
        return ""
    c = scene.model.config
    x1, y1, x2, y2 = hero.boxes["regions"].tolist()
    more = c.context / (c.warp_size - 2 * c.context)
    around = (x1 - (x2 - x1) * more, y1 - (y2 - y1) * more, x2 + (x2 - x1) * more, y2 + (y2 - y1) * more)
    left, top, right, bottom = (floor_of(side) for side in around)
    cut = scene.trace.picture.crop((left, top, right + 1, bottom + 1)).resize((144, 144))
    return picture(x, floor - WARPED - 6, WARPED, WARPED, jpeg_uri(cut, 144))


def _grid(x: float, y: float, bins: int) -> str:
    """A square in bins × bins parts."""
    step = GRID / bins
    inner = "".join(f"M{x + step * i:.1f} {y:.1f}v{GRID}M{x:.1f} {y + step * i:.1f}h{GRID}" for i in range(1, bins))
    return rectangle(x, y, GRID, GRID, "face second") + f'<path class="face second" d="{inner}"/>'


def _funnel(x: float, y: float, wide: float, high: float) -> str:
    """A network whose maps become smaller."""
    d = f"M{x} {y}L{x + wide} {y + high * 0.2:.1f}V{y + high * 0.8:.1f}L{x} {y + high}Z"
    return f'<path class="face backbone" d="{d}"/>'
