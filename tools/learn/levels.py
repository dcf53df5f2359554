"""Pictures of the pages on FPN, RetinaNet, SSD, M2Det and Fast R-CNN's loss: anchors on levels, and curves."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from learn.canvas import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Canvas, Point
from learn.demo import FACE, PATCH, PERSON, SHUTTLE, STAR, photo, photo_panels
from vedette.papers.fpn import level_of
from vedette.papers.m2det import M2DetConfig, map_sizes
from vedette.papers.retinanet import focal_loss
from vedette.papers.ssd import SSDConfig
from vedette.parts.anchors import multibox_shapes

COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE)
LINES = ("solid", "dashed", "dotted", "solid", "dashed")


def default_boxes() -> str:
    """The default boxes of the middle cell of each of SSD300's six levels."""
    c, cells = SSDConfig(), (38, 19, 10, 5, 3, 1)
    titles = [f"{n} × {n}: {2 + 2 * len(r)} boxes" for n, r in zip(cells, c.aspect_ratios, strict=True)]
    title, side = "SSD300's default boxes in one cell of each level", c.image_size
    canvas, shown = photo_panels(title, titles, photo("astronaut"), 3, (side, side))
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
    regions = {"person": PERSON, "shuttle": SHUTTLE, "face": FACE, "patch": PATCH, "star": STAR}
    levels = level_of(torch.tensor(list(regions.values())) * 800 / 512).tolist()
    title, titles = "Regions and the levels that they are pooled from", ["at a short side of 800 pixels"]
    canvas, (panel,) = photo_panels(title, titles, picture, 1, picture.size)
    for (name, box), level in zip(regions.items(), levels, strict=True):
        panel.canvas.box(panel.placed(box), COLOURS[level], width=3, line=LINES[level])
        side = ((box[2] - box[0]) * (box[3] - box[1])) ** 0.5 * 800 / 512
        panel.label((box[0], box[1]), f"{name}, √(wh) = {side:.0f}: p{level + 2}")
    return canvas.svg()


@dataclass(frozen=True)
class Plot:
    """Axes: values of x across, from 0 to `top` upwards."""

    canvas: Canvas
    ticks: Sequence[float]
    top: float
    left, right, floor = 40.0, 470.0, 300.0  # where they lie on the canvas

    def at(self, x: float, y: float) -> Point:
        """A value's place on the canvas."""
        share = (x - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return self.left + share * (self.right - self.left), self.floor - y / self.top * (self.floor - 10)

    def axes(self, across: str) -> None:
        """Lines, their values, and what the x axis is."""
        for x in self.ticks:
            self.canvas.line(self.at(x, 0), self.at(x, self.top), "#dde2e8", 1)
            self.canvas.text((self.at(x, 0)[0], self.floor + 18), f"{x:g}", text_anchor="middle", font_size=14)
        for y in (self.top * step / 4 for step in range(5)):
            self.canvas.line(self.at(self.ticks[0], y), self.at(self.ticks[-1], y), "#dde2e8", 1)
            self.canvas.text((self.left - 8, self.at(0, y)[1] + 5), f"{y:g}", text_anchor="end", font_size=14)
        middle = (self.left + self.right) / 2
        self.canvas.text((middle, self.floor + 40), across, text_anchor="middle")


def plot(title: str, across: str, ticks: Sequence[float], x: Tensor, curves: dict[str, Tensor]) -> str:
    """Curves over x with their names beside them, up to 4; across: what the x axis is."""
    axes = Plot(Canvas(344, title), ticks, 4)
    axes.axes(across)
    for number, (name, y) in enumerate(curves.items()):
        colour, line, height = COLOURS[number], LINES[number], 24 + 28 * number
        shown = y <= axes.top
        points = zip(x[shown].tolist(), y[shown].tolist(), strict=True)
        axes.canvas.path([axes.at(*point) for point in points], colour, 2.5, line)
        axes.canvas.line((axes.right + 16, height), (axes.right + 52, height), colour, 2.5, line)
        axes.canvas.text((axes.right + 60, height + 5), name)
    return axes.canvas.svg()


def focal() -> str:
    """The focal loss of an object over the probability that it is given, for five γ."""
    p = torch.linspace(0.01, 0.999, 120, dtype=torch.float64)
    logits, one = (p / (1 - p)).log(), torch.ones_like(p)
    names = {"γ = 0 (CE)": 0.0, "γ = 0.5": 0.5, "γ = 1": 1.0, "γ = 2": 2.0, "γ = 5": 5.0}
    curves = {name: focal_loss(logits, one, 1.0, gamma) for name, gamma in names.items()}
    return plot("Focal loss", "probability of the true class", (0, 0.2, 0.4, 0.6, 0.8, 1), p, curves)


def box_losses() -> str:
    """Smooth L1 beside L1 and L2, of one difference."""
    x = torch.linspace(-3, 3, 121)
    smooth = F.smooth_l1_loss(x, torch.zeros_like(x), reduction="none")
    curves = {"smooth L1": smooth, "L1": x.abs(), "L2: x² / 2": x.square() / 2}
    return plot("Smooth L1, L1 and L2", "difference of a delta", (-3, -2, -1, 0, 1, 2, 3), x, curves)


def multi_level() -> str:
    """Eight pyramids of six maps, and what SFAM takes together."""
    c, halves, middles, top = M2DetConfig(), [], [], 30.0
    for side in map_sizes(c.image_size, c.scales):
        halves.append(3.8 * side**0.5)
        middles.append(top + halves[-1])
        top += 2 * halves[-1] + 8
    canvas = Canvas(top + 32, "Eight levels of six scales; SFAM takes a row together")
    for side, middle in zip(map_sizes(c.image_size, c.scales), middles, strict=True):
        canvas.text((0, middle + 5), f"{side} × {side}", font_size=14)
        canvas.line((56, middle), (570, middle), GREY, 1, "dotted")
        canvas.arrow((566, middle), (584, middle), RED)
        canvas.text((590, middle + 5), f"{c.levels * c.width}", font_size=14)
    for level in range(c.levels):
        x = 88 + 62 * level
        canvas.text((x, 16), f"TUM {level + 1}", font_size=13, text_anchor="middle")
        for half, middle in zip(halves, middles, strict=True):
            box = (x - half, middle - half, x + half, middle + half)
            canvas.box(box, BLUE, 1.5, fill=BLUE, fill_opacity=round(0.08 + 0.1 * level, 2))
    words = "shallow  →  deep: each TUM sees the largest map of the one before"
    canvas.text((66, canvas.height - 6), words, font_size=14)
    return canvas.svg()


FIGURES = {
    "ssd-default-boxes": default_boxes,
    "fpn-levels": levels_of_regions,
    "retinanet-focal": focal,
    "fast-rcnn-losses": box_losses,
    "m2det-levels": multi_level,
}
