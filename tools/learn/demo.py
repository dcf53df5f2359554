"""The demo photographs, the bundled detector and what it makes of them, and objects that were boxed by hand."""

from functools import cache
from importlib.resources import as_file, files

import torch
from PIL import Image
from torch import Tensor

import vedette
from learn.canvas import Box, Canvas, Panel, panels, panels_height, show
from vedette.glass.trace import Trace
from vedette.infer.detector import Detector

PHOTOS = files("vedette") / "assets" / "demo"
# in astronaut.jpg
PERSON, FACE, SHUTTLE = (20, 15, 366, 512), (175, 60, 275, 190), (355, 0, 472, 290)
PATCH, STAR = (278, 340, 329, 378), (24, 52, 50, 82)


@cache
def photo(name: str) -> Image.Image:
    """A demo photograph by its name."""
    with as_file(PHOTOS / f"{name}.jpg") as path, Image.open(path) as picture:
        return picture.convert("RGB")


@cache
def detector() -> Detector:
    """The bundled RefineDet."""
    return vedette.load("refinedet320-lite0", device="cpu")


@cache
def trace(name: str, score: float = 0.5) -> Trace:
    """What the bundled detector makes of a photograph."""
    return vedette.explain(detector(), photo(name), score=score)


def in_input(box: Box, picture: Image.Image, side: float = 320) -> Tensor:
    """(4,) a box of the picture in the pixels of an input that is warped to a square."""
    return torch.tensor(box, dtype=torch.float32) * torch.tensor([side / picture.width, side / picture.height] * 2)


def photo_panels(
    title: str, titles: list[str], picture: Image.Image, columns: int = 2, size: tuple[float, float] = (320, 320)
) -> tuple[Canvas, list[Panel]]:
    """The same photograph in several panels, in the pixels of an input of that size."""
    canvas = Canvas(panels_height(len(titles), size, columns), title)
    made = panels(canvas, titles, size, columns)
    for panel in made:
        show(panel, picture)
    return canvas, made


def heat(panel: Panel, cells: Tensor, colour: str) -> None:
    """Cells (rows, columns) from 0 to 1 as colour that grows thicker; what is below one in fifteen is left out."""
    rows, columns = cells.shape
    wide, high = panel.size[0] / columns, panel.size[1] / rows
    panel.canvas.box(panel.placed((0, 0, *panel.size)), width=0, halo=False, fill="#fff", fill_opacity=0.45)
    for row, column in (cells > 1 / 15).nonzero().tolist():
        cell = panel.placed((column * wide, row * high, (column + 1) * wide, (row + 1) * high))
        panel.canvas.box(
            cell, width=0, halo=False, fill=colour, fill_opacity=round(0.85 * float(cells[row, column]), 2)
        )
