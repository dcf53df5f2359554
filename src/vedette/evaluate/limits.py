"""How many detections count: those that a detector keeps of an image, and those of an image and class in COCO's metric.

An image with more objects than that cannot have them all found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import torch

from vedette.errors import InputError
from vedette.evaluate.truth import Truth

COCO_LIMIT = 100  # of an image and class, in pycocotools


def keep_most(model: Any, most: int) -> None:
    """Has a detector keep so many detections of an image, and take twice as many into NMS where it took fewer.

    Raises InputError for one whose config does not say how many, and for an exported file.
    """
    config: Any = model.config
    if not is_dataclass(model.config):
        raise InputError("--max-detections: an exported file keeps as many as it was exported with; give the weights")
    if not hasattr(config, "keep") or not hasattr(config, "candidates"):
        raise InputError("--max-detections: the detector's config has no keep and candidates; leave it out")
    model.config = replace(config, keep=most, candidates=max(config.candidates, 2 * most))


def crowded(truths: Sequence[Truth], kept: int, of_a_class: int | None) -> tuple[int, int]:
    """How many images have more objects than can be found, and the most that such an image has; 0, 0 without one.

    kept: detections that count in an image; of_a_class: in an image and class, None for as many as there are. Crowds
    and, where no class is limited as COCO's are, difficult objects need not be found.
    """
    over = [0]
    for truth in truths:
        wanted = ~truth.crowd if of_a_class is not None else ~(truth.crowd | truth.difficult)
        objects, of_each = int(wanted.sum()), torch.bincount(truth.labels[wanted])
        if objects > kept or (of_a_class is not None and bool((of_each > of_a_class).any())):
            over.append(objects)
    return len(over) - 1, max(over)
