"""The report of an evaluation: a folder with report.html, pictures.html and the pictures that these show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from vedette.data.atomic import write_text
from vedette.evaluate.album import Gallery, Picture, Pictures, Progress, new_pictures, save_pictures
from vedette.evaluate.analysis import Analysis, analyse
from vedette.evaluate.coco import CocoResult
from vedette.evaluate.errors import KINDS
from vedette.evaluate.examples import ImageScores, marks_of, score_images
from vedette.evaluate.galleries import confused_pairs, galleries
from vedette.evaluate.history import read_history, training_curves
from vedette.evaluate.matching import FALSE_POSITIVE, HIT, Overlap
from vedette.evaluate.measure import Metric
from vedette.evaluate.thresholds import Aims, Points, Sweep
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import VocResult
from vedette.pages.curves import curve_svg
from vedette.pages.lines import lines_svg
from vedette.pages.marks import COLOURS, Mark
from vedette.pages.render import render
from vedette.structures import Detections

PAGES = ("report.html", "pictures.html")
METRIC_NAMES: dict[Metric, str] = {
    "voc07": "VOC AP, 11-point (2007)",
    "voc12": "VOC AP, area (2010 on)",
    "coco": "COCO AP at IoU .50:.95",
}
SIGNS: dict[Overlap, str] = {"above": ">", "from": "≥"}


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
    aims: Aims | None = None,
    weights: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes report.html, pictures.html and pictures/ into `folder`, which is made, and returns the first page's path.

    detections, truths: of the data set's images, in annotated pixels, labels into `classes`. coco: the table where the
    metric is "coco"; all else goes by VOC's rules in any case. facts: what the head of the page names, such as model
    and data. overlap: of a hit, see `judge`. examples: how many of the best and of the worst images to show. aims:
    which scores to name, and from which on to count. weights: the file, beside which the log of its training may lie.
    progress: hears of the pictures that are saved.

    Raises ValueError for "coco" without its table, InputError for an image that cannot be read.
    """
    if metric == "coco" and coco is None:
        raise ValueError('write_report(metric="coco") needs the table: coco=coco_average_precision(…)')
    analysis = analyse(detections, truths, classes, metric, iou, overlap, aims)

    def marks(index: int) -> list[Mark]:
        return marks_of(index, analysis.outcomes, detections[index], truths[index], classes, analysis.score)

    images = score_images(analysis.outcomes, len(truths), analysis.score)
    chosen = {"worst": images.worst(examples), "best": images.best(examples)}
    shown = galleries(analysis)
    wanted = [index for one in shown.values() for index, _ in one.shown] + chosen["worst"] + chosen["best"]
    with new_pictures(folder, PAGES) as made:
        saved = save_pictures(made, dataset, wanted, marks, progress)
    content = _sections(analysis, coco, metric) | {
        name: _examples(rows, images, saved) for name, rows in chosen.items()
    }
    content["counts"] = {"images": len(truths), "boxes to find": _boxes_to_find(analysis.result, truths, coco)}
    content |= {"rules": conventions(iou, metric, overlap), "sign": SIGNS[overlap], "iou": iou, "links": shown}
    content["training"] = training_curves(read_history(weights)) if weights is not None else None
    common = {"facts": facts or {}, "colours": COLOURS, "score": analysis.score, "why": analysis.why}
    write_text(folder / PAGES[1], render(PAGES[1], title="Pictures", galleries=figures(shown, saved), **common))
    write_text(folder / PAGES[0], render(PAGES[0], title=f"Evaluation · {METRIC_NAMES[metric]}", **content, **common))
    return folder / PAGES[0]


def _sections(analysis: Analysis, coco: CocoResult | None, metric: Metric) -> dict[str, Any]:
    """The numbers and curves of the page, by what the template calls them."""
    return {
        "results": _results(analysis.result, coco, metric),
        "precisions": ["AP"] if coco is None else ["AP .50:.95", "AP50 (VOC)"],
        "classes": _class_rows(analysis, coco),
        "aims": analysis.aims,
        "points": _point_rows(analysis),
        "sweeps": _sweeps(analysis),
        "curves": _curves(analysis),
        "errors": error_rows(analysis),
        "confusions": _confusions(analysis),
    }


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


def _class_rows(analysis: Analysis, coco: CocoResult | None) -> list[dict[str, Any]]:
    """A class's row of the table; counts and ratios are those from the shown score on."""
    outcomes, many = analysis.outcomes, len(analysis.classes)
    shown = outcomes.score >= analysis.score
    hits = np.bincount(outcomes.label[shown & (outcomes.kind == HIT)], minlength=many)
    false = np.bincount(outcomes.label[shown & (outcomes.kind == FALSE_POSITIVE)], minlength=many)
    rows = []
    for label, name in enumerate(analysis.classes):
        found, wrong, boxes = int(hits[label]), int(false[label]), int(analysis.result.positives[label])
        counted = {"boxes": boxes, "hits": found, "missed": boxes - found, "false": wrong}
        ratios = {"precision": _ratio(found, found + wrong), "recall": _ratio(found, boxes)}
        aps = [float(of.per_class[label]) for of in (coco, analysis.result) if of is not None]
        rows.append({"label": label, "name": name, **counted, **ratios, "aps": aps})
    return rows


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _point_rows(analysis: Analysis) -> list[tuple[str, Points]]:
    """Of all classes, then of each, the scores that stand out."""
    return list(zip(("all classes", *analysis.classes), analysis.points, strict=True))


def _sweeps(analysis: Analysis) -> list[dict[str, Any]]:
    """Precision, recall and F1 over the score, of all classes and of each; a mark at its own best F1."""
    rows = []
    for name, own, points in zip(("all classes", *analysis.classes), analysis.sweeps, analysis.points, strict=True):
        best = None if points.best_f1 is None else points.best_f1.score
        rows.append({"name": name, "best": points.best_f1, "svg": _sweep_svg(name, own, best)})
    return rows


def _sweep_svg(name: str, own: Sweep, best: float | None) -> str:
    scores = own.scores[::-1].tolist()
    lines = [list(zip(scores, values[::-1].tolist(), strict=True)) for values in (own.precision, own.recall, own.f1)]
    title = f"{name}: precision, recall and F1 over score"
    return lines_svg(lines, title, "score", x=(0.0, 1.0), y=(0.0, 1.0), at=best, dots=False)


def _curves(analysis: Analysis) -> list[dict[str, Any]]:
    result = analysis.result
    each = zip(analysis.classes, result.per_class.tolist(), result.curves, strict=True)
    return [{"name": name, "ap": ap, "svg": curve_svg(curve, analysis.score, name)} for name, ap, curve in each]


def error_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """Each kind of error's row of the table."""
    most = max(analysis.kinds.values()) or 1
    return [
        {
            "kind": kind,
            "count": analysis.kinds[kind],
            "share": analysis.kinds[kind] / most,
            "gain": analysis.gains[kind],
        }
        for kind in KINDS
    ]


def _confusions(analysis: Analysis) -> dict[str, Any]:
    """The matrix, rows as shares of their sums, without classes that are neither annotated nor detected."""
    matrix = analysis.confusions.matrix
    there = [label for label in range(len(matrix)) if matrix[label].any() or matrix[:, label].any()]
    there = sorted({*there, len(matrix) - 1})
    names = (*analysis.classes, "")
    rows = []
    for row in there:
        total = int(matrix[row].sum())
        cells = [{"label": column, "count": int(matrix[row, column])} for column in there]
        rows.append({"label": row, "name": names[row], "total": total, "cells": cells})
    pairs = [{"annotated": a, "detected": d, "count": count} for a, d, count in confused_pairs(analysis)]
    return {"rows": rows, "names": names, "pairs": pairs, "last": len(matrix) - 1}


def _examples(chosen: list[int], images: ImageScores, saved: Mapping[int, Picture]) -> list[dict[str, Any]]:
    """What the page says of each of the chosen images, in their order."""
    names = ("f1", "hits", "missed", "false")
    return [{"picture": saved[index], **{name: getattr(images, name)[index] for name in names}} for index in chosen]


def figures(shown: Mapping[str, Gallery], saved: Mapping[int, Picture]) -> list[dict[str, Any]]:
    """Each gallery with its pictures, and the boxes to point at."""
    rows = []
    for one in shown.values():
        pictures = [{"picture": saved[index], "boxes": boxes} for index, boxes in one.shown]
        rows.append({"gallery": one, "pictures": pictures})
    return rows
