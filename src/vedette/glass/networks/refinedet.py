"""RefineDet, fig. 1: the anchor refinement module above, transfer connection blocks, the object detection module."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor

from vedette.glass.maps import Map, maps_of
from vedette.glass.networks.rows import (
    LEFT,
    PLATE,
    RIGHT,
    THUMB,
    Drawn,
    columns,
    heads,
    onward,
    photograph,
    row,
    sizes_said,
    top_of,
    upright,
)
from vedette.glass.scene import MARGIN, Scene
from vedette.pages.sketch import LINE, WIDTH, arrow, plate

ARM_TOP, ARM_FLOOR = 16, 152
TCB = 32  # a transfer connection block's height
GUTTER = WIDTH - 14  # where refined anchors go down


def refinedet(scene: Scene) -> Drawn:
    """Maps from fine to coarse; the switches of table 3 leave out what they switch off."""
    maps = maps_of(scene.model, scene.look.padded, _maps)
    places = columns(len(maps["arm"]))
    end: float = ARM_FLOOR + 3 * LINE + 6
    parts = [photograph(scene, ARM_FLOOR), arrow((MARGIN + THUMB, ARM_FLOOR - 22), (places[0] - 31, ARM_FLOOR - 22))]
    parts.append(scene.opens("anchors", row(maps["arm"], places, ARM_FLOOR, "first", sizes_said(scene, maps["arm"]))))
    parts.append(onward(maps["arm"], places, ARM_FLOOR - 8))
    if scene.model.tcbs:
        below = _transfer(maps["odm"], places, end)
        parts, end = [*parts, below.content], below.end
    top = end + 22
    parts += [arrow((x, end), (x, top - 2)) for x in places]
    last = heads(scene, top, "Object detection module (ODM)")
    if scene.model.arm is not None:
        parts.append(_refinement(scene, maps["arm"], places, top + PLATE / 2))
    return Drawn("".join(parts) + last.content, last.end)


def _maps(model: Any, images: Tensor) -> dict[str, list[Tensor]]:
    arm = model.features(images)
    return {"arm": arm, "odm": model.transfer(arm) if model.tcbs else arm}


def _refinement(scene: Scene, maps: Sequence[Map], places: Sequence[float], to: float) -> str:
    """The ARM, and its anchors' way into the ODM at height `to`."""
    said = ["Anchor refinement module (ARM)", "object or not · 4 deltas an anchor"]
    module = scene.opens("refine", plate(LEFT - 12, ARM_TOP, RIGHT - LEFT + 24, PLATE, "first", said))
    tops = [(x, top_of(one, maps, ARM_FLOOR) - 3) for x, one in zip(places, maps, strict=True)]
    ups = "".join(arrow(start, (start[0], ARM_TOP + PLATE + 2)) for start in tops)
    middle, side = ARM_TOP + PLATE / 2, RIGHT + 12
    down = arrow((side, middle), (GUTTER, middle), (GUTTER, to), (side + 2, to))
    return module + ups + down + upright(GUTTER - 5, (middle + to) / 2, "refined anchors")


def _transfer(maps: Sequence[Map], places: Sequence[float], start: float) -> Drawn:
    """Fig. 2: each block takes a map of the ARM and what the coarser block gives, and makes a map of the ODM."""
    top = start + 16
    floor = top + TCB + 66
    parts = []
    for x, one in zip(places, maps, strict=True):
        parts += [arrow((x, start), (x, top - 1)), plate(x - 25, top, 50, TCB, "between", ["TCB"])]
        parts.append(arrow((x, top + TCB), (x, top_of(one, maps, floor) - 3)))
    middle = top + TCB / 2
    parts += [arrow((x - 25, middle), (finer + 26, middle)) for finer, x in pairwise(places)]
    parts.append(row(maps, places, floor, "second", [[str(one), f"{one.channels} ch."] for one in maps]))
    return Drawn("".join(parts), floor + 2 * LINE + 6)
