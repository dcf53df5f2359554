"""Figures of steps: what came in, what went on, and who did what to whom.

Few are drawn as boxes, many as points: dots go on, crosses are left behind. What is not drawn is said below.
"""

from collections.abc import Callable

from torch import Tensor

from vedette.glass.figure_maps import grid
from vedette.glass.life import centers_of
from vedette.glass.phrases import capital, listed, many, share
from vedette.glass.record import Reason, Step
from vedette.glass.stage import Stage
from vedette.glass.trace import Trace
from vedette.glass.words import words
from vedette.pages.overlay import Canvas, Panel, canvas_of, overlay

MOST_BOXES, MOST_POINTS, MOST_CAPTIONS, MOST_MOVES = 60, 500, 20, 40


def step_figure(trace: Trace, step: Step) -> str:
    """Of the first look that has the step."""
    if step.name == "anchors":
        return grid(trace, None, None)
    draw: Callable[[Trace, Canvas, Step], tuple[str, list[str]]] = _plain
    if step.name.endswith("suppress"):
        draw = _suppressed
    elif step.name.endswith(("refine", "decode")) and not step.name.startswith("rpn decode"):
        draw = _moved
    content, said = draw(trace, canvas_of(trace.picture), step)
    title = words(trace)[step.name]["title"]
    return overlay(trace.picture, title, [Panel("", content)], [_counts(step), *said])


def _plain(trace: Trace, canvas: Canvas, step: Step) -> tuple[str, list[str]]:
    """Who goes on, and who is left behind."""
    on, off = _ranked(step, step.kept), _ranked(step, ~step.kept)
    boxes, dots = on[:MOST_BOXES], on[MOST_BOXES:]
    parts = [_points(canvas.crosses, step, off), _points(canvas.dots, step, dots)]
    parts += [canvas.box(step.boxes[row].tolist(), "on") for row in reversed(boxes.tolist())]
    parts.append(_captions(trace, canvas, step, boxes))
    others = f" Dots: the others that do, at their centres.{_some_of(len(dots))}" if len(dots) else ""
    said = [f"Solid: what goes on.{others}"]
    if len(off):
        said.append("Crosses: what is left behind." + _some_of(len(off)))
    return "".join(parts), said


def _suppressed(trace: Trace, canvas: Canvas, step: Step) -> tuple[str, list[str]]:
    """Every kept box with those that it drops, a line from each to it."""
    on, off = _ranked(step, step.kept)[:MOST_BOXES], _ranked(step, ~step.kept)[:MOST_BOXES]
    parts = []
    for row in reversed(off.tolist()):
        parts.append(canvas.box(step.boxes[row].tolist(), "off"))
        by = int(step.by[row])
        if by >= 0:
            (x, y, _, _), (to_x, to_y, _, _) = step.boxes[row].tolist(), step.boxes[by].tolist()
            parts.append(canvas.line((x, y), (to_x, to_y)))
    parts += [canvas.box(step.boxes[row].tolist(), "on") for row in reversed(on.tolist())]
    parts.append(_captions(trace, canvas, step, on))
    said = ["Solid: what stays. Dashed: what goes; a thin line leads to the box that did it."]
    if not bool(step.kept.all()):
        told = step.overlap[~step.kept]
        low, high = f"{float(told.min()):.2f}", f"{float(told.max()):.2f}"
        said.append(f"The overlap (IoU) of the two is {low if low == high else f'{low} to {high}'}.")
    if max(int(step.kept.sum()), int((~step.kept).sum())) > MOST_BOXES:
        said.append(f"Of each the best {MOST_BOXES} are drawn.")
    return "".join(parts), said


def _moved(trace: Trace, canvas: Canvas, step: Step) -> tuple[str, list[str]]:
    """From where to where boxes move, and who is left behind."""
    stage = _stage_of(trace, step)
    before = _before(trace, stage, step)
    on, off = _ranked(step, step.kept), _ranked(step, ~step.kept)
    moves = on[:MOST_MOVES].tolist()
    parts = [_points(canvas.crosses, step, off), _points(canvas.dots, step, on[MOST_MOVES:])]
    if moves:
        parts += [canvas.box(before[moves[0]].tolist(), "from"), canvas.box(step.boxes[moves[0]].tolist(), "on")]
    starts, ends = centers_of(before), centers_of(step.boxes)
    parts += [canvas.arrow(starts[row], ends[row]) for row in reversed(moves)]
    parts.append(_captions(trace, canvas, step, on[:1]))
    said = [
        f"Dotted to solid: the best one's move. Arrows: the centres of the best {min(MOST_MOVES, max(len(on), 1))}."
    ]
    if len(on) > MOST_MOVES:
        said.append("Dots: the others that go on, at their centres." + _some_of(len(on) - MOST_MOVES))
    if len(off):
        said.append("Crosses: what is left behind." + _some_of(len(off)))
    return "".join(parts), said


def _stage_of(trace: Trace, step: Step) -> Stage:
    return next(stage for stage in trace.passes[step.look].stages if step.name in stage.names)


def _before(trace: Trace, stage: Stage, step: Step) -> Tensor:
    """(N, 4) where the step's rows lay before it, in the picture's pixels."""
    first = step.name.endswith("refine") or stage.moved is None
    own = stage.references if first or stage.moved is None else stage.moved
    return trace.passes[step.look].frame.boxes(own[step.rows])


def _ranked(step: Step, chosen: Tensor) -> Tensor:
    """Rows by descending score."""
    rows = chosen.nonzero().flatten()
    return rows[step.scores[rows].argsort(descending=True, stable=True)]


def _points(draw: Callable[[list[tuple[float, float]]], str], step: Step, rows: Tensor) -> str:
    """At the centres of boxes, the best of them."""
    return draw(centers_of(step.boxes[rows[:MOST_POINTS]]))


def _some_of(count: int) -> str:
    return f" The best {MOST_POINTS:,} of {count:,} are drawn." if count > MOST_POINTS else ""


def _captions(trace: Trace, canvas: Canvas, step: Step, rows: Tensor) -> str:
    """Of the best of the rows; none where the network begins, for nobody has scored them yet."""
    if step.name == trace.passes[step.look].stages[0].enter:
        return ""
    captions = []
    for row in rows[:MOST_CAPTIONS].tolist():
        label = int(step.labels[row])
        name = f"{trace.classes[label]} " if label >= 0 else ""
        x, y = step.boxes[row, :2].tolist()
        captions.append(((x, y), f"{name}{share(float(step.after[row]))}"))
    return canvas.captions(captions)


def _counts(step: Step) -> str:
    """ "32 came in, one went on; 31 suppressed." """
    lost = [f"{number:,} {reason}" for reason, number in step.counts().items() if reason != Reason.KEPT]
    went = f"{capital(many(len(step), 'candidate'))} came in, {int(step.kept.sum()):,} went on"
    return f"{went}; {listed(lost)}." if lost else f"{went}."
