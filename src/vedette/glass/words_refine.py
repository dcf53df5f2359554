"""The first move in words: RefineDet's anchor refinement module, and region proposal networks."""

from typing import Any

from vedette.glass.phrases import Told, as_set, plain
from vedette.glass.record import Step
from vedette.glass.stage import Stage
from vedette.glass.trace import Trace

BOXES, CAPITAL_BOXES = "{lost|no boxes|one box|# boxes}", "{^lost|no boxes|one box|# boxes}"  # as `say` fills them


def moves(std: tuple[float, ...], before: str = "a") -> str:
    """A box decoded from its deltas: BoxCoder's formula with the numbers that it multiplies by."""
    s_x, _, s_w, _ = (f"{plain(value)} " if value != 1 else "" for value in std)
    return f"x = x_{before} + {s_x}w_{before} t_x , w = w_{before} e^{{{s_w}t_w}}"


def refine(trace: Trace, stage: Stage, step: Step) -> Told:
    """By the ARM or by the RPN."""
    return _rpn(trace, step) if stage.name else _arm(trace, stage, step)


def too_small(trace: Trace, stage: Stage, step: Step) -> Told:
    """The RPN's boxes once they are cut at the picture."""
    text = (
        "A proposal is cut at the border of the picture. One that has a side of less than "
        f"{plain(stage.search.least_side)} pixels is no object that could be told apart: "
        f"{BOXES} went."
    )
    return Told("Boxes that are large enough", text)


def _arm(trace: Trace, stage: Stage, step: Step) -> Told:
    model: Any = trace.detector.model
    config = model.config
    asks = "The anchor refinement module (ARM) asks of every anchor whether there is any object at all"
    moved = ", and moves and stretches it to fit better" if config.cascade else ""
    equation = moves(config.box_std) if config.cascade else ""
    if stage.theta is None:
        return Told("ARM: the first move", f"{asks}{moved}. None is left out.", equation)
    theta = as_set(stage.theta)
    went = "{lost|none is|one anchor is|# anchors are}"
    filters = f"Where it is surer than {theta} that there is nothing, the anchor is easy and left out, as {went} here."
    rule = f"drop if p_{{background}} > {theta}"
    title = "ARM: first move, easy ones out" if config.cascade else "ARM: easy anchors out"
    return Told(title, f"{asks}{moved}. {filters}", f"{equation} , {rule}" if equation else rule)


def _rpn(trace: Trace, step: Step) -> Told:
    model: Any = trace.detector.model
    text = (
        "The region proposal network (RPN) is small and slides over the map: of every anchor it says how likely "
        "there is "
        "an object of any class, and how the anchor should move and stretch to fit it."
    )
    if model.config.least_side_first:
        side = plain(model.config.least_side)
        text += f" {CAPITAL_BOXES} with a side below {side} pixels of the input went."
    return Told("RPN: the first move", text, moves(model.rpn_coder.std))
