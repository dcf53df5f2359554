"""Figures of levels: their grids with anchors, and heat maps over them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.glass.guide import Guide
from vedette.glass.levels import Level
from vedette.glass.phrases import in_words, many, plain, share
from vedette.glass.trace import Trace
from vedette.pages.overlay import Canvas, Panel, canvas_of, overlay


def grid(trace: Trace, level: int | None, label: int | None) -> str:
    """The cells of every level, and the anchors of the cell from which the strongest candidate came, or the "
    "middle's."""
    levels = _levels(trace, level)
    canvas, panels = canvas_of(trace.picture, len(levels)), []
    for number in levels:
        one = trace.levels()[number]
        boxes = _anchors_of_a_cell(trace, number, one)
        drawn = _lines(trace, canvas, one) + "".join(canvas.box(box, "on") for box in boxes)
        panels.append(Panel(_said(one), drawn))
    total = sum(one.count for one in trace.levels())
    said = [f"{many(total, 'anchor')} on {many(len(trace.levels()), 'level')}; solid: those of one cell."]
    if len(levels) == 1:
        own = trace.levels()[levels[0]]
        said.insert(0, f"{_said(own).capitalize()}, {in_words(own.per_cell)} anchors each.")
    return overlay(trace.picture, "The grids, and the anchors of a cell", panels, said)


def objectness(trace: Trace, level: int | None, label: int | None) -> str:
    """Of the first stage, by whoever is asked there."""
    stage = trace.passes[0].stages[0]
    if stage.moved is None:
        raise InputError(f"nobody asks {type(trace.detector.model).__name__} for objects of any class: give 'scores'")
    who = "RPN" if stage.name else "ARM"
    return _heat(trace, level, stage.objectness, f"How sure the {who} is of an object", "object")


def scores(trace: Trace, level: int | None, label: int | None) -> str:
    """Of one class in the last stage; raises InputError where that looks at regions."""
    stage = trace.passes[0].stages[-1]
    if stage.enter != "anchors":
        raise InputError(f"{type(trace.detector.model).__name__} scores regions, not cells: give 'floor'")
    hero = Guide(trace).hero
    own = label if label is not None else 0 if hero is None else hero.label
    return _heat(trace, level, stage.scores[:, own], f"Scores of {trace.classes[own]}", trace.classes[own])


def _heat(trace: Trace, level: int | None, values: Tensor, title: str, name: str) -> str:
    levels, every = _levels(trace, level), trace.levels()
    canvas, most, panels = canvas_of(trace.picture, len(levels)), float(values.max()), []
    for number in levels:
        one = every[number]
        cells = values[one.first : one.first + one.count].view(one.rows, one.columns, one.per_cell).amax(2)
        best = int(cells.argmax())
        row, column = divmod(best, one.columns)
        across, down = _step(trace, one)
        drawn = canvas.heat(cells.tolist(), (across, down), most)
        drawn += canvas.captions([(((column + 0.5) * across, (row + 1) * down), f"● {share(float(cells.max()))}")])
        panels.append(Panel(_said(one), drawn))
    said = [
        f"A cell is the more filled the higher its best anchor scores for {name}: fully at {share(most)}.",
        "The number stands by the best cell of each level.",
    ]
    return overlay(trace.picture, title, panels, said)


def _levels(trace: Trace, level: int | None) -> Sequence[int]:
    count = len(trace.levels())
    if level is None:
        return range(count)
    if not 0 <= level < count:
        raise InputError(f"level is {level}: this detector has 0 to {count - 1}, fine to coarse")
    return [level]


def _said(one: Level) -> str:
    return f"stride {plain(one.stride[0], 1)}: {one.rows} × {one.columns} cells"


def _step(trace: Trace, one: Level) -> tuple[float, float]:
    """A cell's width and height in the picture's pixels."""
    across, down = trace.passes[0].frame.scale.tolist()
    return one.stride[0] * across, one.stride[1] * down


def _lines(trace: Trace, canvas: Canvas, one: Level) -> str:
    return canvas.grid(one.rows, one.columns, _step(trace, one))


def _anchors_of_a_cell(trace: Trace, number: int, one: Level) -> list[list[float]]:
    """In the picture's pixels."""
    hero, cell = Guide(trace).hero, (one.rows // 2) * one.columns + one.columns // 2
    if hero is not None and hero.look is trace.passes[0]:
        place = trace.where(torch.tensor(hero.anchor))
        if int(place.level) == number:
            cell = int(place.row) * one.columns + int(place.column)
    first = one.first + cell * one.per_cell
    own = trace.passes[0].stages[0].references[first : first + one.per_cell]
    boxes: list[list[float]] = trace.passes[0].frame.boxes(own).tolist()
    return boxes
