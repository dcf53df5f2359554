"""The report of an evaluation: a folder with report.html and the pictures it shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from html import escape
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

import numpy as np
from PIL import Image

from vedette.evaluate.coco import CocoResult
from vedette.evaluate.examples import ImageScores, marks_of, score_images
from vedette.evaluate.matching import FALSE_POSITIVE, HIT, Outcomes, Overlap, judge
from vedette.evaluate.measure import Metric
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import VocResult, summarise
from vedette.pages import report as page
from vedette.pages.curves import curve_svg
from vedette.pages.marks import Mark, draw_marks
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
        return marks_of(index, outcomes, detections[index], truths[index], classes, SHOWN_SCORE)

    body = [
        _head(result, coco, facts or {}, truths, metric),
        _class_table(result, coco, outcomes, classes),
        _curves(result, classes),
        _examples(folder, dataset, score_images(outcomes, len(truths), SHOWN_SCORE), marks, examples),
    ]
    path.write_text(page.page(f"Evaluation · {METRIC_NAMES[metric]}", "\n".join(body)), encoding="utf-8")
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


def _head(
    result: VocResult, coco: CocoResult | None, facts: Mapping[str, str], truths: Sequence[Truth], metric: Metric
) -> str:
    boxes = sum(int((~truth.crowd).sum()) for truth in truths) if coco else int(result.positives.sum())
    counts = [("images", f"{len(truths):,}"), ("boxes to find", f"{boxes:,}")]
    if coco is None:
        numbers = [(f"mAP, {METRIC_NAMES[metric]}", page.number(result.mean_ap)), *counts]
    else:
        names = [field.name for field in fields(coco) if field.name != "per_class"]
        numbers = [(name.upper().replace("_", " "), page.number(getattr(coco, name))) for name in names] + counts
    said = " · ".join(f"{escape(name)} <b>{escape(value)}</b>" for name, value in facts.items())
    rules = "".join(f"<li>{escape(rule)}</li>" for rule in conventions(result.iou, metric, result.overlap))
    return (
        f'<h1>Evaluation</h1><p class="soft">{said}</p>{page.cards(numbers)}'
        f'<h2>What the numbers mean</h2><ul class="conventions">{rules}</ul>'
    )


def _class_table(result: VocResult, coco: CocoResult | None, outcomes: Outcomes, classes: tuple[str, ...]) -> str:
    shown = outcomes.score >= SHOWN_SCORE
    hits = np.bincount(outcomes.label[shown & (outcomes.kind == HIT)], minlength=len(classes))
    false = np.bincount(outcomes.label[shown & (outcomes.kind == FALSE_POSITIVE)], minlength=len(classes))
    rows = []
    for label, name in enumerate(classes):
        found, wrong, boxes = int(hits[label]), int(false[label]), int(result.positives[label])
        aps = [result.per_class[label]] if coco is None else [coco.per_class[label], result.per_class[label]]
        counted = [str(value) for value in (boxes, found, boxes - found, wrong)]
        ratios = [_ratio(found, found + wrong), _ratio(found, boxes)]
        rows.append([name, *counted, *ratios, *(page.number(float(ap)) for ap in aps)])
    per_class = result.per_class if coco is None else coco.per_class
    aps_head = ["AP"] if coco is None else ["AP .50:.95", "AP50 (VOC)"]
    head = ["class", "boxes", "found", "missed", "false", "precision", "recall", *aps_head]
    text = (
        f"Found, missed and false positives, precision and recall are those of detections of score ≥ {SHOWN_SCORE:g}."
    )
    return f'<h2>Classes</h2><p class="soft">{text}</p>' + page.table(head, rows, per_class.tolist())


def _ratio(part: int, whole: int) -> str:
    return page.number(part / whole if whole else float("nan"), 2)


def _curves(result: VocResult, classes: tuple[str, ...]) -> str:
    items = [
        (name, f"AP {page.number(float(ap))}", curve_svg(curve, SHOWN_SCORE))
        for name, ap, curve in zip(classes, result.per_class, result.curves, strict=True)
    ]
    text = (
        f"Precision (upwards) over recall at IoU {SIGNS[result.overlap]} {result.iou:g}; shaded: the best precision at "
        f"each recall or beyond; the dot: detections of score ≥ {SHOWN_SCORE:g}."
    )
    return f'<h2>Precision and recall</h2><p class="soft">{text}</p>{page.curves(items)}'


def _examples(folder: Path, dataset: Pictures, images: ImageScores, marks: Marks, count: int) -> str:
    """Saves the worst and the best images, in folders of these names, and shows them."""
    worst = _pictures(folder / "worst", images.worst(count), dataset, images, marks)
    best = _pictures(folder / "best", images.best(count), dataset, images, marks)
    text = (
        f"Ordered by the image's F1 at score ≥ {SHOWN_SCORE:g}: 2 hits / (2 hits + false positives + missed boxes); "
        "of equal ones, the worst have the most errors, the best the most hits."
    )
    top = f'<h2>Worst images</h2><p class="soft">{text}</p>'
    return f"{top}{page.legend()}{worst}<h2>Best images</h2>{page.legend()}{best}"


def _pictures(folder: Path, chosen: list[int], dataset: Pictures, images: ImageScores, marks: Marks) -> str:
    """Saves the chosen images, in their order, with their marks; the HTML that shows them."""
    rows = []
    for rank, index in enumerate(chosen, 1):
        file = dataset.file(index)
        picture = folder / f"{rank:02d}-{file.stem}.jpg"
        _save(picture, dataset, index, marks(index))
        rows.append((f"{folder.name}/{picture.name}", file.name, _verdict(images, index)))
    return page.pictures(rows)


def _verdict(images: ImageScores, index: int) -> str:
    counts = f"{images.hits[index]} found, {images.missed[index]} missed, {images.false[index]} false"
    return f"F1 {images.f1[index]:.2f} · {counts}"


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
