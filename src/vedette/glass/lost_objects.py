"""Every annotated object of a data set that a detector does not find, with the step that lost it.

An object is found where a detection of at least the score that is asked for hits it by VOC's rules
(`vedette.evaluate.matching.judge`, IoU > 0.5); one that is difficult or a crowd is not looked for. The others are
traced as `Trace.lost` does it, with one thing more: a box that overlaps another object of the class more is that one's.

Shapes: `G` annotated boxes of all images, `S` shapes of anchors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vedette.data.loader import AnnotatedImages, Batch, Proposals, eval_loader, workers_heard
from vedette.evaluate.matching import HIT, Outcomes, judge
from vedette.evaluate.run import LOWEST_SCORE
from vedette.evaluate.truth import Truth
from vedette.glass.families import anchors_of, stages_of
from vedette.glass.frame import Frame
from vedette.glass.lost import REACHES, Lost, lost_in_stages
from vedette.glass.record import Reason
from vedette.glass.stage import Stage
from vedette.infer.detector import Detector
from vedette.infer.look import Inputs, Look, in_frame
from vedette.ops.boxes import iou
from vedette.pages.class_names import all_unnamed
from vedette.parts.detection import check_score, unpad
from vedette.structures import Detections

Progress = Callable[[int, int], None]  # hears of images done, and of all
Kind = tuple[str, Reason]  # of a loss: the step, and why


@dataclass(frozen=True, eq=False)
class LostObject:
    """One object that is not found."""

    image: int
    row: int  # among the annotated boxes of all images
    label: int
    box: tuple[float, ...]  # annotated pixels, as those in `lost`
    lost: Lost
    crowded: bool  # what suppressed its best candidate lies on another object of the class

    @property
    def kind(self) -> "Kind":
        """What lost it."""
        return self.lost.step, self.lost.reason


@dataclass(frozen=True, eq=False)
class Survey:
    """What a detector finds and loses on a data set."""

    classes: tuple[str, ...]
    score: float  # from which on a detection counts as found
    truths: Sequence[Truth]
    found: Sequence[Detections]  # of each image, down to the score from which on AP counts
    lost: tuple[LostObject, ...]
    steps: tuple[str, ...]  # the names of the detector's steps, in their order
    sides: Tensor  # (G, 2) widths and heights of all annotated boxes in pixels of the input
    shapes: Tensor  # (S, 2) those of the anchors, each once; (0, 2): no anchors
    config: Any  # the model's
    input_side: int  # the InputSpec's size

    @cached_property
    def outcomes(self) -> Outcomes:
        """The judgement over all that is found."""
        return judge(self.found, self.truths)

    @cached_property
    def kinds(self) -> list[Kind]:
        """The steps and reasons that lost objects, in the order of the steps."""
        kinds = {one.kind for one in self.lost}
        return sorted(kinds, key=lambda kind: (self.steps.index(kind[0]), kind[1].code))

    def of(self, kind: Kind, label: int | None = None) -> list[LostObject]:
        """What is lost so, of one class or of all."""
        return [one for one in self.lost if one.kind == kind and label in (None, one.label)]


def find_lost(
    detector: Detector,
    dataset: AnnotatedImages,
    truths: Sequence[Truth],
    *,
    score: float = 0.5,
    batch_size: int = 16,
    workers: int = 2,
    bf16: bool = False,
    proposals: Proposals | None = None,
    progress: Progress | None = None,
) -> Survey:
    """Looks at every image once; images in which nothing is lost cost no more than they do to evaluate.

    truths: of the data set's images, labels into the detector's classes (`truths_for`). proposals: for a model that
    needs them. progress: called with the images done and all images, after each batch.

    Raises InputError for an image that cannot be read, and for a detector without anchors and proposals.
    """
    score = float(np.float32(check_score(score)))  # as scores are rounded
    spec, lowest = detector.input_spec, min(score, LOWEST_SCORE)
    look = detector.model_look(spec, bf16)
    found, lost = list[Detections](), list[LostObject]()
    sides, steps, shapes = list[Tensor](), list[str](), dict[int, Tensor]()
    starts = _starts(truths)
    with workers_heard():
        for batch in eval_loader(dataset, spec, batch_size, workers, proposals=proposals):
            inputs = Inputs(batch.images, batch.shapes, batch.sizes, batch.proposals)
            predictions, record = look.record(inputs, lowest)
            rows = zip(unpad(record.kept), batch.shapes, batch.sizes, strict=True)
            found += [in_frame(_on_cpu(one), shape, size) for one, shape, size in rows]
            _note_anchors(shapes, detector.model, predictions)
            for row, index in enumerate(batch.indices):
                sides.append(_input_sides(truths[index].boxes, Frame(batch.shapes[row], batch.sizes[row])))
                missed = missed_rows(found[index], truths[index], score)
                if missed:
                    stages = _stages(look, predictions, row, batch, score)
                    steps = [name for stage in stages for name in stage.names]
                    lost += _traced(stages, truths[index], missed, index, starts[index])
            if progress is not None:
                progress(len(found), len(dataset))
    config: Any = detector.model.config
    outcome: dict[str, Any] = {"truths": truths, "found": found, "lost": tuple(lost), "steps": tuple(steps)}
    return Survey(
        **outcome,
        classes=detector.classes or all_unnamed(config.num_classes),
        score=score,
        sides=torch.cat([torch.zeros(0, 2), *sides]),
        shapes=_distinct(torch.cat([torch.zeros(0, 2), *shapes.values()])),
        config=config,
        input_side=spec.size,
    )


def missed_rows(found: Detections, truth: Truth, score: float) -> list[int]:
    """The rows of the boxes to find that no detection of at least this score hits."""
    outcomes = judge([found], [truth])
    hit = outcomes.truth[(outcomes.kind == HIT) & (outcomes.score >= score)]
    return [row for row in np.flatnonzero(outcomes.counts).tolist() if row not in hit]


def picture_of(predictions: Any, row: int) -> Any:
    """What is predicted of one picture of a batch, as a batch of one; the anchors are those of all."""
    if isinstance(predictions, Tensor):
        return predictions[row : row + 1]
    if not isinstance(predictions, tuple):
        return predictions
    names = getattr(predictions, "_fields", ())
    parts = [part if name == "anchors" else picture_of(part, row) for part, name in zip_longest(predictions, names)]
    return type(predictions)(*parts) if names else tuple(parts)


def _stages(look: Look, predictions: Any, row: int, batch: Batch, score: float) -> Sequence[Stage]:
    """The stages of one picture of the batch; its network is not run again."""
    own = picture_of(predictions, row)
    with torch.inference_mode(), look.autocast(look.normalize.mean.device):
        record = look.model.find(own, score)  # type: ignore[operator]
    return stages_of(look.model, own, record, Frame(batch.shapes[row], batch.sizes[row]))


def _traced(
    stages: Sequence[Stage], truth: Truth, missed: Sequence[int], image: int, start: int
) -> Iterator[LostObject]:
    for row in missed:
        label, box = int(truth.labels[row]), truth.boxes[row].float()
        beside = (truth.labels == label).index_fill(0, torch.tensor([row]), False)
        others = truth.boxes[beside].float()
        lost = lost_in_stages(stages, box[None], label, others)
        if lost.reason == Reason.KEPT:  # an IoU of exactly 0.5 reaches an object and is no hit
            lost = replace(lost, reason=Reason.MISPLACED, step=stages[-1].name + "decode")
        crowded = lost.by is not None and bool((iou(lost.by[None], others) >= REACHES).any())
        yield LostObject(image, start + row, label, tuple(box.tolist()), lost, crowded)


def _input_sides(boxes: Tensor, frame: Frame) -> Tensor:
    """(G, 2) widths and heights of boxes (G, 4) in pixels of the input."""
    return (boxes[:, 2:] - boxes[:, :2]) / frame.scale


def _note_anchors(shapes: dict[int, Tensor], model: Any, predictions: Any) -> None:
    """Keeps the distinct widths and heights of the anchors, once for each size of input."""
    anchors = anchors_of(model, predictions)
    if anchors is not None and id(anchors) not in shapes:
        sides = anchors.boxes[:, 2:] - anchors.boxes[:, :2]
        shapes[id(anchors)] = _distinct(sides.cpu().round(decimals=2))


def _distinct(shapes: Tensor) -> Tensor:
    """(S, 2) each of the shapes once."""
    return torch.tensor(sorted(set(map(tuple, shapes.tolist())))).reshape(-1, 2)


def _starts(truths: Sequence[Truth]) -> list[int]:
    """The place of each image's first box among all boxes."""
    return [0, *accumulate(map(len, truths))]


def _on_cpu(found: Detections) -> Detections:
    return replace(found, **{name: getattr(found, name).cpu() for name in ("boxes", "scores", "labels", "source")})
