"""Pictures of the pages on FPN, RetinaNet, SSD, M2Det and Fast R-CNN's loss: anchors on levels, and curves."""

from collections.abc import Callable, Sequence
from math import log

import torch
import torch.nn.functional as F
from learn.canvas import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SIZE, WIDTH, Canvas, panels, panels_height, show
from learn.demo import PATCH, PERSON, SHUTTLE, STAR, photo, photo_panels
from torch import Tensor

from vedette.papers.fpn import level_of
from vedette.papers.m2det import map_sizes
from vedette.papers.retinanet import focal_loss
from vedette.papers.ssd import SSDConfig
from vedette.parts.anchors import multibox_shapes

COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE)
LINES = ("solid", "dashed", "dotted", "solid", "dashed")


def default_boxes() -> str:
    """The default boxes of the middle cell of each of SSD300's six levels."""
    c, cells = SSDConfig(), (38, 19, 10, 5, 3, 1)
    titles = [f"{n} × {n}: {2 + 2 * len(r)} boxes" for n, r in zip(cells, c.aspect_ratios, strict=True)]
    canvas, shown = photo_panels("SSD300's default boxes in one cell of each level", titles, photo("astronaut"), 3, (300, 300))
    for level, (panel, n) in enumerate(zip(shown, cells, strict=True)):
        panel.grid((c.steps[level], c.steps[level]), width=0.5)
        middle = (n // 2 + 0.5) * c.steps[level]
        shapes = multibox_shapes(c.anchor_sizes[level], c.anchor_sizes[level + 1], c.aspect_ratios[level])
        for number, (wide, high) in enumerate(shapes.tolist()):
            box = (middle - wide / 2, middle - high / 2, middle + wide / 2, middle + high / 2)
            kind = 0 if number < 2 else 1 if number < 4 else 2  # squares, 2 and 1/2, 3 and 1/3
            canvas.box(panel.cut(box), COLOURS[kind], width=1.8, line=LINES[kind])
    return canvas.svg()


def levels_of_regions() -> str:
    """From which level of FPN each of five regions is pooled, at a short side of 800."""
    picture = photo("astronaut")
    regions = {"person": PERSON, "shuttle": SHUTTLE, "face": (175, 60, 275, 190), "patch": PATCH, "star": STAR}
    levels = level_of(torch.tensor(list(regions.values())) * 800 / 512).tolist()
    canvas, (panel,) = photo_panels("Regions and the levels that they are pooled from", ["astronaut.jpg at a short side of 800"], picture, 1, picture.size)
    for (name, box), level in zip(regions.items(), levels, strict=True):
        panel.canvas.box(panel.placed(box), COLOURS[level], width=3, line=LINES[level])
        side = ((box[2] - box[0]) * (box[3] - box[1])) ** 0.5 * 800 / 512
        panel.label((box[0], box[1]), f"{name}, √(wh) = {side:.0f}: p{level + 2}", COLOURS[level])
    return canvas.svg()


def plot(title: str, across: str, names: Sequence[str], curves: Sequence[Sequence[tuple[float, float]]], top: float, grid: Sequence[float]) -> str:
    """Curves with their names beside them; across: what the x axis is, top: the largest y."""
    left, right, high = 40.0, 170.0, 300.0
    canvas = Canvas(high + 44, title)
    low, most = grid[0], grid[-1]
    wide = WIDTH - left - right
    place: Callable[[float, float], tuple[float, float]] = lambda x, y: (left + (x - low) / (most - low) * wide, high - y / top * (high - 10))
    for x in grid:
        canvas.line(place(x, 0), place(x, top), "#dde2e8", 1)
        canvas.text((place(x, 0)[0], high + 18), f"{x:g}", text_anchor="middle", font_size=14)
    for step in range(5):
        y = top * step / 4
        canvas.line(place(low, y), place(most, y), "#dde2e8", 1)
        canvas.text((left - 8, place(low, y)[1] + 5), f"{y:g}", text_anchor="end", font_size=14)
    canvas.text((left + wide / 2, high + 40), across, text_anchor="middle")
    for number, (name, curve) in enumerate(zip(names, curves, strict=True)):
        colour, line = COLOURS[number % 5], LINES[number % 5]
        canvas.path([place(x, y) for x, y in curve if y <= top], colour, 2.5, line)
        y = 24 + 28 * number
        canvas.line((WIDTH - right + 16, y), (WIDTH - right + 52, y), colour, 2.5, line)
        canvas.text((WIDTH - right + 60, y + 5), name, font_size=SIZE)
    return canvas.svg()


def focal() -> str:
    """The focal loss of an object over the probability that it is given, for five γ."""
    gammas = (0.0, 0.5, 1.0, 2.0, 5.0)
    p = torch.linspace(0.01, 0.999, 120, dtype=torch.float64)
    logits = (p / (1 - p)).log()
    curves = [list(zip(p.tolist(), focal_loss(logits, torch.ones_like(p), 1.0, gamma).tolist(), strict=True)) for gamma in gammas]
    names = ["γ = 0 (CE)", "γ = 0.5", "γ = 1", "γ = 2", "γ = 5"]
    return plot("Focal loss", "probability of the true class", names, curves, 4, (0, 0.2, 0.4, 0.6, 0.8, 1))


def box_losses() -> str:
    """Smooth L1 beside L1 and L2, of one difference."""
    x = torch.linspace(-3, 3, 121)
    zero = torch.zeros_like(x)
    kinds: list[Tensor] = [F.smooth_l1_loss(x, zero, reduction="none"), x.abs(), x.square() / 2]
    curves = [list(zip(x.tolist(), y.tolist(), strict=True)) for y in kinds]
    return plot("Smooth L1, L1 and L2", "difference of a delta", ["smooth L1", "L1", "L2: x² / 2"], curves, 4, (-3, -2, -1, 0, 1, 2, 3))


def multi_level() -> str:
    """Eight pyramids of six maps, and what SFAM takes together."""
    sides = map_sizes(320, 6)
    canvas = Canvas(330, "Eight levels of six scales; SFAM takes a row together")
    unit = 66 / 40**0.5
    tops, top = [], 30.0
    for side in sides:
        tops.append(top)
        top += unit * side**0.5 * 0.72 + 8
    for level in range(8):
        x = 66 + 62 * level
        canvas.text((x + 22, 16), f"TUM {level + 1}", font_size=13, text_anchor="middle")
        for side, y in zip(sides, tops, strict=True):
            half = unit * side**0.5 * 0.36
            canvas.box((x + 22 - half, y, x + 22 + half, y + 2 * half), BLUE, 1.5, halo=False, fill=BLUE, fill_opacity=0.08 + 0.1 * level)
    for side, y in zip(sides, tops, strict=True):
        middle = y + unit * side**0.5 * 0.36
        canvas.text((0, middle + 5), f"{side} × {side}", font_size=14)
        canvas.line((56, middle), (570, middle), GREY, 1, "dotted")
        canvas.arrow((566, middle), (584, middle), RED)
        canvas.text((590, middle + 5), "2048", fill=INK, font_size=14)
    canvas.height = tops[-1] + 40
    canvas.text((66, canvas.height - 4), "shallow  →  deep: each TUM sees the largest map of the one before", font_size=14)
    return canvas.svg()


FIGURES = {
    "ssd-default-boxes": default_boxes,
    "fpn-levels": levels_of_regions,
    "retinanet-focal": focal,
    "fast-rcnn-losses": box_losses,
    "m2det-levels": multi_level,
}
