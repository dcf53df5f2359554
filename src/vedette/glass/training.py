"""What a training would make of a picture: which anchor or region learns which object, and what that moves.

The loss is the model's own, of the network as it detects: no dropout, batch norm as it was learned, as many proposals.

Shapes: `A` anchors or regions, `C` classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor, nn

from vedette.glass.frame import Frame
from vedette.infer.look import Inputs, Look
from vedette.ops.boxes import iou
from vedette.parts.losses import class_loss, gather_labels
from vedette.parts.matching import IGNORED, NEGATIVE
from vedette.structures import Target, TargetBatch

REGION_IOU = 0.0  # regions take by threshold alone


class How(IntEnum):
    """How an anchor or region came to its object."""

    NONE = 0
    BY_THRESHOLD = 1  # it overlaps the object enough
    AS_BEST = 2  # it does not, but is the one that the object takes: SSD's bipartite step, the RPN's best


@dataclass(frozen=True, eq=False)
class Matches:
    """Who learns what in one head, on the CPU."""

    name: str  # of the head: "arm", "odm", "head", "rpn", "regions"
    boxes: Tensor  # (A, 4) what was matched, in the picture's pixels
    matched: Tensor  # (A,) int64 the object, -1 background, -2 ignored
    how: Tensor  # (A,) uint8 of How
    counts: Tensor  # (A,) bool: it enters the loss of the classes; of background, those that were mined or drawn
    loss: Tensor  # (A,) its own cross-entropy; 0 where the head has sigmoids or judges in the loss alone

    @property
    def background(self) -> Tensor:
        """(A,) bool: what is learned as background."""
        return self.counts & (self.matched == NEGATIVE)

    def hardest(self, most: int) -> Tensor:
        """(N,) int64 the rows of the background with the highest loss, so many of them."""
        rows = self.background.nonzero().flatten()
        return rows[self.loss[rows].argsort(descending=True, stable=True)[:most]]


@dataclass(frozen=True, eq=False)
class Training:
    """One step's worth of learning from the picture."""

    heads: tuple[Matches, ...]
    losses: dict[str, float]  # the model's own terms
    gradients: dict[str, float]  # L2 norm of the gradient of each part of the model, by the names of its children

    @property
    def shares(self) -> dict[str, float]:
        """Of each term in the whole loss."""
        total = sum(self.losses.values())
        return {name: loss / total if total else 0.0 for name, loss in self.losses.items()}


def spread(rows: Tensor, most: int) -> Tensor:
    """All of the rows (N, …), or so many of them from the first to the last."""
    return rows if len(rows) <= most else rows[torch.linspace(0, len(rows) - 1, most).long()]


def training_of(look: Look, inputs: Inputs, frame: Frame, target: Target, seed: int = 0) -> Training:
    """What one picture's ground truth, in its pixels, teaches; seed: of what is drawn at random."""
    model, device = look.model, look.normalize.mean.device
    own = Target(frame.input_boxes(target.boxes.float()), target.labels, target.ignore).to(device)
    truth = TargetBatch.of([own], torch.tensor([seed], device=device))
    with torch.enable_grad():
        predictions = look(inputs.images.to(device), inputs.shapes.to(device), inputs.proposals)
        losses: dict[str, Tensor] = model.loss(predictions, truth)  # type: ignore[operator]
        total = torch.stack(list(losses.values())).sum()
        heads = matches_of(model, predictions, truth, losses, frame)
    return Training(
        heads, {name: float(loss.detach()) for name, loss in losses.items()}, gradients_by_part(model, total)
    )


def matches_of(
    model: nn.Module, predictions: Any, truth: TargetBatch, losses: dict[str, Tensor], frame: Frame
) -> tuple[Matches, ...]:
    """Who learns what of one picture in each head, from what is predicted of it with gradients and its losses."""
    return tuple(_Lesson(model, predictions, truth, torch.stack(list(losses.values())).sum(), frame).heads())


def gradients_by_part(model: nn.Module, total: Tensor, retain_graph: bool = False) -> dict[str, float]:
    """L2 norms by the names of the model's children; nothing is written into the parameters' own gradients."""
    learning = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    found = torch.autograd.grad(total, [p for _, p in learning], allow_unused=True, retain_graph=retain_graph)
    squares: dict[str, float] = {}
    for (name, _), gradient in zip(learning, found, strict=True):
        part = name.split(".")[0]
        squares[part] = squares.get(part, 0.0) + (0.0 if gradient is None else float(gradient.float().square().sum()))
    return {part: square**0.5 for part, square in squares.items()}


@dataclass(frozen=True, eq=False)
class _Lesson:
    """A loss under glass: by the papers' own `assign`; a family is known by what its predictions hold."""

    model: Any
    predictions: Any
    truth: TargetBatch
    total: Tensor
    frame: Frame

    def heads(self) -> Iterator[Matches]:
        """In the order of the network."""
        model, predictions, truth = self.model, self.predictions, self.truth
        classes, objects = truth.labels + 1, torch.ones_like(truth.labels)
        if hasattr(predictions, "odm"):
            assigned, least = model.assign(predictions, truth), model.config.match_iou
            if predictions.arm is not None:
                yield self._of("arm", predictions.anchors, assigned.arm, predictions.arm.logits, objects, least)
            yield self._of("odm", assigned.refined, assigned.odm, predictions.odm.logits, classes, least)
        elif hasattr(predictions, "rpn"):
            matched, least = model.match_anchors(predictions, truth), model.config.rpn_positive
            yield self._of("rpn", predictions.anchors, matched, predictions.rpn.logits, objects, least)
            yield self._drawn(model.assign_regions(predictions.proposals, predictions.scores > 0, truth))
        elif hasattr(predictions, "margins"):
            yield self._windows(model.assign(predictions, truth))
        elif hasattr(predictions, "real"):
            yield self._drawn(model.assign(predictions, truth))
        elif getattr(model, "classes_alone", False):
            least = model.config.positive_iou
            yield self._of(
                "head", predictions.anchors, model.assign(predictions, truth), predictions.logits, None, least
            )
        else:
            least = model.config.match_iou
            matched = model.assign(predictions, truth)
            yield self._of("head", predictions.anchors, matched, predictions.logits, classes, least)

    def _of(
        self, name: str, boxes: Tensor, matched: Tensor, logits: Tensor, labels: Tensor | None, least: float
    ) -> Matches:
        """boxes (A, 4) or (1, A, 4), matched (1, A), logits (1, A, …), labels (1, G) of the logits' order."""
        loss = torch.zeros(matched.shape[1])
        if labels is not None:
            loss = class_loss(logits.detach(), gather_labels(labels, matched))[0].cpu()
        own = boxes[0] if boxes.ndim == 3 else boxes
        return self._told(name, own, matched[0], self._moves(logits), loss, least)

    def _moves(self, logits: Tensor) -> Tensor:
        """(A,) bool: which rows of (1, A, …) logits the loss moves."""
        (gradient,) = torch.autograd.grad(self.total, logits, retain_graph=True, allow_unused=True)
        if gradient is None:
            return torch.zeros(logits.shape[1], dtype=torch.bool)
        return (gradient[0] != 0).any(-1).cpu()

    def _drawn(self, regions: Any) -> Matches:
        """Fast R-CNN's sample: all that is drawn counts."""
        matched = regions.matched[0]
        nothing = torch.zeros(len(matched))
        return self._told("regions", regions.boxes[0], matched, (matched != IGNORED).cpu(), nothing, REGION_IOU)

    def _windows(self, labels: Tensor) -> Matches:
        """R-CNN names a proposal by the object that it overlaps most: labels (1, P) 1..C, 0 background, -1 neither."""
        boxes, logits = self.predictions.proposals[0], self.predictions.logits
        most = iou(boxes, self.truth.boxes[0]).argmax(1) if self.truth.boxes.shape[1] else torch.zeros_like(labels[0])
        matched = torch.where(labels[0] > 0, most, torch.where(labels[0] == 0, NEGATIVE, IGNORED))
        loss = class_loss(logits.detach(), labels.clamp(min=0))[0].cpu()
        return self._told("regions", boxes, matched, self._moves(logits), loss, REGION_IOU)

    def _told(self, name: str, boxes: Tensor, matched: Tensor, counts: Tensor, loss: Tensor, least: float) -> Matches:
        """All of one picture; least: the IoU from which on an object takes by threshold."""
        matched, boxes = matched.cpu(), boxes.detach().cpu()
        how = torch.where(matched >= 0, int(How.BY_THRESHOLD), int(How.NONE))
        if self.truth.boxes.shape[1]:
            overlap = iou(boxes, self.truth.boxes[0].cpu()).gather(1, matched.clamp(min=0)[:, None])[:, 0]
            how[(matched >= 0) & (overlap < least)] = int(How.AS_BEST)
        return Matches(name, self.frame.boxes(boxes), matched, how.to(torch.uint8), counts, loss)
