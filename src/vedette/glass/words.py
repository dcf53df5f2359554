"""What each step does, in plain words for one who never read the paper, with the paper's equation and its place.

    words(trace)["suppress"]  # {"title", "text", "equation", "paper", "code"}

`equation` is MathML, "" where there is none; `paper` says where the paper has it, `code` is our symbol. Numbers are
those of the model's config, of its anchors and of the trace.
"""

from vedette.glass.citations import cited
from vedette.glass.levels import levels_of
from vedette.glass.papers import paper_of
from vedette.glass.phrases import Told, listed, plain
from vedette.glass.record import Step
from vedette.glass.say import say
from vedette.glass.trace import Trace
from vedette.glass.words_enter import anchors, regions
from vedette.glass.words_find import decode, frame, keep, merge_suppress, pick, scores, suppress
from vedette.glass.words_refine import refine, too_small
from vedette.pages.mathml import mathml


def words(trace: Trace, look: int = 0) -> dict[str, dict[str, str]]:
    """Of every step of a look, by its name; and of how several looks are merged."""
    values = {step.name: values_of(trace, step) for step in _steps(trace, look)}
    return {name: told | {"text": say(told["text"], values[name])} for name, told in templates(trace, look).items()}


def templates(trace: Trace, look: int = 0) -> dict[str, dict[str, str]]:
    """The same, where "text" has places for the picture's own numbers, which are those of `values_of`."""
    paper, told = paper_of(trace.detector.model), dict[str, dict[str, str]]()
    for step in _steps(trace, look):
        soft = trace.passes[0].stages[-1].search.method != "hard" and not step.name.startswith("rpn")
        own, place = _tell(trace, step), cited(paper, step.name, soft)
        equation = mathml(own.equation) if own.equation else ""
        told[step.name] = {"title": own.title, "text": own.text, "equation": equation, **place._asdict()}
    return told


def _steps(trace: Trace, look: int) -> list[Step]:
    return [step for step in trace.steps if step.look == look or step.name.startswith("merge ")]


def values_of(trace: Trace, step: Step) -> dict[str, str | int | float]:
    """What a picture's own numbers are called in the texts: how many came into a step, went on, were lost; its size."""
    look = trace.passes[step.look]
    levels, frame = [] if look.anchors is None else levels_of(look.anchors, look.padded), look.frame
    (high, wide), (width, height), (across, down) = frame.shape.tolist(), frame.size.tolist(), frame.scale.tolist()
    came, on = len(step), int(step.kept.sum())
    numbers = {"came": came, "on": on, "lost": came - on, "width": width, "height": height, "wide": wide, "high": high}
    strides = listed(plain(level.stride[0], 1) for level in levels)
    return numbers | {"across": across, "down": down, "strides": strides}


def _tell(trace: Trace, step: Step) -> Told:
    if step.name == "anchors":
        return anchors(trace)
    if step.name == "regions":
        return regions(trace, step)
    if step.name == "merge suppress":
        return merge_suppress(trace, step)
    stage = next((one for one in trace.passes[step.look].stages if step.name in one.names), trace.passes[0].stages[-1])
    tells = {"refine": refine, "floor": scores, "pick": pick, "suppress": suppress, "keep": keep, "frame": frame}
    tells |= {"decode": decode if stage.last else too_small}
    return tells[step.name.split()[-1]](trace, stage, step)
