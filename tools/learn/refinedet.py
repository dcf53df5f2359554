"""Pictures of the page on RefineDet, all from the bundled detector and the demo photographs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from learn.canvas import BLUE, GREEN, INK, ORANGE, RED, Canvas, Panel, panels, panels_height, show
from learn.demo import PATCH, PERSON, STAR, detector, heat, in_input, photo, photo_panels, trace
from vedette.glass.levels import Level, levels_of
from vedette.ops.boxes import iou
from vedette.papers.refinedet import RefineDet

WIDE = (320, 320 * 300 / 451)  # of a panel with chelsea.jpg, which is not square
MOVES = ((GREEN, "dotted", "anchor"), (BLUE, "dashed", "after the ARM"), (RED, "solid", "after the ODM"))
SHAPES = ((ORANGE, "dashed"), (BLUE, "solid"), (GREEN, "dotted"))  # wide, square, high


def model() -> RefineDet:
    """The bundled network."""
    network = detector().model
    assert isinstance(network, RefineDet)
    return network


def levels() -> list[Level]:
    """Of the anchors, the same on every photograph."""
    look = trace("astronaut").passes[0]
    assert look.anchors is not None
    return levels_of(look.anchors, look.padded)


def strides() -> str:
    """The four grids, and the three anchors of one cell of each."""
    own = levels()
    titles = [f"stride {level.stride[0]:g}: {level.rows} × {level.columns} cells" for level in own]
    canvas, shown = photo_panels(
        "Grids of stride 8, 16, 32 and 64 with the anchors of a cell", titles, photo("astronaut")
    )
    for panel, level in zip(shown, own, strict=True):
        panel.grid(level.stride, width=0.6 if level.rows > 20 else 1)
        row, column = (int(at // step) for at, step in zip((70, 142), reversed(level.stride), strict=True))
        first = level.first + (row * level.columns + column) * level.per_cell
        for anchor, (colour, line) in zip(
            model().anchors[first : first + level.per_cell].tolist(), SHAPES, strict=True
        ):
            panel.canvas.box(panel.cut(anchor), colour, line=line)
    return canvas.svg()


def matching() -> str:
    """Which anchors three objects take: many, some, or only the one that is theirs by right."""
    picture = photo("astronaut")
    crops = {
        "person": (PERSON, (0, 0, 512, 512)),
        "patch": (PATCH, (229, 285, 389, 445)),
        "star": (STAR, (0, 20, 96, 116)),
    }
    canvas = Canvas(panels_height(3, (1, 1), 3), "Anchors that a large, a small and a very small object take")
    titles = [title_of(name, in_input(box, picture)) for name, (box, _) in crops.items()]
    for panel, (name, (box, crop)) in zip(panels(canvas, titles, (1, 1), 3), crops.items(), strict=True):
        scale = panel.scale / (crop[2] - crop[0])
        own = Panel(canvas, panel.left - crop[0] * scale, panel.top - crop[1] * scale, scale, picture.size)
        show(panel, picture.crop(crop), name, pixels=260)
        for index in taken(in_input(box, picture)):
            anchor = (model().anchors[index] * 512 / 320).tolist()
            canvas.box(clip(own.placed(anchor), panel), BLUE, width=1.5, line="dashed")
        canvas.box(own.placed(box), RED, width=3)
    return canvas.svg()


def clip(box: Sequence[float], panel: Panel) -> tuple[float, float, float, float]:
    """A box on the canvas cut at a panel of one unit."""
    right, low = panel.left + panel.scale, panel.top + panel.scale
    return max(box[0], panel.left), max(box[1], panel.top), min(box[2], right), min(box[3], low)


def taken(box: Tensor) -> list[int]:
    """The anchors that an object alone in its picture takes (4,): those from IoU 0.5 on, or its best."""
    overlap = iou(box[None], model().anchors)[0]
    return sorted({*(overlap >= 0.5).nonzero().flatten().tolist(), int(overlap.argmax())})


def title_of(name: str, box: Tensor) -> str:
    """What an object is and how many anchors it takes."""
    count, best = len(taken(box)), float(iou(box[None], model().anchors).max())
    return f"{name}: {count}, IoU ≤ {best:.2f}"


def objectness() -> str:
    """What the ARM says of the cells of each level, the best of a cell's three anchors."""
    parts = parts_of(trace("astronaut").step("refine").scores)
    words = [f"at most {float(part.max()):.2f}" for part in parts]
    heats = [part.amax(2) for part in parts]
    return by_level("How sure the ARM is of an object, by level", "astronaut", words, heats, BLUE)


def filtered() -> str:
    """Which share of each cell's anchors the ARM filters."""
    parts = parts_of((~trace("chelsea").step("refine").kept).float())
    words = [f"{int(part.sum())} of {part.numel()}" for part in parts]
    heats = [part.mean(2) for part in parts]
    return by_level("Anchors that the ARM filters as easy, by level", "chelsea", words, heats, INK)


def parts_of(values: Tensor) -> list[Tensor]:
    """Values of all anchors (A,) as those of each level: rows, columns, anchors of a cell."""
    return [values[one.first : one.first + one.count].view(one.rows, one.columns, one.per_cell) for one in levels()]


def by_level(title: str, name: str, words: Sequence[str], heats: Sequence[Tensor], colour: str) -> str:
    """Heat on the four levels of a photograph, a word on each."""
    picture = photo(name)
    titles = [f"stride {level.stride[0]:g}: {word}" for level, word in zip(levels(), words, strict=True)]
    canvas, shown = photo_panels(title, titles, picture, size=(320, 320 * picture.height / picture.width))
    for panel, cells in zip(shown, heats, strict=True):
        heat(panel, cells, colour)
    return canvas.svg()


def first_move() -> str:
    """The anchors of the coarsest level that the ARM is surest of, before and after its move."""
    look, last = trace("astronaut").passes[0], levels()[-1]
    arm, anchors = look.predictions.arm, look.predictions.anchors
    surest = (1 - model().emptiness(arm)[0, last.first :]).topk(8).indices + last.first
    moved = model().refine(arm, anchors)[0]
    titles = ["eight anchors", "the same, moved by the ARM"]
    canvas, shown = photo_panels("Anchors before and after the ARM's move", titles, photo("astronaut"))
    for panel, boxes in zip(shown, (anchors, moved), strict=True):
        for number, box in enumerate(boxes[surest].tolist()):
            colour, line = SHAPES[number % 3]
            panel.canvas.box(panel.cut(box), colour, width=2, line=line)
    return canvas.svg()


def context() -> str:
    """Scores of cat on the two finest levels, without and with what the TCBs bring from the coarser ones."""
    own = levels()[:2]
    scores = [alone_and_together(level) for level in own]
    titles = [
        f"stride {level.stride[0]:g}, {words}: ≤ {float(part.max()):.3f}"
        for level, pair in zip(own, scores, strict=True)
        for words, part in zip(("alone", "with context"), pair, strict=True)
    ]
    canvas, shown = photo_panels(
        "Scores of cat without and with the coarser levels", titles, photo("chelsea"), size=WIDE
    )
    most = max(float(alone.max()) for alone, _ in scores)
    for panel, part in zip(shown, (part for pair in scores for part in pair), strict=True):
        heat(panel, part / most, RED)
    return canvas.svg()


def alone_and_together(level: Level) -> list[Tensor]:
    """Scores of cat in the cells of a level, with zeros for the coarser level's map in each TCB, and as they are."""
    network, look = model(), detector().look_in(detector().input_spec)
    inputs = detector().prepare([photo("chelsea")], detector().input_spec)
    with torch.inference_mode():
        maps = network.features(look.pixels(inputs.images, inputs.shapes))
        together = network.transfer(maps)
        coarser = [*together[1:], together[-1]]
        alone = [tcb(x, torch.zeros_like(below)) for tcb, x, below in zip(network.tcbs, maps, coarser, strict=True)]
        cat = detector().classes.index("cat") + 1
        logits = [network.odm(network.odm_blocks(some)).logits for some in (alone, together)]
    chosen = slice(level.first, level.first + level.count)
    return [x.softmax(-1)[0, chosen, cat].view(level.rows, level.columns, -1).amax(2) for x in logits]


def two_steps() -> str:
    """The anchor of each photograph's detection, after the first and after the second move."""
    names = {"person": "astronaut", "cat": "chelsea"}
    ways = {what: moves(name) for what, name in names.items()}
    overlaps = {what: iou(way[:2], way[2:]).flatten().tolist() for what, way in ways.items()}
    titles = [f"{what}: IoU {first:.2f}, then {second:.2f}" for what, (first, second) in overlaps.items()]
    canvas = Canvas(panels_height(2, (1, 1), 2) + 34, "Anchor, refined anchor and final box of a person and of a cat")
    for panel, (what, way) in zip(panels(canvas, titles, (320, 320), 2), ways.items(), strict=True):
        show(panel, photo(names[what]), what)
        for box, (colour, line, _) in zip(way.tolist(), MOVES, strict=True):
            panel.canvas.box(panel.cut(box), colour, width=3, line=line)
    for number, (colour, line, words) in enumerate(MOVES):
        canvas.line((200 * number, canvas.height - 12), (200 * number + 40, canvas.height - 12), colour, 3, line)
        canvas.text((200 * number + 48, canvas.height - 7), words)
    return canvas.svg()


def moves(name: str) -> Tensor:
    """(3, 4) the anchor of a photograph's best detection, that anchor refined, and the detection, in the input."""
    found, look = trace(name), trace(name).passes[0]
    row = found.detections.source[:1]
    arm, _, anchors = look.predictions
    final = model().boxes_at(look.predictions, row[None])[0]
    return torch.cat([anchors[row], model().refine(arm, anchors)[0, row], final])


FIGURES = {
    "refinedet-strides": strides,
    "refinedet-matching": matching,
    "refinedet-objectness": objectness,
    "refinedet-first-move": first_move,
    "refinedet-context": context,
    "refinedet-filtered": filtered,
    "refinedet-two-steps": two_steps,
}
