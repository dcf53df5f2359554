"""vedette explain --lost: which step loses which objects of a data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vedette.cli.annotated import known_truths_in, load_detector, read_annotated
from vedette.cli.progress import Progress
from vedette.cli.reported import WantedReport
from vedette.cli.tables import table_lines

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.evaluate.truth import Truth
    from vedette.glass.advice import Advice
    from vedette.glass.lost_objects import Survey
    from vedette.glass.oracle import Oracle
    from vedette.infer.detector import Detector

PAGE = "lost.html"


@dataclass(frozen=True, kw_only=True)
class Wanted(WantedReport):
    """What the command's options ask for."""

    score: float = 0.5
    batch_size: int = 16
    workers: int = 2
    bf16: bool = False
    trust: bool = False


def explain_lost(wanted: Wanted) -> None:
    """The page in `wanted.out`, the numbers on stdout and in `wanted.json`.

    Raises InputError for a detector, data or a place that will not do, before the work.
    """
    from vedette.zoo import weight_file

    weight_file(wanted.model)  # before torch is imported, which takes seconds
    wanted.check_places(PAGE, "lost_objects")
    detector, classes = load_detector(wanted.model, wanted.device, wanted.trust, **wanted.config)
    dataset = read_annotated(wanted.data)
    truths, left_out = known_truths_in(wanted.model, dataset, classes)
    survey = _survey(wanted, detector, truths, dataset)
    facts = {"model": wanted.model, "data": ", ".join(wanted.data), **{k: str(v) for k, v in wanted.config.items()}}
    facts |= {"of unknown classes, left out": left_out} if left_out else {}
    _tell(wanted, survey, dataset, facts)


def _survey(wanted: Wanted, detector: Detector, truths: list[Truth], dataset: Dataset) -> Survey:
    from vedette.data.selective_search import proposals_for
    from vedette.glass.lost_objects import find_lost

    how: dict[str, Any] = {"score": wanted.score, "batch_size": wanted.batch_size, "workers": wanted.workers}
    proposals = proposals_for(detector.model, dataset, wanted.workers, Progress)
    with Progress(len(dataset), "images") as bar:
        how |= {"bf16": wanted.bf16, "proposals": proposals, "progress": bar.reach}
        return find_lost(detector, dataset, truths, **how)


def _tell(wanted: Wanted, survey: Survey, dataset: Dataset, facts: dict[str, str]) -> None:
    from vedette.evaluate.analysis import analyse
    from vedette.evaluate.thresholds import Aims
    from vedette.glass.advice import advise
    from vedette.glass.lost_report import write_lost_report
    from vedette.glass.lost_tables import numbers
    from vedette.glass.oracle import METRIC, ask

    oracle = ask(survey)
    advice = advise(survey, oracle)
    analysis = analyse(survey.found, survey.truths, survey.classes, METRIC, aims=Aims(score=survey.score))
    head = facts | {"images": len(dataset), "metric": METRIC}
    wanted.tell(
        head | numbers(survey, oracle, analysis, advice),
        lambda progress: write_lost_report(wanted.out, dataset, survey, oracle, analysis, advice, facts, progress),
        _lines(survey, oracle, advice),
    )


def _lines(survey: Survey, oracle: Oracle, advice: Iterable[Advice]) -> Iterable[str]:
    """The table of the steps, and what follows from it."""
    objects = int(survey.outcomes.counts.sum())
    yield f"{len(survey.lost)} of {objects} objects are not found with a score of {survey.score:.3g} or more"
    yield f"mAP (voc12) {oracle.before.mean_ap:.4f}; if no step lost any, {oracle.every.mean_ap:.4f}"
    rows: list[list[object]] = [["step", "lost", "mAP back"]]
    for kind in survey.kinds:
        rows.append([f"{kind[0]}: {kind[1]}", len(survey.of(kind)), f"{oracle.gain(kind):+.4f}"])
    yield ""
    yield from table_lines(rows)
    yield ""
    for one in advice:
        yield f"{'  ' if one.label is not None else ''}{one.text}"
