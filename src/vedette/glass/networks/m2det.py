"""M2Det, fig. 2: a base feature, thinned U-shape modules in a row, and their pyramids side by side in each scale."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor

from vedette.glass.maps import Map, maps_of
from vedette.glass.networks.rows import Drawn, columns, photograph, row, sizes_said, top_of
from vedette.glass.networks.ssd import multibox
from vedette.glass.phrases import many
from vedette.glass.scene import MARGIN, Scene
from vedette.pages.sketch import LINE, WIDTH, arrow, block_size, plate, rectangle, text

TOP_FLOOR = 100  # what the picture and the base feature stand on
TUM_TOP, TUM_HEIGHT = 178, 84
SFAM = 40  # its plate's height


def m2det(scene: Scene) -> Drawn:
    """From the top: the base feature, the U-shapes that take it up one after another, SFAM, the pyramid."""
    maps = maps_of(scene.model, scene.look.padded, _maps)
    levels = len(scene.model.tums)
    tums = columns(levels, MARGIN, WIDTH - MARGIN)
    below = TUM_TOP + TUM_HEIGHT
    parts = [_base(scene, maps), _bus(tums), _tums(maps["level"], tums)]
    parts += [arrow((x, below), (x, below + 20)) for x in tums]
    sfam = [f"{many(levels, 'level')} side by side in each scale (SFAM)", "attention weighs their channels"]
    if scene.model.sfam is None:
        sfam = [f"{many(levels, 'level')} side by side in each scale"]
    parts.append(plate(MARGIN, below + 22, WIDTH - 2 * MARGIN, SFAM, "other", sfam))
    floor = below + 22 + SFAM + 74
    pyramid, places = maps["pyramid"], columns(len(maps["pyramid"]), MARGIN, WIDTH - MARGIN)
    parts += [
        arrow((x, below + 22 + SFAM), (x, top_of(one, pyramid, floor) - 3))
        for x, one in zip(places, pyramid, strict=True)
    ]
    parts.append(scene.opens("anchors", row(pyramid, places, floor, "second", sizes_said(scene, pyramid))))
    last = multibox(scene, pyramid, places, floor)
    return Drawn("".join(parts) + last.content, last.end)


def _maps(model: Any, images: Tensor) -> dict[str, list[Tensor]]:
    maps = model.backbone(images)
    fused = [maps[number] for number in model.config.fused]
    base = model.ffm1(*fused)
    return {
        "fused": fused,
        "base": [base],
        "level": model.tums[0](model.ffm2[0](base, None)),
        "pyramid": model.multi_level(base),
    }


def _base(scene: Scene, maps: dict[str, list[Map]]) -> str:
    """The picture, two maps of the backbone, and what FFMv1 makes of them."""
    shallow, deep = maps["fused"]
    (base,) = maps["base"]
    scale, places = [shallow, deep, base], (164, 224, 384)
    drawn = [
        row([one], [x], TOP_FLOOR, kind, [[str(one), f"{one.channels} ch."]], scale)
        for one, x, kind in zip(scale, places, ("backbone", "backbone", "first"), strict=True)
    ]
    y = TOP_FLOOR - 20
    arrows = [arrow((102, y), (132, y)), arrow((252, y), (270, y)), arrow((332, y), (354, y))]
    return photograph(scene, TOP_FLOOR) + "".join(drawn + arrows) + plate(272, y - 18, 58, 36, "between", ["FFMv1"])


def _bus(tums: Sequence[float]) -> str:
    """The base feature, taken to every module."""
    y = TUM_TOP - 22
    line = arrow((384, TOP_FLOOR + 2 * LINE + 6), (384, y), (tums[0], y), (tums[0], TUM_TOP - 2))
    others = "".join(arrow((x, y), (x, TUM_TOP - 2)) for x in tums[1:])
    return line + others + text(MARGIN, y - 6, "base feature (to each by FFMv2)", "soft", "start", 12)


def _tums(level: Sequence[Map], tums: Sequence[float]) -> str:
    """Each module as its pyramid: a bar for a map, coarse above fine, and what it hands to the next."""
    wide = min(46.0, (tums[1] - tums[0] if len(tums) > 1 else 60) - 9)
    parts = []
    for number, x in enumerate(tums, 1):
        parts.append(plate(x - wide / 2, TUM_TOP, wide, TUM_HEIGHT, "between"))
        parts.append(text(x, TUM_TOP + TUM_HEIGHT - 6, f"TUM {number}" if wide > 42 else str(number), size=11.5))
        parts += [_bar(x, place, one, level, wide) for place, one in enumerate(reversed(level))]
    y = TUM_TOP + 10 + 9 * (len(level) - 1)
    parts += [arrow((x + wide / 2, y), (after - wide / 2, y)) for x, after in pairwise(tums)]
    return "".join(parts)


def _bar(x: float, place: int, one: Map, level: Sequence[Map], wide: float) -> str:
    """A map of a module, the coarsest at place 0."""
    long, _, _ = block_size(one.columns, one.rows, one.channels, wide - 10, max(other.columns for other in level))
    return rectangle(x - long / 2, TUM_TOP + 7 + 9 * place, long, 6, "face first d")
