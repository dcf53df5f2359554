"""Pictures of the pages on R-CNN, SPPNet, Fast R-CNN and Faster R-CNN: nothing here is learned, it is all geometry."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor

from learn.canvas import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, Box, Canvas, Panel, panels, panels_height, show
from learn.demo import PERSON, SHUTTLE, photo
from vedette.data.selective_search import proposals
from vedette.ops.boxes import inside
from vedette.ops.images import to_input
from vedette.ops.roi import numbered, roi_max_pool
from vedette.papers.faster_rcnn import FasterRCNNConfig
from vedette.papers.rcnn import warp
from vedette.papers.sppnet import SPPNetConfig, pool_pyramid, project
from vedette.parts.anchors import pyramid_anchors, region_shapes
from vedette.structures import InputSpec

LOOKS = ((BLUE, "solid"), (ORANGE, "dashed"), (GREEN, "dotted"))
INPUT = (600, 903)  # height and width of chelsea.jpg with its short side at 600 pixels
OBJECT = (270.0, 165.0, 720.0, 550.0)  # a region there: the cat's face


def searched() -> str:
    """The first hundred regions of selective search."""
    picture = photo("astronaut")
    canvas = Canvas(panels_height(2, picture.size, 2), "The first 10 and the first 100 regions of selective search")
    found = proposals(picture).tolist()
    for panel, count in zip(
        panels(canvas, ["its first 10 regions", "its first 100"], picture.size, 2), (10, 100), strict=True
    ):
        show(panel, picture)
        for number, box in enumerate(found[:count]):
            panel.canvas.box(panel.placed(box), LOOKS[number % 3][0], width=1.5, halo=False)
    return canvas.svg()


def warped() -> str:
    """Six regions as R-CNN's network sees them: squares, with context around them."""
    picture = photo("astronaut")
    head, badge, helmet, flag = (153, 15, 301, 192), (134, 348, 209, 423), (277, 345, 508, 512), (0, 0, 96, 240)
    boxes = torch.tensor([PERSON, head, badge, SHUTTLE, helmet, flag])
    pixels = to_input(picture, InputSpec(size=512))[None].float()
    own = torch.zeros(len(boxes), dtype=torch.long)
    seen = warp(pixels, boxes.float(), own, torch.tensor([[512, 512]]), side=227, context=16)
    canvas = Canvas(panels_height(6, (1, 1), 6), "Regions warped to squares of 227 pixels with 16 pixels of context")
    titles = [f"{x2 - x1} × {y2 - y1}" for x1, y1, x2, y2 in boxes.tolist()]
    for number, (panel, one) in enumerate(zip(panels(canvas, titles, (227, 227), 6), seen, strict=True)):
        cut = Image.fromarray(one.round().clamp(0, 255).byte().permute(1, 2, 0).numpy())
        show(panel, cut, f"region{number}", pixels=120)
        panel.canvas.box(panel.placed((16, 16, 211, 211)), "#fff", width=1, line="dashed", halo=False)
    return canvas.svg()


def pyramid() -> str:
    """A region's window on the map at stride 16, and the bins of the four levels of SPPNet's pyramid."""
    cells = project(torch.tensor([OBJECT]), 16, 0.0, (38, 57))
    levels, image = SPPNetConfig().levels, torch.zeros(1, dtype=torch.long)
    ranges = bins(lambda x: pool_pyramid(x, cells, image, levels))
    canvas, first = Canvas(panels_height(4, INPUT[::-1], 2), "The bins of SPPNet's pyramid in a region"), 0
    titles = [f"{n} × {n} bin{'s' * (n > 1)}" for n in levels]
    for panel, n in zip(panels(canvas, titles, INPUT[::-1], 2), levels, strict=True):
        show(panel, photo("chelsea"))
        panel.grid((16, 16), width=0.4)
        draw_bins(panel, ranges[first : first + n * n])
        panel.canvas.box(panel.placed(OBJECT), RED, width=2.5, line="dashed")
        first += n * n
    return canvas.svg()


def roi_pooling() -> str:
    """A region, rounded to cells of stride 16, and its 7 × 7 parts."""
    region = numbered(torch.tensor([[OBJECT]]))
    ranges = bins(lambda x: roi_max_pool(x, region, 7, 1 / 16))
    canvas = Canvas(panels_height(2, INPUT[::-1], 2), "RoI pooling: a region on the map, and its 7 × 7 parts")
    whole = (*ranges[0][:2], *ranges[-1][2:])
    titles = ["rounded to whole cells", "7 × 7 parts of them"]
    for panel, parts in zip(panels(canvas, titles, INPUT[::-1], 2), ([whole], ranges), strict=True):
        show(panel, photo("chelsea"))
        panel.grid((16, 16), width=0.4)
        draw_bins(panel, parts)
        panel.canvas.box(panel.placed(OBJECT), RED, width=2.5, line="dashed")
    return canvas.svg()


def draw_bins(panel: Panel, ranges: Sequence[Sequence[float]], stride: int = 16) -> None:
    """Bins as outlines around the cells that they read."""
    for x1, y1, x2, y2 in ranges:
        box = panel.placed((x1 * stride, y1 * stride, (x2 + 1) * stride, (y2 + 1) * stride))
        panel.canvas.box(box, BLUE, width=1.5, halo=False, fill=BLUE, fill_opacity=0.14)


def bins(pool: Callable[[Tensor], Tensor]) -> list[Box]:
    """First and last column and row that each bin reads, told by the pooling itself: the extremes of their numbers."""
    columns = torch.arange(57.0).expand(1, 1, 38, 57)
    rows = torch.arange(38.0)[:, None].expand(1, 1, 38, 57)
    sides = -pool(-columns), -pool(-rows), pool(columns), pool(rows)
    found: list[Box] = torch.stack([side.flatten() for side in sides], 1).tolist()
    return found


def nine_anchors() -> str:
    """The nine anchors of one cell, on a picture of 1000 × 600."""
    frame = 160.0  # of white around the picture, in its pixels
    size = (1000 + 2 * frame, 600 + 2 * frame)
    canvas = Canvas(panels_height(3, size, 3) + 4, "The nine anchors of a cell in the middle of 1000 × 600 pixels")
    titles = ["128² at 1:2, 1:1, 2:1", "256²", "512²"]
    shapes = region_shapes(*numbers()).view(3, 3, 2)  # ratio, size
    for column, panel in enumerate(panels(canvas, titles, size, 3)):
        ground = Panel(canvas, *panel.at(frame, frame), panel.scale, (1000, 600))
        show(ground, photo("chelsea").resize((500, 300)))
        for (wide, high), (colour, line) in zip(shapes[:, column].tolist(), LOOKS, strict=True):
            x, y = 504, 296  # the middle of cell 31, 18
            canvas.box(
                ground.placed((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)), colour, width=2, line=line
            )
    return canvas.svg()


def inside_anchors() -> str:
    """Where on 1000 × 600 pixels the centre of an anchor may lie, so that it does not cross the border."""
    sizes, ratios = numbers()
    anchors = pyramid_anchors((sizes,), ratios, (16,), ((38, 63),), (600, 1000), "centre").boxes
    whole = inside(anchors, torch.tensor([[600, 1000]]))[0].view(38, 63, 9)
    shapes = region_shapes(sizes, ratios).round().int().tolist()
    titles = [f"{wide} × {high}: {int(whole[..., k].sum())}" for k, (wide, high) in enumerate(shapes)]
    canvas = Canvas(panels_height(9, (1008, 608), 3), "Where the centres of anchors lie that do not cross the border")
    for k, panel in enumerate(panels(canvas, titles, (1008, 608), 3)):
        canvas.box(panel.placed((0, 0, 1000, 600)), GREY, 1, halo=False, fill="#eef1f4")
        cells = whole[..., k].nonzero()
        if len(cells):
            (top, left), (low, right) = cells.amin(0).tolist(), cells.amax(0).tolist()
            box = panel.placed((left * 16, top * 16, right * 16 + 16, low * 16 + 16))
            canvas.box(box, BLUE, width=1, halo=False, fill=BLUE, fill_opacity=0.35)
    return canvas.svg()


def numbers() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The paper's sizes and ratios."""
    config = FasterRCNNConfig()
    return config.anchor_sizes[0], config.aspect_ratios


def projection() -> str:
    """A proposal in the picture, on the map, and as 7 × 7 values."""
    canvas = Canvas(panels_height(2, INPUT[::-1], 2) + 40, "A proposal's way from the picture to the map")
    titles = [f"picture: {INPUT[1]} × {INPUT[0]} pixels", "map: 57 × 38 cells of 16 pixels"]
    picture, feature = panels(canvas, titles, INPUT[::-1], 2)
    for panel in (picture, feature):
        show(panel, photo("chelsea"))
        panel.canvas.box(panel.placed(OBJECT), RED, width=2.5, line="dashed")
    feature.grid((16, 16), width=0.6)
    canvas.arrow(picture.at(720, 357), feature.at(270, 357), PURPLE)
    x1, y1, x2, y2 = OBJECT
    words = [f"{x1:g}, {y1:g} to {x2:g}, {y2:g}", f"÷ 16 = {x1 / 16:g}, {y1 / 16:g} to {x2 / 16:g}, {y2 / 16:g}"]
    for panel, line in zip((picture, feature), words, strict=True):
        canvas.text((panel.left, canvas.height - 14), line, fill=INK)
    return canvas.svg()


FIGURES = {
    "rcnn-search": searched,
    "rcnn-warp": warped,
    "sppnet-pyramid": pyramid,
    "fast-rcnn-pooling": roi_pooling,
    "faster-rcnn-anchors": nine_anchors,
    "faster-rcnn-inside": inside_anchors,
    "faster-rcnn-projection": projection,
}
