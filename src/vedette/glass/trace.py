"""The trace of one picture: how the detector reached each box, and where it lost an object.

    trace = vedette.explain(detector, "photo.jpg")
    for step in trace.steps:
        print(step)

It is made from the very functions that detect, and holds what they left: nothing is detected a second time, and what
costs time (all pairs of anchor and class, receptive fields, JSON) is computed when it is asked for.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from vedette.errors import InputError
from vedette.glass.families import anchors_of, stages_of
from vedette.glass.frame import Frame
from vedette.glass.levels import Level, levels_of
from vedette.glass.lost import Lost, check_object, lost_in_merge, lost_in_stages
from vedette.glass.merge import Merge, merge_of
from vedette.glass.portable import portable
from vedette.glass.receptive import receptive_fields
from vedette.glass.record import Reason, Step
from vedette.glass.regions import Regions, regions_of
from vedette.glass.stage import Stage
from vedette.glass.training import Training, training_of
from vedette.infer.detector import Detector
from vedette.infer.multiscale import Passes, plan_passes
from vedette.infer.multiscale import merge as merge_passes
from vedette.infer.pictures import ImageLike, as_picture
from vedette.pages.class_names import all_unnamed
from vedette.parts.anchors import Anchors, Place
from vedette.parts.detection import check_score, unpad
from vedette.structures import Detections, InputSpec, Target

if TYPE_CHECKING:
    from vedette.glass.figure import Figure


@dataclass(frozen=True, eq=False)
class Pass:
    """One look at the picture: in one size, as it is or mirrored."""

    spec: InputSpec
    frame: Frame
    padded: tuple[int, int]  # height and width of what the network saw
    predictions: Any
    anchors: Anchors | None
    stages: tuple[Stage, ...]
    detections: Detections  # of this look alone

    def __str__(self) -> str:
        """ "320 × 213 px, mirrored"."""
        height, width = self.frame.shape.tolist()
        return f"{width} × {height} px{', mirrored' * self.frame.mirrored}"

    def steps(self) -> Iterator[Step]:
        """Through every stage."""
        for stage in self.stages:
            yield from stage.steps()


@dataclass(frozen=True, eq=False)
class Trace:
    """The glass box of one picture; boxes in its pixels, tensors on the CPU."""

    detector: Detector
    picture: Image.Image
    score: float  # the least that was asked for
    passes: tuple[Pass, ...]
    vote: bool
    target: Target | None = None  # ground truth in the picture's pixels

    @cached_property
    def detections(self) -> Detections:
        """The very ones of `Detector.detect`."""
        found = merge_passes([[one.detections] for one in self.passes], self.detector.model, self.score, self.vote)[0]
        return replace(
            found, classes=self.detector.classes, image=self.picture, category_ids=self.detector.category_ids
        )

    @cached_property
    def steps(self) -> list[Step]:
        """What came in, what went out and why, look by look; of several looks, how they are merged in the end."""
        steps = [replace(step, look=look) for look, one in enumerate(self.passes) for step in one.steps()]
        return steps if self.merge is None else [*steps, *self.merge.steps]

    @cached_property
    def merge(self) -> Merge | None:
        """What became of the detections of several looks; None for one."""
        if len(self.passes) == 1:
            return None
        return merge_of([one.detections for one in self.passes], self.detector.model, self.score, self.vote)

    def step(self, name: str) -> Step:
        """The first step of that name; raises InputError where there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise InputError(f"no step {name!r}: there are {', '.join(dict.fromkeys(step.name for step in self.steps))}")

    def lost(self, box: Tensor | Sequence[float], label: int) -> Lost:
        """Which step lost the object of that class (0..C-1) in that box (4,), in the picture's pixels.

        Raises InputError for a box without area and a label that there is not.
        """
        own = check_object(box, label, self.num_classes)
        looks = [replace(lost_in_stages(one.stages, own, label), look=n) for n, one in enumerate(self.passes)]
        furthest = max(looks, key=lambda lost: (lost.reason == Reason.KEPT, self.order.index(lost.step), lost.iou))
        if self.merge is None or furthest.reason != Reason.KEPT:
            return furthest
        return lost_in_merge(self.merge, self.detections, own, label, furthest)

    @cached_property
    def order(self) -> list[str]:
        """The names of the steps of a look, in their order."""
        return list(dict.fromkeys(step for one in self.passes for stage in one.stages for step in stage.names))

    def figure(self, name: str, level: int | None = None, label: int | None = None) -> "Figure":
        """A figure as SVG: of a step by its name, or "grid", "objectness", "scores", "matches", "diagram".

        level: one of the anchors' levels alone, 0 the finest; label: the class of "scores". Raises InputError for what
        there is not.
        """
        from vedette.glass.figure import figure  # late: figures are drawn from traces

        return figure(self, name, level, label)

    def _repr_html_(self) -> str:
        """For notebooks: what was found, and the network with what became of the picture in it."""
        side = '<div style="flex:1 1 320px;max-width:460px">'
        parts = (self.detections._repr_html_(), self.figure("diagram").svg)
        columns = "".join(f"{side}{part}</div>" for part in parts)
        return f'<div style="display:flex;flex-wrap:wrap;gap:24px;align-items:flex-start">{columns}</div>'

    def _repr_png_(self) -> bytes | None:
        """For notebooks that show no HTML: the picture with what was found."""
        return self.detections._repr_png_()

    def to_json(self, receptive: bool = False) -> str:
        """All of it as a line of JSON, told in `vedette.glass.portable`; receptive: with what cells see, in seconds."""
        return json.dumps(portable(self, receptive), separators=(",", ":"))

    def save(self, path: str | Path) -> None:
        """Writes the page that shows it: one file that needs no network. Raises InputError where it cannot."""
        from vedette.glass.page import View, save_page  # late: a page's words and figures are made from traces
        from vedette.glass.papers import paper_of

        save_page(Path(path), [View(paper_of(self.detector.model), self)])

    @cached_property
    def training(self) -> Training:
        """What the first look's picture teaches, given its `target`: matches, losses, gradients.

        Raises InputError where there is no target.
        """
        if self.target is None:
            raise InputError("without ground truth there is nothing to learn: explain(detector, picture, target)")
        one = self.passes[0]
        inputs = self.detector.prepare([self.picture], one.spec)
        return training_of(self.detector.model_look(one.spec), inputs, one.frame, self.target)

    def where(self, source: Tensor, look: int = 0) -> Place:
        """Level, row, column and shape of the anchors (...) of these indices, as in `Step.source`.

        Raises InputError for a detector without anchors.
        """
        return self._anchors(look).where(source)

    def levels(self, look: int = 0) -> list[Level]:
        """The anchors' levels, their strides and shapes, in the input's pixels."""
        return levels_of(self._anchors(look), self.passes[look].padded)

    def receptive_fields(self, look: int = 0) -> dict[str, Tensor]:
        """(L, 4) of each head: what the middle cell of every level sees, in the input's pixels; takes seconds."""
        return receptive_fields(self.detector.model, self._anchors(look), self.passes[look].padded)

    def regions(self, look: int = 0) -> Regions:
        """Where the regions of the last stage are pooled: level, window and bins, in the order of its rows.

        Raises InputError for a detector of one stage.
        """
        stage = self.passes[look].stages[-1]
        if stage.enter != "regions":
            raise InputError(f"{type(self.detector.model).__name__} pools no regions: it looks at its anchors alone")
        return regions_of(self.detector.model, stage.references, self.passes[look].padded)

    def _anchors(self, look: int) -> Anchors:
        anchors = self.passes[look].anchors
        if anchors is None:
            raise InputError(f"{type(self.detector.model).__name__} has no anchors: its regions come from outside")
        return anchors

    @property
    def classes(self) -> list[str]:
        """The names of the C classes."""
        return list(self.detector.classes or all_unnamed(self.num_classes))

    @property
    def num_classes(self) -> int:
        """C, without background."""
        return self.passes[0].stages[-1].scores.shape[1]


def explain(
    detector: Detector,
    picture: ImageLike,
    target: Target | None = None,
    *,
    score: float = 0.5,
    scales: Sequence[int] | None = None,
    flip: bool = False,
    vote: bool = False,
) -> Trace:
    """The glass box of one picture: its trace, whose `detections` are those of `detector.detect`, told the same.

    target: the picture's ground truth, in its pixels, for what a training would make of it.

    Raises InputError as `detect` does, and for a detector without a model in Python or without anchors and proposals.
    """
    score = check_score(score)
    if not hasattr(detector.model_look(detector.input_spec).model, "find"):
        name = type(detector.model).__name__
        raise InputError(f"{name} has no `find` whose record could be told; docs/own.md, A detector, shows one")
    image = as_picture(picture)
    passes = plan_passes(detector.input_spec, scales, flip, vote)
    return Trace(detector, image, score, tuple(_passes(detector, image, passes, score)), vote, target)


def _passes(detector: Detector, picture: Image.Image, passes: Passes, score: float) -> Iterator[Pass]:
    for spec in passes.specs:
        inputs, look = detector.prepare([picture], spec), detector.model_look(spec)
        for mirrored in passes.flips:
            predictions, found = look.record(inputs.mirrored() if mirrored else inputs, score)
            frame = Frame(inputs.shapes[0], inputs.frames[0], mirrored)
            (own,) = unpad(type(found.kept)(*(column.cpu() for column in found.kept)))
            padded = (inputs.images.shape[2], inputs.images.shape[3])
            stages = stages_of(detector.model, predictions, found, frame)
            anchors = anchors_of(detector.model, predictions)
            yield Pass(spec, frame, padded, predictions, anchors, stages, frame.detections(own))
