"""The report of an evaluation: a folder with report.html and the pictures it shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

import numpy as np
from PIL import Image

from vedette.data.atomic import write_text
from vedette.evaluate.coco import CocoResult
from vedette.evaluate.examples import ImageScores, marks_of, score_images
from vedette.evaluate.matching import FALSE_POSITIVE, HIT, Outcomes, Overlap, judge
from vedette.evaluate.measure import Metric
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import VocResult, summarise
from vedette.pages.curves import curve_svg
from vedette.pages.fonts import legible
from vedette.pages.marks import COLOURS, Mark, draw_marks
from vedette.pages.render import render
from vedette.structures import Detections

SHOWN_SCORE = 0.5
METRIC_NAMES: dict[Metric, str] = {
    "voc07": "VOC AP, 11-point (2007)",
    "voc12": "VOC AP, area (2010 on)",
    "coco": "COCO AP at IoU .50:.95",
}
SIGNS: dict[Overlap, str] = {"above": ">", "from": "≥"}
Marks = Callable[[int], list[Mark]]  # what is drawn on the image of an index


class Pictures(Protocol):
    """What is asked of a data set: `vedette.data.annotations.Dataset` has it."""

    def file(self, index: int, /) -> Path: ...
    def size(self, index: int, /) -> tuple[int, int]: ...
    def image(self, index: int, /) -> Image.Image: ...


def write_report(
    folder: Path,
    dataset: Pictures,
    detections: Sequence[Detections],
    truths: Sequence[Truth],
    classes: tuple[str, ...],
    *,
    metric: Metric,
    coco: CocoResult | None = None,
    facts: Mapping[str, str] | None = None,
    iou: float = 0.5,
    overlap: Overlap = "above",
    examples: int = 9,
) -> Path:
    """Writes report.html, best/ and worst/ into `folder`, which is made, and returns the page's path.

    detections, truths: of the data set's images, in annotated pixels, labels into `classes`. coco: the table where the
    metric is "coco"; curves and pictures go by VOC's rules in any case. facts: what the head of the page names, such as
    model and data. overlap: of a hit, see `judge`. examples: how many of the best and of the worst images to show.

    Raises ValueError for "coco" without its table, InputError for an image that cannot be read.
    """
    if metric == "coco" and coco is None:
        raise ValueError('write_report(metric="coco") needs the table: coco=coco_average_precision(…)')
    outcomes = judge(detections, truths, iou, overlap)
    result = summarise(outcomes, len(classes), iou, "voc12" if metric == "coco" else metric, overlap)
    path = folder / "report.html"
    folder.mkdir(parents=True, exist_ok=True)
    _remove_pictures(path)

    def marks(index: int) -> list[Mark]:
        return marks_of(index, outcomes, detections[index], truths[index], legible(classes), SHOWN_SCORE)

    images = score_images(outcomes, len(truths), SHOWN_SCORE)
    chosen = {"worst": images.worst(examples), "best": images.best(examples)}
    page = render(
        "report.html",
        title=f"Evaluation · {METRIC_NAMES[metric]}",
        facts=facts or {},
        results=_results(result, coco, metric),
        counts={"images": len(truths), "boxes to find": _boxes_to_find(result, truths, coco)},
        rules=conventions(iou, metric, overlap),
        precisions=["AP"] if coco is None else ["AP .50:.95", "AP50 (VOC)"],
        classes=_class_rows(result, coco, outcomes, classes),
        curves=_curves(result, classes),
        **{name: _pictures(folder / name, rows, dataset, images, marks) for name, rows in chosen.items()},
        colours=COLOURS,
        score=SHOWN_SCORE,
        sign=SIGNS[overlap],
        iou=iou,
    )
    write_text(path, page)
    return path


def conventions(iou: float, metric: Metric, overlap: Overlap = "above") -> list[str]:
    """The choices behind the numbers, one sentence each."""
    area = "the area under the curve of the best precision at each recall or beyond (every point)"
    points = "the mean of the best precision at recall ≥ 0, 0.1, …, 1 (11 points)"
    rule = "strictly" if overlap == "above" else "as in VOC's own devkit"
    chosen = [
        f"A detection is a hit where its IoU with a box of its class is {SIGNS[overlap]} {iou:g}, {rule}, "
        "without + 1 in widths and heights.",
        "It is compared with the box that it overlaps most and with no other; a second detection of a box is a false "
        "positive. Equal scores are taken in the order of the images.",
        "Difficult boxes and crowds neither count nor punish.",
        f"AP is {points if metric == 'voc07' else area}; mAP is the mean over the classes that have boxes to find.",
    ]
    if metric != "coco":
        return chosen
    coco = (
        "COCO's numbers follow pycocotools: IoU ≥ each of 0.50, 0.55, …, 0.95, 101 recalls, the 100 best detections an "
        "image and class, a second choice where the best box is taken, crowds ignored, difficult boxes counted. "
        "AP50 (VOC), the curves and the pictures follow VOC's rules:"
    )
    return [coco, *chosen]


def _results(result: VocResult, coco: CocoResult | None, metric: Metric) -> dict[str, float]:
    """The numbers of the whole, the first one the metric's own."""
    if coco is None:
        return {f"mAP, {METRIC_NAMES[metric]}": result.mean_ap}
    names = [field.name for field in fields(coco) if field.name != "per_class"]
    return {name.upper().replace("_", " "): getattr(coco, name) for name in names}


def _boxes_to_find(result: VocResult, truths: Sequence[Truth], coco: CocoResult | None) -> int:
    return int(result.positives.sum()) if coco is None else sum(int((~truth.crowd).sum()) for truth in truths)


def _class_rows(
    result: VocResult, coco: CocoResult | None, outcomes: Outcomes, classes: tuple[str, ...]
) -> list[dict[str, Any]]:
    """What each class's line of the table says."""
    shown = outcomes.score >= SHOWN_SCORE
    hits = np.bincount(outcomes.label[shown & (outcomes.kind == HIT)], minlength=len(classes))
    false = np.bincount(outcomes.label[shown & (outcomes.kind == FALSE_POSITIVE)], minlength=len(classes))
    rows = []
    for label, name in enumerate(classes):
        found, wrong, boxes = int(hits[label]), int(false[label]), int(result.positives[label])
        counted = {"boxes": boxes, "hits": found, "missed": boxes - found, "false": wrong}
        ratios = {"precision": _ratio(found, found + wrong), "recall": _ratio(found, boxes)}
        aps = [float(of.per_class[label]) for of in (coco, result) if of is not None]
        rows.append({"name": name, **counted, **ratios, "aps": aps})
    return rows


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _curves(result: VocResult, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    each = zip(classes, result.per_class.tolist(), result.curves, strict=True)
    return [{"name": name, "ap": ap, "svg": curve_svg(curve, SHOWN_SCORE)} for name, ap, curve in each]


def _pictures(
    folder: Path, chosen: list[int], dataset: Pictures, images: ImageScores, marks: Marks
) -> list[dict[str, Any]]:
    """Saves the chosen images, in their order, with their marks; what the page says of each."""
    rows = []
    for rank, index in enumerate(chosen, 1):
        file = dataset.file(index)
        picture = folder / f"{rank:02d}-{file.stem}.jpg"
        _save(picture, dataset, index, marks(index))
        counted = {name: getattr(images, name)[index] for name in ("f1", "hits", "missed", "false")}
        rows.append({"file": f"{folder.name}/{picture.name}", "name": file.name, **counted})
    return rows


def _remove_pictures(report: Path) -> None:
    """Removes the pictures that an earlier report shows, and no other file."""
    text = report.read_text(encoding="utf-8", errors="replace") if report.is_file() else ""
    for shown in map(unquote, re.findall(r'<img src="([^"]+)"', text)):
        if re.fullmatch(r"(best|worst)/\d\d-[^/]*\.jpg", shown):
            (report.parent / shown).unlink(missing_ok=True)


def _save(path: Path, dataset: Pictures, index: int, marks: list[Mark]) -> None:
    """The picture with its marks, which are in the pixels of the annotation's frame."""
    picture = dataset.image(index)
    width, height = dataset.size(index)
    if width and height and (width, height) != picture.size:
        picture = picture.resize((width, height))
    path.parent.mkdir(exist_ok=True)
    draw_marks(picture, marks).save(path, quality=88)
