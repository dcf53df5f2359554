"""Feature pyramids standing upright, coarse above fine: RetinaNet, fig. 3, and FPN, fig. 3 with Faster R-CNN on it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from vedette.glass.maps import Map, maps_of
from vedette.glass.networks.regions import region_head, rpn_plate
from vedette.glass.networks.rows import Drawn, photograph, row, size_of, top_of
from vedette.glass.scene import MARGIN, Scene
from vedette.pages.sketch import LINE, WIDTH, arrow, plate

FLOOR_HEIGHT = 68  # of each level
TOP = 50  # what the coarsest map stands on
BODY, PYRAMID, BUS = 142.0, 232.0, 290.0  # where the backbone's maps stand, the pyramid's, and the line to the heads
HEADS = 306.0  # where plates on all levels begin


def retinanet(scene: Scene) -> Drawn:
    """Two subnets, shared by all levels."""
    maps = maps_of(scene.model, scene.look.padded, _retinanet_maps)
    drawn = _pyramid(scene, maps, "p")
    config, k = scene.model.config, scene.levels[0].per_cell
    layers = f"{config.subnet_layers} × (3 × 3, {config.width})"
    scores = ["Class subnet", layers, f"{k} × {scene.trace.num_classes} scores a cell"]
    boxes = ["Box subnet", layers, f"{k} × 4 deltas a cell"]
    middle = (TOP + drawn.end) / 2
    parts = [drawn.content]
    for name, y, words in (("floor", middle - 74, scores), ("decode", middle + 10, boxes)):
        parts.append(scene.opens(name, plate(HEADS, y, WIDTH - HEADS - 8, 62, "second", words)))
        parts.append(arrow((BUS, y + 31), (HEADS - 2, y + 31)))
    return Drawn("".join(parts), drawn.end)


def fpn(scene: Scene) -> Drawn:
    """The RPN on all levels, and regions read from the level that fits them."""
    maps = maps_of(scene.model, scene.look.padded, _fpn_maps)
    drawn = _pyramid(scene, maps, "p")
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


def _pyramid(scene: Scene, maps: dict[str, list[Map]], name: str) -> Drawn:
    """Both ways: the backbone's up, the pyramid's down, and what joins them."""
    body, pyramid = maps["body"], maps["pyramid"]
    everything = [*body, *pyramid]
    floors = [TOP + FLOOR_HEIGHT * (len(pyramid) - 1 - number) for number in range(len(pyramid))]
    first = round(scene.levels[0].stride[0]).bit_length() - 1  # p3 lies at stride 8
    parts = [photograph(scene, floors[0])]
    blocks = []
    for number, (one, floor) in enumerate(zip(pyramid, floors, strict=True)):
        blocks.append(row([one], [PYRAMID], floor, "first", [[f"{name}{first + number} {one}"]], everything))
    parts.append(scene.opens("anchors", "".join(blocks)))
    for number, (one, floor) in enumerate(zip(body, floors, strict=False)):
        parts.append(row([one], [BODY], floor, "backbone", [[f"c{first + number} {one.channels} ch."]], everything))
    parts += _joins(body, pyramid, floors, everything)
    return Drawn("".join(parts), floors[0] + LINE + 8)


def _joins(body: Sequence[Map], pyramid: Sequence[Map], floors: Sequence[float], scale: Sequence[Map]) -> list[str]:
    parts = [arrow((MARGIN + 84, floors[0] - 20), (BODY - size_of(body[0], scale)[0] / 2 - 8, floors[0] - 20))]
    for number, floor in enumerate(floors):
        wide = size_of(pyramid[number], scale)[0] / 2 + 8
        parts.append(f'<path class="arrow" d="M{PYRAMID + wide:.1f} {floor - 12:.1f}H{BUS:.1f}"/>')
        if number < len(body):
            reach = size_of(body[number], scale)[0] / 2 + 8
            parts.append(arrow((BODY + reach, floor - 12), (PYRAMID - wide - 1, floor - 12)))
        if number + 1 < len(body):
            parts.append(arrow((BODY, top_of(body[number], scale, floor) - 2), (BODY, floors[number + 1] + LINE + 4)))
        if number + 1 < len(pyramid):
            ends = (PYRAMID, floors[number + 1] + LINE + 4), (PYRAMID, top_of(pyramid[number], scale, floor) - 2)
            parts.append(arrow(*(ends if number + 1 < len(body) else ends[::-1])))
    parts.append(f'<path class="arrow" d="M{BUS} {floors[-1] - 12}V{floors[0] - 12}"/>')
    return parts
