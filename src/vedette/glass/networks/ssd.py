"""SSD, fig. 2: maps of the backbone, then of extra layers, each with a head of its own."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from vedette.glass.maps import Map, maps_of
from vedette.glass.networks.rows import Drawn, columns, heads, key, onward, photograph, row, sizes_said, top_of
from vedette.glass.phrases import many
from vedette.glass.scene import MARGIN, Scene
from vedette.pages.sketch import LINE, WIDTH, arrow

PICTURE_FLOOR, FLOOR = 100, 204  # what the picture and the maps stand on
MOST_COLUMNS, SMALL_TEXT = 6, 11.2  # beyond so many the words below them are smaller


def ssd(scene: Scene) -> Drawn:
    """Fine to coarse."""
    maps = maps_of(scene.model, scene.look.padded, _maps)["maps"]
    places = columns(len(maps), MARGIN, WIDTH - MARGIN)
    own = len(scene.model.config.sources)
    parts = [photograph(scene, PICTURE_FLOOR)]
    parts.append(arrow((places[0], PICTURE_FLOOR + LINE + 8), (places[0], top_of(maps[0], maps, FLOOR) - 3)))
    parts.append(key(118, 44, "backbone", f"maps of the backbone ({many(own, 'of them', 'of them')})"))
    parts.append(key(118, 68, "between", "extra layers, each on the map before"))
    parts.append(key(118, 92, "", "front: cells · depth: channels"))
    blocks = _blocks(scene, maps, places, own)
    last = multibox(scene, maps, places, FLOOR)
    return Drawn("".join(parts) + blocks + last.content, last.end)


def multibox(scene: Scene, maps: Sequence[Map], places: Sequence[float], floor: float) -> Drawn:
    """From maps that stand on `floor`, their sizes below them, to the heads on each of them."""
    top = floor + 3 * LINE + 30
    total, levels = sum(level.count for level in scene.levels), len(maps)
    name = f"a head on each of {levels} maps, {total:,} anchors in all"
    last = heads(scene, top, name, MARGIN, WIDTH - MARGIN)
    return Drawn("".join(arrow((x, top - 20), (x, top - 2)) for x in places) + last.content, last.end)


def _maps(model: Any, images: Tensor) -> dict[str, list[Tensor]]:
    return {"maps": model.features(images)}


def _blocks(scene: Scene, maps: Sequence[Map], places: Sequence[float], own: int) -> str:
    said, size = sizes_said(scene, maps), SMALL_TEXT if len(maps) > MOST_COLUMNS else 0
    drawn = row(maps[:own], places[:own], FLOOR, "backbone", said[:own], maps, size)
    drawn += row(maps[own:], places[own:], FLOOR, "between", said[own:], maps, size)
    return scene.opens("anchors", drawn) + onward(maps, places, FLOOR - 3)
