"""One page for several models: which is better, in which classes, how surely, and in which pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from vedette.data.atomic import write_text
from vedette.evaluate.album import (
    Gallery,
    Picture,
    Pictures,
    Progress,
    by_area,
    gallery,
    new_pictures,
    save_pictures,
)
from vedette.evaluate.analysis import Analysis
from vedette.evaluate.compare import CONFIDENCE, Comparison, Difference
from vedette.evaluate.examples import marks_of
from vedette.evaluate.matching import HIT, Bools, Floats
from vedette.evaluate.measure import Metric
from vedette.evaluate.report import METRIC_NAMES, PAGES
from vedette.evaluate.truth import Truth
from vedette.pages.interval import interval_svg
from vedette.pages.marks import COLOURS, Mark
from vedette.pages.render import is_our_page, render
from vedette.structures import Detections

EXAMPLES = 8  # pictures of what one model finds and the other does not


@dataclass(frozen=True, eq=False)
class Compared:
    """One of the models; labels are the same for all."""

    name: str
    found: Sequence[Detections]
    analysis: Analysis
    per_class: Floats  # (C,) AP of the metric
    mean: float


def write_comparison(
    folder: Path,
    dataset: Pictures,
    models: Sequence[Compared],
    comparisons: Sequence[Comparison],
    truths: Sequence[Truth],
    *,
    metric: Metric,
    facts: Mapping[str, str],
    resamples: int,
    seed: int,
    progress: Progress | None = None,
) -> Path:
    """Writes report.html and pictures/ into `folder`, which is made, and returns the page's path.

    comparisons: of each model but the first with the first. Raises InputError for an image that cannot be read.
    """
    sides = [_sides(models[0], other, number) for number, other in enumerate(models[1:], 1)]
    wanted = [index for pair in sides for side in pair for index, _ in side.shown]
    with new_pictures(folder, PAGES) as made:
        saved = [_save(made, dataset, one, number, wanted, truths, progress) for number, one in enumerate(models)]
    if (folder / PAGES[1]).is_file() and is_our_page(folder / PAGES[1]):
        (folder / PAGES[1]).unlink()  # of an earlier report, whose pictures are gone
    pairs = [
        _pair(models[0], other, comparison, [_shown(side, saved[0], saved[number]) for side in pair])
        for number, (other, comparison, pair) in enumerate(zip(models[1:], comparisons, sides, strict=True), 1)
    ]
    page = render(
        "comparison.html",
        title=f"Comparison · {METRIC_NAMES[metric]}",
        facts=facts,
        models=models,
        pairs=pairs,
        colours=COLOURS,
        metric=METRIC_NAMES[metric],
        resamples=resamples,
        seed=seed,
        confidence=round(100 * CONFIDENCE),
    )
    write_text(folder / PAGES[0], page)
    return folder / PAGES[0]


def _save(
    folder: Path,
    dataset: Pictures,
    model: Compared,
    number: int,
    wanted: list[int],
    truths: Sequence[Truth],
    progress: Progress | None,
) -> dict[int, Picture]:
    """The pictures as this model sees them."""
    own = model.analysis

    def marks(index: int) -> list[Mark]:
        return marks_of(index, own.outcomes, model.found[index], truths[index], own.classes, own.score)

    return save_pictures(folder, dataset, wanted, marks, progress, tag=f"{number + 1}-")


def _sides(first: Compared, other: Compared, number: int) -> tuple[Gallery, Gallery]:
    """What the first finds and the other misses, and the other way round: each from its own score on."""
    hit, also = _is_found(first.analysis), _is_found(other.analysis)
    return (
        _only(first.analysis, hit & ~also, f"first-{number}", "Found by the first alone"),
        _only(first.analysis, also & ~hit, f"other-{number}", "Found by the other alone"),
    )


def _is_found(analysis: Analysis) -> Bools:
    """(G,) the boxes that detections of the score that is shown hit."""
    found = np.zeros(len(analysis.outcomes.counts), dtype=bool)
    outcomes = analysis.outcomes
    found[outcomes.truth[(outcomes.kind == HIT) & (outcomes.score >= analysis.score)]] = True
    return found


def _only(analysis: Analysis, boxes: Bools, id: str, title: str) -> Gallery:
    """The pictures with the most such boxes first."""
    image = analysis.outcomes.truth_image
    rows = by_area(analysis.truth_boxes, np.flatnonzero(boxes))
    many = np.bincount(image[rows], minlength=1 + int(image.max(initial=-1)))
    order = np.argsort(-many[image[rows]], kind="stable")
    return gallery(id, title, rows[order], image, analysis.truth_boxes, EXAMPLES)


def _shown(side: Gallery, first: Mapping[int, Picture], other: Mapping[int, Picture]) -> dict[str, Any]:
    rows = [{"first": first[index], "other": other[index], "boxes": boxes} for index, boxes in side.shown]
    return {"gallery": side, "pictures": rows}


def _pair(first: Compared, other: Compared, comparison: Comparison, sides: list[dict[str, Any]]) -> dict[str, Any]:
    """What the page says of two models; every interval on one axis."""
    every = (comparison.mean, *comparison.per_class)
    bounds = [abs(value) for one in every for value in (one.low, one.high) if not np.isnan(value)]
    most = max(bounds, default=0.0)
    rows = zip(
        first.analysis.classes, first.per_class.tolist(), other.per_class.tolist(), comparison.per_class, strict=True
    )
    classes = [_row(name, one, two, difference, most) for name, one, two, difference in rows]
    mean = _row("mean", first.mean, other.mean, comparison.mean, most)
    return {"first": first.name, "other": other.name, "rows": [mean, *classes], "sides": sides}


def _row(name: str, first: float, other: float, difference: Difference, most: float) -> dict[str, Any]:
    numbers = {field.name: getattr(difference, field.name) for field in fields(difference)}
    svg = interval_svg(difference.value, difference.low, difference.high, most)
    return {"name": name, "ap": (first, other), **numbers, "svg": svg}
