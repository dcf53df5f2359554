"""The numbers of one evaluated model: computed, as a table on stdout, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.evaluate.coco import CocoResult
    from vedette.evaluate.thresholds import Aims
    from vedette.evaluate.truth import Truth
    from vedette.structures import Detections

Metric = Literal["coco", "voc07", "voc12"]
Overlap = Literal["above", "from"]


@dataclass(frozen=True)
class AnnotatedData:
    """What is evaluated on, and by which rules."""

    dataset: Dataset
    source: str  # as named on the command line
    metric: Metric
    overlap: Overlap
    most: int | None = None  # detections of an image that count, instead of what the detector and the metric have

    @property
    def ids(self) -> list[int | str]:
        """Of the images."""
        return [self.dataset.image_id(index) for index in range(len(self.dataset))]


@dataclass(frozen=True)
class Measured:
    """What one model found; labels are those of its classes."""

    model: str  # as named on the command line
    classes: tuple[str, ...]
    found: Sequence[Detections]
    truths: Sequence[Truth]
    facts: dict[str, Any]  # how it looked


@dataclass(frozen=True)
class Scores:
    """The numbers of any metric, as fractions; NaN where there is nothing to find."""

    mean: float
    per_class: dict[str, float]
    coco: CocoResult | None  # the whole table, of the coco metric


def measure(own: Measured, images: AnnotatedData) -> Scores:
    """By the metric's rules."""
    from vedette.evaluate.coco import coco_average_precision
    from vedette.evaluate.limits import COCO_LIMIT
    from vedette.evaluate.voc import voc_average_precision

    found, truths, many = own.found, own.truths, len(own.classes)
    if images.metric != "coco":
        voc = voc_average_precision(found, truths, many, metric=images.metric, overlap=images.overlap)
        return Scores(voc.mean_ap, dict(zip(own.classes, voc.per_class.tolist(), strict=True)), None)
    coco = coco_average_precision(found, truths, many, images.ids, images.most or COCO_LIMIT)
    return Scores(coco.ap, dict(zip(own.classes, coco.per_class.tolist(), strict=True)), coco)


def show(scores: Scores, images: AnnotatedData) -> None:
    """The table on stdout."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vedette.data.findings import LONGEST_NAME, shown
    from vedette.data.values import counted
    from vedette.evaluate.report import METRIC_NAMES

    table = Table(show_footer=True)
    table.add_column("class", "mean")
    table.add_column("AP", f"{scores.mean:.4f}", justify="right")
    for name, ap in scores.per_class.items():
        table.add_row(escape(shown(name, LONGEST_NAME)), "—" if isnan(ap) else f"{ap:.4f}")
    console = Console(highlight=False)
    console.print(f"{METRIC_NAMES[images.metric]}, {counted(len(images.dataset), 'image')}", soft_wrap=True)
    console.print(table)
    if scores.coco is not None:
        numbers = [f"{name} {value:.4f}" for name, value in _table_of(scores.coco, images.most).items()]
        for line in (numbers[:6], numbers[6:]):
            console.print("  ".join(line), soft_wrap=True)


def write_numbers(
    path: Path, own: Measured, images: AnnotatedData, scores: Scores, facts: dict[str, Any], aims: Aims
) -> None:
    """mAP and per_class as fractions; scores that stand out, errors by kind, and confusions; null where there is
    nothing to find."""
    from vedette.data.atomic import write_json
    from vedette.evaluate.analysis import analyse

    how: dict[str, Any] = {"metric": images.metric, "overlap": images.overlap, "aims": aims}
    head = {"metric": images.metric, **facts, "images": len(images.dataset)}
    content = {**head, "mAP": scores.mean, "per_class": scores.per_class}
    if scores.coco is not None:
        content["table"] = _table_of(scores.coco, images.most)
    write_json(path, plain(content | {"report": analyse(own.found, own.truths, own.classes, **how).numbers()}))


def plain(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and isnan(value) else value


def _table_of(coco: CocoResult, most: int | None) -> dict[str, float]:
    """Its numbers by their names, of which one says how many detections count."""
    table = {name: value for name, value in asdict(coco).items() if name != "per_class"}
    return {f"ar{most}" if name == "ar100" and most else name: value for name, value in table.items()}
