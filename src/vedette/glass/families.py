"""Which stages a detector's way has: one of anchors, one of given regions, or the RPN's and then that of its proposals.

A family is known by what its predictions hold. A stage is a `find`, told by the model's own record of it.
"""

from typing import Any

import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.glass.frame import Frame
from vedette.glass.record import Reason
from vedette.glass.stage import Stage
from vedette.parts.anchors import Anchors
from vedette.parts.detection import Found


def stages_of(model: Any, predictions: Any, found: Found, frame: Frame) -> tuple[Stage, ...]:
    """The stages of one picture, in the order in which it goes through them.

    Raises InputError for a detector that is of no family.
    """
    if hasattr(predictions, "rpn"):
        return _rpn(model, predictions, frame), _proposals(predictions, found, frame)
    if hasattr(predictions, "real"):
        return (_regions(predictions, found, frame),)
    if hasattr(predictions, "anchors"):
        return (_anchors(model, predictions, found, frame),)
    raise InputError(f"{type(model).__name__} has neither anchors nor proposals in its predictions to be explained by")


def anchors_of(model: Any, predictions: Any) -> Anchors | None:
    """The record that the predictions' anchors are of; None for detectors without."""
    boxes = getattr(predictions, "anchors", None)
    if boxes is None:
        return None
    own: Anchors = next(record for record in model.anchor_cache.kept.values() if record.boxes is boxes)
    return own


def _anchors(model: Any, predictions: Any, found: Found, frame: Frame) -> Stage:
    """One stage: the anchors, and RefineDet's ARM before they count."""
    anchors, scores = predictions.anchors, _only(found.search.scores)  # type: ignore[union-attr]
    rows = torch.arange(len(scores))
    if getattr(predictions, "arm", None) is None:
        return Stage("anchors", "", found, frame, anchors.cpu(), None, torch.ones(len(rows)), scores, rows)
    arm = predictions.arm
    moved, emptiness = _only(model.refine(arm, anchors).expand(1, -1, -1)), _only(model.emptiness(arm))
    theta = model.config.theta if model.config.filter_negatives else None
    own = (frame, anchors.cpu(), moved, 1 - emptiness, _only(model.class_scores(predictions)), rows)
    return Stage("anchors", "", found, *own, emptiness=emptiness, theta=theta)


def _rpn(model: Any, predictions: Any, frame: Frame) -> Stage:
    """The first of two: the RPN's anchors, asked once more for the record of what it proposes."""
    rpn, anchors = predictions.rpn, anchors_of(model, predictions)
    with torch.inference_mode():
        found = model.propose(rpn, anchors, predictions.sizes)
        scores = _only(model.objectness(rpn))  # (A, 1)
        rows = torch.arange(len(scores))
        moved = _only(found.search.boxes_at(rows[None].to(predictions.anchors.device), rows[None]))
    own = (frame, predictions.anchors.cpu(), moved, scores[:, 0], scores, rows)
    return Stage("anchors", "rpn ", found, *own, barred_as=Reason.SMALL, last=False)


def _proposals(predictions: Any, found: Found, frame: Frame) -> Stage:
    """The second of two: what the RPN proposed."""
    count = int((predictions.scores[0] > 0).sum())
    boxes, objectness, source = (
        _only(values)[:count] for values in (predictions.proposals, predictions.scores, predictions.source)
    )
    scores = _only(found.search.scores)[:count]  # type: ignore[union-attr]
    return Stage("regions", "", found, frame, boxes, None, objectness, scores, source.long())


def _regions(predictions: Any, found: Found, frame: Frame) -> Stage:
    """Selective search's regions, the best ranked first."""
    count = int(predictions.real[0].sum())
    scores = _only(found.search.scores)[:count]  # type: ignore[union-attr]
    boxes = _only(predictions.proposals)[:count]
    return Stage("regions", "", found, frame, boxes, None, torch.ones(count), scores, torch.arange(count))


def _only(values: Tensor) -> Tensor:
    """(1, …) → (…) of the one picture, on the CPU in float32, or as the integers that they are."""
    own = values[0].cpu()
    return own.float() if own.is_floating_point() else own
