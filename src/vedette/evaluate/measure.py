"""From what was found to the numbers: what a training and the command line have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    return _some_to_find(truths_of(dataset, labels_for(dataset, classes)))


def known_truths_for(dataset: AnnotatedClasses, classes: Sequence[str]) -> tuple[list[Truth], dict[str, int]]:
    """The same without the boxes of classes that the model does not know, and how many those are, by name.

    For what is told of single objects: a metric over a part of the data is no metric of it. Raises InputError where
    the model knows none of the classes with boxes, and where no box is to be found at all.
    """
    labels, unknown = known_labels_for(dataset, classes)
    truths = [truth.part(truth.labels >= 0) for truth in truths_of(dataset, labels)]
    return _some_to_find(truths), unknown


def _some_to_find(truths: list[Truth]) -> list[Truth]:
    """Them; raises InputError where no box is to be found at all."""
    if not any(bool((~truth.difficult & ~truth.crowd).any()) for truth in truths):
        raise InputError(
            f"nothing to find in {counted(len(truths), 'image')}: no box that is neither difficult nor a crowd"
        )
    return truths


def labels_for(dataset: AnnotatedClasses, classes: Sequence[str]) -> Tensor:
    """(C of the data set,) the model's label of each of its classes, -1 for one without boxes that is unknown.

    Raises InputError for a class with boxes that the model does not know.
    """
    labels, unknown = _labels_of(dataset, classes)
    if unknown:
        raise _not_known(unknown, classes)
    return labels


def known_labels_for(dataset: AnnotatedClasses, classes: Sequence[str]) -> tuple[Tensor, dict[str, int]]:
    """The same, -1 for every class that the model does not know; and how many boxes each of these has, by name.

    Raises InputError where the model knows none of the classes with boxes.
    """
    labels, unknown = _labels_of(dataset, classes)
    known = any(bool((labels[dataset.labels(index)] >= 0).any()) for index in range(len(dataset)))
    if unknown and not known:
        raise _not_known(unknown, classes)
    return labels, unknown


def _labels_of(dataset: AnnotatedClasses, classes: Sequence[str]) -> tuple[Tensor, dict[str, int]]:
    """(C of the data set,) the model's label of each class, -1 for one that it does not know; the boxes of these."""
    known = {name: label for label, name in enumerate(classes)}
    used = torch.cat([torch.zeros(0), *(dataset.labels(index) for index in range(len(dataset)))]).long()
    counts = zip(dataset.classes, used.bincount(minlength=len(dataset.classes)).tolist(), strict=True)
    unknown = {name: count for name, count in counts if count and name not in known}
    return torch.tensor([known.get(name, -1) for name in dataset.classes], dtype=torch.int64), unknown


def _not_known(unknown: Iterable[str], classes: Sequence[str]) -> InputError:
    return InputError(
        f"the model does not know these classes of the data: {', '.join(unknown)}; it knows {', '.join(classes)}"
    )


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
