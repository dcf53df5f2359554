"""Feature pyramids standing upright, coarse above fine: RetinaNet, fig. 3, and FPN, fig. 3 with Faster R-CNN on it."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from vedette.glass.maps import Map, maps_of
from vedette.glass.networks.regions import region_head, rpn_plate
from vedette.glass.networks.rows import THUMB, Drawn, photograph, row, size_of, top_of
from vedette.glass.scene import MARGIN, Scene
from vedette.pages.sketch import LINE, WIDTH, arrow, plate
from vedette.papers.retinanet import RetinaPyramid

FLOOR_HEIGHT = 68  # of each level
LEAST_LEVELS = 3  # that there is room for beside the heads
TOP = 50  # what the coarsest map stands on
BODY, PYRAMID, BUS = 142.0, 232.0, 290.0  # where the backbone's maps stand, the pyramid's, and the line to the heads
HEADS = 306.0  # where plates on all levels begin


class Joins(NamedTuple):
    """What a pyramid is known to do."""

    top_down: bool  # each map takes in the coarser one
    coarser: Literal["body", "pyramid", ""]  # what the first map beyond the backbone's is made from


def retinanet(scene: Scene) -> Drawn:
    """Two subnets, shared by all levels."""
    maps = maps_of(scene.model, scene.look.padded, _retinanet_maps)
    config, own = scene.model.config, isinstance(scene.model.pyramid, RetinaPyramid)
    drawn = _pyramid(scene, maps, Joins(own, ("body" if config.p6_from == "c5" else "pyramid") if own else ""))
    k = scene.levels[0].per_cell
    layers = f"{config.subnet_layers} × (3 × 3, {config.width})"
    scores = ["Class subnet", layers, f"{k} × {scene.trace.num_classes} scores a cell"]
    boxes = ["Box subnet", layers, f"{k} × 4 deltas a cell"]
    middle = (TOP + drawn.end) / 2
    parts = [drawn.content, f'<path class="arrow" d="M{BUS} {middle - 43:.1f}V{middle + 41:.1f}"/>']
    for name, y, words in (("floor", middle - 74, scores), ("decode", middle + 10, boxes)):
        parts.append(scene.opens(name, plate(HEADS, y, WIDTH - HEADS - 8, 62, "second", words)))
        parts.append(arrow((BUS, y + 31), (HEADS - 2, y + 31)))
    return Drawn("".join(parts), drawn.end)


def fpn(scene: Scene) -> Drawn:
    """The RPN on all levels, and regions read from the level that fits them."""
    maps = maps_of(scene.model, scene.look.padded, _fpn_maps)
    drawn = _pyramid(scene, maps, Joins(True, "pyramid"))
    middle = (TOP + drawn.end) / 2
    parts = [drawn.content, arrow((BUS, middle), (HEADS - 2, middle)), rpn_plate(scene, middle - 44)]
    regions = scene.trace.regions()
    counts = torch.bincount(regions.level, minlength=len(regions.strides)).tolist()
    read = [f"p{number}: {count:,}" for number, count in enumerate(counts, 2)]
    said = ["read from", *(" · ".join(read[place : place + 2]) for place in range(0, len(read), 2))]
    last = region_head(scene, drawn.end + 26, (PYRAMID, drawn.end - 6), said, middle + 44)
    return Drawn("".join(parts) + last.content, last.end)


def _retinanet_maps(model: Any, images: Tensor) -> dict[str, Sequence[Tensor]]:
    body = model.backbone(images)
    return {"body": body, "pyramid": model.pyramid(body)}


def _fpn_maps(model: Any, images: Tensor) -> dict[str, Sequence[Tensor]]:
    return {"body": model.backbone.body(images), "pyramid": model.backbone(images)}


def _pyramid(scene: Scene, maps: dict[str, list[Map]], joins: Joins) -> Drawn:
    """Both ways: the backbone's up, the pyramid's down, and what joins them."""
    pyramid = maps["pyramid"]
    body = maps["body"][: len(pyramid)]
    scale = [*body, *pyramid]
    lowest = TOP + FLOOR_HEIGHT * (max(len(pyramid), LEAST_LEVELS) - 1)
    floors = [lowest - FLOOR_HEIGHT * number for number in range(len(pyramid))]
    first = round(scene.levels[0].stride[0]).bit_length() - 1  # p3 lies at stride 8
    blocks = []
    for number, (one, floor) in enumerate(zip(pyramid, floors, strict=True), first):
        blocks.append(row([one], [PYRAMID], floor, "first", [[f"p{number} {one}"]], scale))
    parts = [photograph(scene, floors[0]), scene.opens("anchors", "".join(blocks))]
    for number, (one, floor) in enumerate(zip(body, floors, strict=False), first):
        parts.append(row([one], [BODY], floor, "backbone", [[f"c{number} {one.channels} ch."]], scale))
    start = BODY - size_of(body[0], scale)[0] / 2 - 8
    parts.append(arrow((MARGIN + THUMB + 2, floors[0] - 20), (start, floors[0] - 20)))
    parts += [*_upward(body, floors, scale), *_across(body, pyramid, floors, scale)]
    parts += _among(body, pyramid, floors, scale, joins)
    parts.append(f'<path class="arrow" d="M{BUS} {floors[-1] - 12}V{floors[0] - 12}"/>')
    return Drawn("".join(parts), floors[0] + LINE + 8)


def _upward(body: Sequence[Map], floors: Sequence[float], scale: Sequence[Map]) -> Iterator[str]:
    """From each map of the backbone to the next."""
    for one, floor, above in zip(body[:-1], floors, floors[1:], strict=False):
        yield arrow((BODY, top_of(one, scale, floor) - 2), (BODY, above + LINE + 4))


def _across(
    body: Sequence[Map], pyramid: Sequence[Map], floors: Sequence[float], scale: Sequence[Map]
) -> Iterator[str]:
    """From the backbone's maps to the pyramid's, and from these to the line of the heads."""
    for one, floor in zip(pyramid, floors, strict=True):
        yield f'<path class="arrow" d="M{PYRAMID + _reach(one, scale):.1f} {floor - 12:.1f}H{BUS:.1f}"/>'
    for one, other, floor in zip(body, pyramid, floors, strict=False):
        yield arrow((BODY + _reach(one, scale), floor - 12), (PYRAMID - _reach(other, scale) - 1, floor - 12))


def _among(
    body: Sequence[Map], pyramid: Sequence[Map], floors: Sequence[float], scale: Sequence[Map], joins: Joins
) -> Iterator[str]:
    """Within the pyramid: down where there are maps of the backbone, up to the coarser ones."""
    for number in range(len(pyramid) - 1):
        high, low = floors[number + 1] + LINE + 4, top_of(pyramid[number], scale, floors[number]) - 2
        if number + 1 < len(body):
            if joins.top_down:
                yield arrow((PYRAMID, high), (PYRAMID, low))
        elif joins.coarser == "body" and number + 1 == len(body):
            end = PYRAMID - _reach(pyramid[number + 1], scale) - 1, floors[number + 1] - 12
            yield arrow((BODY, top_of(body[-1], scale, floors[number]) - 2), (BODY, end[1]), end)
        elif joins.coarser:
            yield arrow((PYRAMID, low), (PYRAMID, high))


def _reach(one: Map, scale: Sequence[Map]) -> float:
    """From the middle of a block to where an arrow may begin."""
    return size_of(one, scale)[0] / 2 + 8
