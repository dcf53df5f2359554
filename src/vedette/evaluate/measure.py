"""From a model and a data set to the numbers: what a training and the command line have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from vedette.data.loader import AnnotatedImages
from vedette.errors import InputError
from vedette.evaluate.coco import coco_average_precision
from vedette.evaluate.run import Loaders, evaluate_model
from vedette.evaluate.truth import Annotated, Truth, truths_of
from vedette.evaluate.voc import voc_average_precision
from vedette.infer.multiscale import plan_passes
from vedette.structures import InputSpec

Metric = Literal["coco", "voc07", "voc12"]


class AnnotatedClasses(Annotated, Protocol):
    """Truths with the names of their classes."""

    @property
    def classes(self) -> tuple[str, ...]: ...


def truths_for(dataset: AnnotatedClasses, classes: Sequence[str]) -> list[Truth]:
    """The truth of every image, its labels those of a model's `classes`; classes are matched by name.

    Raises InputError for a class with boxes that the model does not know, and where no box is to be found at all.
    """
    truths = truths_of(dataset, _labels(dataset, classes))
    if not any(bool((~truth.difficult & ~truth.crowd).any()) for truth in truths):
        raise InputError(f"nothing to find in these {len(truths)} images: no box that is neither difficult nor a crowd")
    return truths


def measure(
    model: nn.Module,
    dataset: AnnotatedImages,
    truths: Sequence[Truth],
    input_spec: InputSpec,
    num_classes: int,
    *,
    metric: Metric = "voc12",
    device: torch.device | str = "cpu",
    batch_size: int = 16,
    workers: int = 2,
    bf16: bool = False,
    progress: Callable[[int, int], None] | None = None,
    loaders: Loaders | None = None,
) -> dict[str, float]:
    """The metric's main numbers, as fractions, the most important first: mAP, or COCO's AP, AP50 and AP75.

    One pass over each image, `batch_size` of them at once; the other arguments are those of `evaluate_model`. `truths`
    are the data set's, see `truths_for`.

    Raises InputError for an image that cannot be read, ImportError for "coco" without hotcoco.
    """
    passes = plan_passes(input_spec, batch_size=batch_size)
    found = evaluate_model(model, dataset, passes, device, workers, bf16, progress=progress, loaders=loaders)
    if metric == "coco":
        table = coco_average_precision(found, truths, num_classes)
        return {"AP": table.ap, "AP50": table.ap50, "AP75": table.ap75}
    return {"mAP": voc_average_precision(found, truths, num_classes, metric=metric).mean_ap}


def _labels(dataset: AnnotatedClasses, classes: Sequence[str]) -> Tensor:
    """(C of the data set,) the model's label of each of its classes, -1 for one without boxes that is unknown."""
    known = {name: label for label, name in enumerate(classes)}
    used = set(torch.cat([torch.zeros(0), *(dataset.labels(index) for index in range(len(dataset)))]).int().tolist())
    unknown = [name for label, name in enumerate(dataset.classes) if label in used and name not in known]
    if unknown:
        raise InputError(
            f"the model does not know these classes of the data: {', '.join(unknown)}; it knows {', '.join(classes)}"
        )
    return torch.tensor([known.get(name, -1) for name in dataset.classes], dtype=torch.int64)
