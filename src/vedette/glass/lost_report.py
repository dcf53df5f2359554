"""The page of lost objects: lost.html in a folder, with the pictures that it shows beside it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vedette.data.atomic import write_text
from vedette.evaluate.album import Gallery, Picture, Pictures, Progress, by_area, gallery, new_pictures, save_pictures
from vedette.evaluate.analysis import Analysis
from vedette.evaluate.coverage_words import sides_of
from vedette.evaluate.examples import marks_of
from vedette.evaluate.galleries import galleries
from vedette.evaluate.report import METRIC_NAMES, error_rows, figures
from vedette.glass.advice import Advice
from vedette.glass.close_up import close_up
from vedette.glass.lost_objects import Kind, LostObject, Survey
from vedette.glass.lost_tables import Row, by_class, by_side, by_size, taken_for
from vedette.glass.oracle import METRIC, Oracle
from vedette.pages.fonts import legible
from vedette.pages.marks import COLOURS, Mark
from vedette.pages.render import render

PAGE = "lost.html"
PICTURES, SMALLEST = 8, 4  # of a step, at most
CONFUSIONS = 20  # pairs of classes, at most
RULES = (
    "An object is found where a detection of its class of at least that score has IoU > 0.5 with it, and of all "
    "objects of its class overlaps it most; of several such detections of one object the best counts. Difficult "
    "objects and crowds are not looked for.",
    "A lost object's candidates are the anchors (or regions) whose box has IoU ≥ 0.5 with it at any point of "
    "their way: as they are, after the first move, or in the end. The object is lost in the step where the last "
    "of its candidates is. A candidate that ends below 0.5, or nearer to another object of the class, is badly "
    "placed.",
    "What mending a step gives back: the objects that it lost are found, each as sure as the median of the found "
    "ones of its class (as the least score that counts as found, where none is); a weaker detection that hit such "
    "an object goes; all else stays, false positives too. mAP counts detections of any score, as vedette evaluate "
    "does. The gains of several steps do not add up exactly.",
)


def write_lost_report(
    folder: Path,
    dataset: Pictures,
    survey: Survey,
    oracle: Oracle,
    analysis: Analysis,
    advice: Sequence[Advice],
    facts: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes the page and its pictures into `folder`, which is made, and returns the page's path.

    analysis: of the same detections, counted from the survey's score on. progress: hears of the pictures that are
    saved. Where it does not come to its end the folder is as it was.

    Raises InputError for an image that cannot be read.
    """
    shown = {kind: _gallery(survey, number, kind) for number, kind in enumerate(survey.kinds)}
    errors = {name: one for name, one in galleries(analysis).items() if name.startswith("kind-")}
    count = _Count(sum(len(_images([one])) for one in shown.values()) + len(_images(errors.values())), progress)
    with new_pictures(folder, [PAGE]) as made:
        lost = [_saved(made, dataset, survey, kind, one, count) for kind, one in shown.items()]
        pictures = save_pictures(
            made, dataset, _images(errors.values()), _error_marks(survey, analysis), count, "errors-"
        )
        page = render(
            PAGE,
            title="Lost objects",
            facts=facts or {},
            links={one.id for one in shown.values()} | set(errors),
            shown=lost,
            shown_errors=figures(errors, pictures),
            colours=COLOURS,
            rules=RULES,
            **_numbers(survey, oracle, analysis, advice),
        )
    write_text(folder / PAGE, page)
    return folder / PAGE


class _Count:
    """Hears of several series of pictures, and tells of all of them as one."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def __call__(self, done: int, total: int) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _numbers(survey: Survey, oracle: Oracle, analysis: Analysis, advice: Sequence[Advice]) -> dict[str, Any]:
    """The tables, by what the template calls them."""
    steps = [_step(survey, oracle, number, kind, advice) for number, kind in enumerate(survey.kinds)]
    names = survey.classes
    sides = sides_of(survey.shapes)
    return {
        "score": survey.score,
        "images": len(survey.truths),
        "objects": int(survey.outcomes.counts.sum()),
        "lost": len(survey.lost),
        "metric": METRIC_NAMES[METRIC],
        "before": oracle.before.mean_ap,
        "after": oracle.every.mean_ap,
        "steps": steps,
        "most": max((step["lost"] for step in steps), default=1),
        "classes": [{"row": row, "aps": _aps(survey, oracle, row)} for row in by_class(survey)],
        "sizes": [{"row": row, "aps": ()} for row in by_size(survey)],
        "sides": [{"row": row, "aps": ()} for row in by_side(survey) if row.objects],
        "input_side": survey.input_side,
        "anchors": f"{float(sides.min()):.3g} to {float(sides.max()):.3g}" if len(sides) else "",
        "confusions": [(names[own], names[other], count) for own, other, count in taken_for(survey)[:CONFUSIONS]],
        "errors": error_rows(analysis),
    }


def _step(survey: Survey, oracle: Oracle, number: int, kind: Kind, advice: Sequence[Advice]) -> dict[str, Any]:
    step, reason = kind
    own = [one for one in advice if one.kind == kind]
    counts = {"lost": len(survey.of(kind)), "gain": oracle.gain(kind)}
    return {"id": _id(number), "step": step, "reason": str(reason), "advice": own, **counts}


def _id(number: int) -> str:
    return f"lost-{number}"


def _aps(survey: Survey, oracle: Oracle, row: Row) -> tuple[float, float]:
    label = survey.classes.index(row.name)
    return float(oracle.before.per_class[label]), float(oracle.every.per_class[label])


def _gallery(survey: Survey, number: int, kind: Kind) -> Gallery:
    """What a step lost, the largest objects first."""
    lost = survey.of(kind)
    boxes, images = np.array([one.box for one in lost]), np.array([one.image for one in lost])
    rows = by_area(boxes, np.arange(len(lost)))
    return gallery(_id(number), f"{kind[0]}: {kind[1]}", rows, images, boxes, PICTURES)


def _images(shown: Any) -> set[int]:
    return {index for one in shown for index, _ in one.shown}


def _saved(
    folder: Path, dataset: Pictures, survey: Survey, kind: Kind, shown: Gallery, count: Callable[[int, int], None]
) -> dict[str, Any]:
    """The gallery's pictures, saved, each with the numbers of its largest object."""
    of_image: dict[int, list[LostObject]] = {index: [] for index in _images([shown])}
    for one in survey.of(kind):
        of_image.get(one.image, []).append(one)

    def marks(index: int) -> list[Mark]:
        return [mark for one in of_image[index] for mark in _marks(survey, one)]

    saved = save_pictures(folder, dataset, of_image, marks, count, f"{shown.id}-")
    pictures = [_figure(survey, dataset, saved[index], boxes, of_image[index]) for index, boxes in shown.shown]
    return {"gallery": shown, "pictures": pictures, "smallest": _smallest(survey, dataset, kind)}


def _smallest(survey: Survey, dataset: Pictures, kind: Kind) -> list[dict[str, str]]:
    """Close-ups of the smallest objects that a step lost, where they are small in their pictures."""
    lost = survey.of(kind)
    order = by_area(np.array([one.box for one in lost]), np.arange(len(lost)))[::-1][:SMALLEST].tolist()
    close = [(lost[row], close_up(dataset, lost[row].image, lost[row].box, _marks(survey, lost[row]))) for row in order]
    return [
        {"close": uri, "caption": f"{_words(survey, one)}, {_size(one)}", "name": dataset.file(one.image).name}
        for one, uri in close
        if uri
    ]


def _size(one: LostObject) -> str:
    x1, y1, x2, y2 = one.box
    return f"{x2 - x1:.0f} × {y2 - y1:.0f} px"


def _figure(
    survey: Survey,
    dataset: Pictures,
    picture: Picture,
    boxes: Sequence[tuple[float, ...]],
    lost: Sequence[LostObject],
) -> dict[str, Any]:
    largest = next(one for one in lost if one.box == boxes[0])
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    return {
        "picture": picture,
        "close": close_up(dataset, picture.index, largest.box, _marks(survey, largest)),
        "boxes": (),  # they are drawn
        "caption": f"{_words(survey, largest)}{more}",
    }


def _words(survey: Survey, one: LostObject) -> str:
    """What the numbers of its best candidate say."""
    lost = one.lost
    words = f"{survey.classes[one.label]}: best IoU {lost.iou:.2f}, score {lost.score:.2f}"
    if lost.won >= 0 and lost.won_score > lost.score:
        words += f", {survey.classes[lost.won]} {lost.won_score:.2f}"
    return words if lost.by is None else f"{words}, IoU {lost.overlap:.2f} with what suppressed it"


def _marks(survey: Survey, one: LostObject) -> list[Mark]:
    lost, name = one.lost, legible(survey.classes)[one.label]
    marks = [Mark(one.box, "missed", name, dashed=True)]
    if lost.by is not None:
        marks.append(Mark(tuple(lost.by.tolist()), "rival", "suppressed it", dashed=False))
    best = f"{lost.score:.2f}, IoU {lost.iou:.2f}"
    return [*marks, Mark(tuple(lost.box.tolist()), "candidate", best, dashed=False)]


def _error_marks(survey: Survey, analysis: Analysis) -> Callable[[int], list[Mark]]:
    def marks(index: int) -> list[Mark]:
        found = survey.found[index], survey.truths[index]
        return marks_of(index, analysis.outcomes, *found, survey.classes, analysis.score)

    return marks
