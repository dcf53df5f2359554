"""Figures of a trace for notebooks, papers and slides: SVG that needs nothing else.

    trace.figure("suppress").save("x.svg")
    trace.figure("scores", label=14)

Names are those of the steps of the trace, and
    grid        the cells of a level, or of all of them, with the anchors of one cell
    objectness  how sure the ARM or the RPN is that there is an object, cell by cell
    scores      the same for a class, by default that of the strongest candidate
    matches     which anchors learn which object of the target, and which background is mined
    diagram     the paper's figure of the network
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vedette.errors import InputError
from vedette.glass.diagram import diagram
from vedette.glass.figure_maps import grid, objectness, scores
from vedette.glass.figure_matches import matches
from vedette.glass.figure_steps import step_figure
from vedette.glass.trace import Trace

Draw = Callable[[Trace, int | None, int | None], str]
OTHERS: dict[str, Draw] = {"grid": grid, "objectness": objectness, "scores": scores, "matches": matches}


@dataclass(frozen=True)
class Figure:
    """One figure."""

    name: str
    svg: str

    def save(self, path: str | Path) -> None:
        """Writes the SVG; raises InputError for another suffix and where the file cannot be written."""
        if Path(path).suffix.lower() != ".svg":
            raise InputError(f"{path}: figures are SVG; give a name that ends in .svg")
        try:
            Path(path).write_text(self.svg, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None

    def _repr_svg_(self) -> str:
        return self.svg


def figure(trace: Trace, name: str, level: int | None = None, label: int | None = None) -> Figure:
    """The figure of that name; level: one map alone, 0 the finest; label: which class's scores.

    Raises InputError for a name, a level or a label that there is not, and for what this detector or trace lacks.
    """
    if label is not None and not 0 <= label < trace.num_classes:
        raise InputError(f"label is {label}: this detector has 0 to {trace.num_classes - 1}")
    if name == "diagram":
        return Figure(name, diagram(trace.detector.model, trace))
    if name in OTHERS:
        return Figure(name, OTHERS[name](trace, level, label))
    steps = dict.fromkeys(step.name for step in trace.steps)
    if name not in steps:
        raise InputError(f"no figure {name!r}: there are {', '.join([*steps, *OTHERS, 'diagram'])}")
    return Figure(name, step_figure(trace, trace.step(name)))
