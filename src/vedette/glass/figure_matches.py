"""Figures of what a picture teaches: which anchors learn which object of the target."""

from vedette.glass.life import centers_of
from vedette.glass.phrases import many
from vedette.glass.trace import Trace
from vedette.glass.training import How, Matches, spread
from vedette.pages.overlay import Canvas, Panel, canvas_of, overlay

MOST_NEGATIVES, MOST_POSITIVES = 400, 24


def matches(trace: Trace, level: int | None, label: int | None) -> str:
    """A panel for each head that is trained; raises InputError without a target."""
    heads, target = trace.training.heads, trace.target
    assert target is not None
    canvas = canvas_of(trace.picture, len(heads))
    objects = "".join(canvas.box(box, "gt") for box in target.boxes.tolist())
    named = zip(target.boxes.tolist(), target.labels.tolist(), strict=True)
    names = canvas.captions(((box[0], box[1]), trace.classes[label]) for box, label in named)
    panels = [Panel(_said(head), objects + _drawn(canvas, head) + names) for head in heads]
    said = [] if len(heads) > 1 else [_said(heads[0]).capitalize() + "."]
    said += [
        "White: the objects. Solid: what learns one of them, as it overlaps it enough.",
        f"Dash and dot: what an object takes though it overlaps it less. Of each {MOST_POSITIVES} at most are boxes; "
        "dots: the centres of all.",
        f"Crosses: background that enters the loss, the {MOST_NEGATIVES} of highest loss at most.",
    ]
    return overlay(trace.picture, "What this picture teaches", panels, said)


def _said(head: Matches) -> str:
    positive, negative = head.matched >= 0, head.background
    return f"{head.name}: {many(int(positive.sum()), 'match', 'matches')}, {int(negative.sum()):,} of background"


def _drawn(canvas: Canvas, head: Matches) -> str:
    own = head.matched >= 0
    parts = [
        canvas.crosses(centers_of(head.boxes[head.hardest(MOST_NEGATIVES)])),
        canvas.dots(centers_of(head.boxes[own])),
    ]
    for how, kind in ((How.BY_THRESHOLD, "on"), (How.AS_BEST, "best")):
        boxes = spread(head.boxes[own & (head.how == int(how))], MOST_POSITIVES)
        parts += [canvas.box(box, kind) for box in boxes.tolist()]
    return "".join(parts)
