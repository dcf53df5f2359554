"""vedette evaluate: measure a detector on annotated images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vedette.cli.choices import MOST_AT_ONCE, MOST_WORKERS, Flip, Nms, Scales, Vote, chosen, read_scales
from vedette.cli.complete import complete_model
from vedette.cli.places import check_apart, check_file, check_folder, place
from vedette.cli.progress import Progress
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.evaluate.coco import CocoResult
    from vedette.evaluate.truth import Truth
    from vedette.infer.detector import Detector
    from vedette.infer.multiscale import Passes
    from vedette.structures import Detections

Metric = Literal["coco", "voc07", "voc12"]
Overlap = Literal["above", "from"]


@dataclass(frozen=True)
class _Scores:
    """The numbers of any metric, as fractions; NaN where there is nothing to find."""

    mean: float
    per_class: dict[str, float]
    coco: CocoResult | None  # the whole table, of the coco metric


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A name from `vedette models`, or the path of a weight file.", autocompletion=complete_model
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            help="PATH[:SPLIT] of COCO, VOC or YOLO data; SPLIT by default val, else valid or test; may be repeated."
        ),
    ],
    metric: Annotated[
        Metric, typer.Option(help="coco: AP at IoU .50:.95; voc07: 11-point AP, voc12: area, at IoU 0.5.")
    ] = "voc12",
    overlap: Annotated[
        Overlap | None,
        typer.Option(help="A hit of VOC's metrics lies above 0.5 (the default), or from 0.5 on as in its own devkit."),
    ] = None,
    score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Lowest score that counts; default: 0.01, Fast R-CNN's code: 0.")
    ] = None,
    results: Annotated[
        Path | None,
        place(help="Folder for the detections, in VOC's files (comp4_det_…) or COCO's (coco)."),
    ] = None,
    report: Annotated[Path | None, place(help="Folder for pages with scores, errors, curves and pictures.")] = None,
    at_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Score from which on the report counts and shows; default: the best F1's."),
    ] = None,
    at_precision: Annotated[
        float, typer.Option(min=0, max=1, help="Name the lowest score with at least this precision.")
    ] = 0.9,
    at_recall: Annotated[
        float, typer.Option(min=0, max=1, help="Name the highest score with at least this recall.")
    ] = 0.8,
    json: Annotated[Path | None, place("--json", help="File for the numbers, as fractions.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, max=MOST_AT_ONCE, help="Images at once.")] = 16,
    workers: Annotated[int, typer.Option(min=0, max=MOST_WORKERS, help="Processes that load images.")] = 2,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU if there is one.")] = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="Run the network in bfloat16: faster, nearly the same.")] = False,
    nms: Nms = None,
    scales: Scales = None,
    flip: Flip = False,
    vote: Vote = False,
) -> None:
    """Measure a detector: average precision, overall and per class.

    Example: vedette evaluate refinedet320-lite0 --data my-photos:val --metric voc12 --report report
    """
    from vedette.zoo import weight_file

    weight_file(model)  # before torch is imported, which takes seconds
    from vedette.evaluate.measure import truths_for
    from vedette.infer.multiscale import plan_passes

    _check_metric(metric, overlap)
    _check_places(json, results, report)
    sizes = read_scales(scales)
    detector, classes = _load(model, device, nms)
    passes = plan_passes(detector.input_spec, sizes, flip, vote, batch_size)
    dataset = _read(data)
    truths = truths_for(dataset, classes)
    found = _find(detector, dataset, passes, workers, bf16, score)
    if results is not None:
        _write_results(results, dataset, found, classes, metric, data)
    scores = _measure(dataset, found, truths, classes, metric, overlap or "above")
    _show(scores, metric, len(dataset))
    above = overlap or ("above" if metric != "coco" else None)
    facts = {
        "model": model,
        "data": ", ".join(data),
        "input": str(passes),
        **chosen(nms=nms, overlap=above, score=score),
    }
    if json is not None:
        _write_json(json, scores, {"metric": metric, **facts, "images": len(dataset)})
    if report is not None:
        _write_report(report, dataset, found, truths, classes, metric, overlap or "above", scores.coco, facts)


def _check_places(json: Path | None, results: Path | None, report: Path | None) -> None:
    """That what is to be written has a place, before the work and not after it."""
    check_file("--json", json, "per_class")
    check_folder("--results", results, files=["results.json"])
    check_folder("--report", report, files=["report.html"], folders=["best", "worst"])
    page = None if report is None else report / "report.html"
    check_apart({"--json": json, "--results": results, "--report": report, "the page of --report": page})


def _check_metric(metric: Metric, overlap: Overlap | None) -> None:
    """Before the work, not after it."""
    from vedette.evaluate.coco import require_hotcoco

    if metric == "coco" and overlap is not None:
        raise InputError(
            f"--overlap {overlap}: the coco metric has its own rule (from each of .50:.95 on); leave it out"
        )
    if metric == "coco":
        try:
            require_hotcoco()
        except ImportError as error:
            raise InputError(f"--metric coco: {error}") from None


def _load(model: str, device: str | None, nms: str | None) -> tuple[Detector, tuple[str, ...]]:
    from vedette.infer.load import load

    detector = load(model, device=device, **chosen(nms=nms))
    if detector.classes is None:
        raise InputError(f"{model}: the weights name no classes, so they cannot be matched with those of the data")
    return detector, detector.classes


def _read(sources: list[str]) -> Dataset:
    from vedette.data.read import read_datasets

    dataset = read_datasets(sources, "evaluate")
    for note in dataset.notes:
        typer.echo(f"note: {note}", err=True)
    return dataset


def _find(
    detector: Detector, dataset: Dataset, passes: Passes, workers: int, bf16: bool, score: float | None
) -> list[Detections]:
    """What the detector finds in each image, on proposals where it takes them; a bar for both."""
    from vedette.data.selective_search import proposals_for
    from vedette.evaluate.run import LOWEST_SCORE, evaluate_model

    lowest = LOWEST_SCORE if score is None else score
    given = detector.model, dataset, passes, detector.device, workers, bf16, lowest
    proposals = proposals_for(detector.model, dataset, workers, Progress)
    with Progress(len(dataset), "images") as bar:
        return evaluate_model(*given, progress=bar.reach, proposals=proposals)


def _measure(
    dataset: Dataset,
    found: Sequence[Detections],
    truths: Sequence[Truth],
    classes: tuple[str, ...],
    metric: Metric,
    overlap: Overlap,
) -> _Scores:
    from vedette.evaluate.coco import coco_average_precision
    from vedette.evaluate.voc import voc_average_precision

    if metric != "coco":
        voc = voc_average_precision(found, truths, len(classes), metric=metric, overlap=overlap)
        return _Scores(voc.mean_ap, dict(zip(classes, voc.per_class.tolist(), strict=True)), None)
    ids = [dataset.image_id(index) for index in range(len(dataset))]
    coco = coco_average_precision(found, truths, len(classes), ids)
    return _Scores(coco.ap, dict(zip(classes, coco.per_class.tolist(), strict=True)), coco)


def _write_results(
    folder: Path,
    dataset: Dataset,
    found: Sequence[Detections],
    classes: tuple[str, ...],
    metric: Metric,
    sources: Sequence[str],
) -> None:
    from vedette.data.read import default_split, find_splits, parse_source
    from vedette.evaluate.results import write_coco_results, write_voc_results

    if metric == "coco":
        write_coco_results(folder, dataset, found, classes)
    else:
        path, split = parse_source(sources[0])
        write_voc_results(folder, dataset, found, classes, split or default_split(find_splits(path), "evaluate") or "")
    typer.echo(f"results: {folder}")


def _table_of(coco: CocoResult) -> dict[str, float]:
    return {name: value for name, value in asdict(coco).items() if name != "per_class"}


def _show(scores: _Scores, metric: Metric, images: int) -> None:
    """The table on stdout."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from vedette.evaluate.report import METRIC_NAMES

    table = Table(show_footer=True)
    table.add_column("class", "mean")
    table.add_column("AP", f"{scores.mean:.4f}", justify="right")
    for name, ap in scores.per_class.items():
        table.add_row(escape(name), "—" if isnan(ap) else f"{ap:.4f}")
    console = Console(highlight=False)
    console.print(f"{METRIC_NAMES[metric]}, {images} images", soft_wrap=True)
    console.print(table)
    if scores.coco is not None:
        numbers = [f"{name} {value:.4f}" for name, value in _table_of(scores.coco).items()]
        for line in (numbers[:6], numbers[6:]):
            console.print("  ".join(line), soft_wrap=True)


def _write_json(path: Path, scores: _Scores, facts: dict[str, Any]) -> None:
    """mAP and per_class as fractions; null where there is nothing to find."""
    from vedette.data.atomic import write_json

    content = {**facts, "mAP": scores.mean, "per_class": scores.per_class}
    if scores.coco is not None:
        content["table"] = _table_of(scores.coco)
    write_json(path, _plain(content))


def _plain(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return None if isinstance(value, float) and isnan(value) else value


def _write_report(
    folder: Path,
    dataset: Dataset,
    found: Sequence[Detections],
    truths: Sequence[Truth],
    classes: tuple[str, ...],
    metric: Metric,
    overlap: Overlap,
    coco: CocoResult | None,
    facts: dict[str, str],
) -> None:
    from vedette.evaluate.report import write_report

    how: dict[str, Any] = {"metric": metric, "overlap": overlap, "coco": coco, "facts": facts}
    try:
        page = write_report(folder, dataset, found, truths, classes, **how)
    except OSError as error:
        raise InputError(f"--report {folder}: cannot be written ({error.strerror})") from None
    typer.echo(f"report: {page}")
