"""From what was found to the numbers: what a training and the command line have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from vedette.data.values import counted
from vedette.errors import InputError
from vedette.evaluate.coco import coco_average_precision
from vedette.evaluate.matching import Floats
from vedette.evaluate.truth import Annotated, Truth, truths_of
from vedette.evaluate.voc import voc_average_precision
from vedette.structures import Detections

Metric = Literal["coco", "voc07", "voc12"]
CLASS = "AP/"  # before a class's name, where its AP stands among other numbers


class AnnotatedClasses(Annotated, Protocol):
    """Truths with the names of their classes."""

    @property
    def classes(self) -> tuple[str, ...]: ...


def truths_for(dataset: AnnotatedClasses, classes: Sequence[str]) -> list[Truth]:
    """The truth of every image, its labels those of a model's `classes`; classes are matched by name.

    Raises InputError for a class with boxes that the model does not know, and where no box is to be found at all.
    """
    truths = truths_of(dataset, labels_for(dataset, classes))
    if not any(bool((~truth.difficult & ~truth.crowd).any()) for truth in truths):
        raise InputError(
            f"nothing to find in {counted(len(truths), 'image')}: no box that is neither difficult nor a crowd"
        )
    return truths


def labels_for(dataset: AnnotatedClasses, classes: Sequence[str]) -> Tensor:
    """(C of the data set,) the model's label of each of its classes, -1 for one without boxes that is unknown.

    Raises InputError for a class with boxes that the model does not know.
    """
    known = {name: label for label, name in enumerate(classes)}
    used = set(torch.cat([torch.zeros(0), *(dataset.labels(index) for index in range(len(dataset)))]).int().tolist())
    unknown = [name for label, name in enumerate(dataset.classes) if label in used and name not in known]
    if unknown:
        raise InputError(
            f"the model does not know these classes of the data: {', '.join(unknown)}; it knows {', '.join(classes)}"
        )
    return torch.tensor([known.get(name, -1) for name in dataset.classes], dtype=torch.int64)


def measure(
    found: Sequence[Detections], truths: Sequence[Truth], num_classes: int, metric: Metric = "voc12"
) -> dict[str, float]:
    """The metric's main numbers, as fractions, the most important first: mAP, or COCO's AP, AP50 and AP75.

    found: of each image, by `evaluate_model`; truths: the data set's, see `truths_for`.

    Raises ImportError for "coco" without hotcoco.
    """
    overall, _ = _measured(found, truths, num_classes, metric)
    return overall


def measure_classes(
    found: Sequence[Detections], truths: Sequence[Truth], classes: Sequence[str], metric: Metric = "voc12"
) -> dict[str, float]:
    """`measure`, and behind its numbers each class's AP as AP/NAME; NaN for a class without boxes to find."""
    overall, per_class = _measured(found, truths, len(classes), metric)
    return overall | {f"{CLASS}{name}": ap for name, ap in zip(classes, per_class.tolist(), strict=True)}


def _measured(
    found: Sequence[Detections], truths: Sequence[Truth], num_classes: int, metric: Metric
) -> tuple[dict[str, float], Floats]:
    """The main numbers, and AP (C,)."""
    if metric == "coco":
        table = coco_average_precision(found, truths, num_classes)
        return {"AP": table.ap, "AP50": table.ap50, "AP75": table.ap75}, table.per_class
    voc = voc_average_precision(found, truths, num_classes, metric=metric)
    return {"mAP": voc.mean_ap}, voc.per_class
