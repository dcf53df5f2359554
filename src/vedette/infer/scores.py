"""From which score on a detection counts: one number for all classes, or one for each, and which classes do at all.

Weights may say a score for each class (`vedette evaluate --choose-thresholds`); who gives a score is heard instead.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from vedette.errors import InputError, likely
from vedette.parts.detection import check_score
from vedette.structures import Detections

Least = float | tuple[float, ...]  # least scores: of all classes, or of each of the C
DEFAULT = 0.5
UNREACHED = 2.0  # of a class that is not wanted
NAMED = 30  # classes that an error lists


class Labels(Protocol):
    """What a detector says of its classes."""

    network: Any
    classes: tuple[str, ...] | None
    category_ids: tuple[int, ...] | None
    thresholds: tuple[float, ...] | None


def least_scores(detector: Labels, score: float | None = None, classes: Sequence[str | int] | None = None) -> Least:
    """What `Detector.look` goes by.

    score: of all classes; by default those that the weights say for each class, else 0.5. classes: names or ids of
    those that are wanted, all of them by default. Raises InputError for a score that cannot be, and for a class that
    there is not.
    """
    chosen = detector.thresholds if score is None else None
    one = check_score(DEFAULT if score is None else score)
    if classes is None:
        return one if chosen is None else chosen
    wanted = labels_of(detector, classes)
    each = (one,) * count_classes(detector) if chosen is None else chosen
    return tuple(least if label in wanted else UNREACHED for label, least in enumerate(each))


def labels_of(detector: Labels, classes: Sequence[str | int]) -> set[int]:
    """The labels of classes by their names, or by their ids in the data (without these, by the labels themselves).

    Raises InputError for one that there is not, and for none.
    """
    if isinstance(classes, str) or not classes:
        raise InputError(f"classes is {classes!r}: give a list of names or ids")
    names = detector.classes or ()
    ids = range(count_classes(detector)) if detector.category_ids is None else detector.category_ids
    known = {str(key): label for label, key in enumerate(ids)} | {name: label for label, name in enumerate(names)}
    for one in classes:
        if str(one) not in known:
            raise InputError(f"classes: {one!r} is no class of this detector{_meant(str(one), names, ids)}")
    return {known[str(one)] for one in classes}


def split_names(texts: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names in texts that have commas between them; a name of the classes may have commas of its own."""
    return [part.strip() for text in texts for part in ([text] if text in names else text.split(","))]


def lowest(least: Iterable[Least]) -> float:
    """The lowest of all: what is found from it on holds what is found from any of them on."""
    return min(min(one) if isinstance(one, tuple) else one for one in least)


def reaching(found: Detections, least: Least) -> Detections:
    """The detections that reach the score of their class."""
    if not isinstance(least, tuple):
        return found[found.scores >= least]
    return found[found.scores >= floor_of(least)[found.labels]]


def floor_of(least: tuple[float, ...], device: torch.device | None = None) -> Tensor:
    """(C,) float32, as scores are."""
    return torch.tensor(least, dtype=torch.float32, device=device)


def count_classes(detector: Labels) -> int:
    """How many classes there are; raises InputError for a detector that does not say."""
    count = getattr(detector.network.config, "num_classes", None) if detector.classes is None else len(detector.classes)
    if count is None:  # of a detector that did not come with Vedette
        raise InputError("classes: this detector does not say which it has")
    return int(count)


def _meant(given: str, names: Sequence[str], ids: Sequence[int]) -> str:
    """The end of the sentence on a class that there is not."""
    if not names:
        return f"; its weights name none, and ids are {', '.join(map(str, ids[:NAMED]))}{' …' * (len(ids) > NAMED)}"
    return likely(given, names) or f"; it has {', '.join(names[:NAMED])}{' …' * (len(names) > NAMED)}"
