"""vedette evaluate: measure a detector on annotated images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.cli.choices import MOST_AT_ONCE, MOST_WORKERS, Flip, Nms, Scales, Vote, chosen, read_scales
from vedette.cli.complete import complete_model
from vedette.cli.measured import AnnotatedData, Measured, Metric, Overlap, measure, show, write_numbers
from vedette.cli.places import check_apart, check_file, check_folder, check_pages, place
from vedette.cli.progress import Counted, Progress
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.evaluate.coco import CocoResult
    from vedette.evaluate.thresholds import Aims
    from vedette.evaluate.truth import Truth
    from vedette.infer.detector import Detector
    from vedette.infer.multiscale import Passes
    from vedette.structures import Detections

PAGES = ("report.html", "pictures.html")


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Names from `vedette models`, or paths of weight files; of several, each is compared with the first.",
            autocompletion=complete_model,
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
    max_detections: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="Detections of an image that count; default: what the detector keeps, and COCO's 100 of a class.",
        ),
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
    trust: Annotated[
        bool, typer.Option("--trust", help="The weights may be of a module of your own, which is imported.")
    ] = False,
    resamples: Annotated[
        int,
        typer.Option(min=100, max=100_000, help="Choices of images behind the intervals and tests of a comparison."),
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of these choices.")] = 0,
    nms: Nms = None,
    scales: Scales = None,
    flip: Flip = False,
    vote: Vote = False,
) -> None:
    """Measure a detector: average precision, overall and per class. Or compare several on the same images.

    Example: vedette evaluate refinedet320-lite0 --data my-photos:val --metric voc12 --report report

    Example: vedette evaluate runs/a/best.safetensors runs/b/best.safetensors --data my-photos:val --report a-or-b
    """
    from vedette.zoo import weight_file

    files = [weight_file(model) for model in models]  # before torch is imported, which takes seconds
    from vedette.evaluate.limits import keep_most
    from vedette.evaluate.results import check_results
    from vedette.evaluate.thresholds import Aims
    from vedette.infer.multiscale import plan_passes

    _check_metric(metric, overlap)
    if len(models) > 1 and results is not None:
        raise InputError("--results: holds the detections of one model; leave it out, or name one model")
    _check_places(json, results, report, len(models))
    sizes = read_scales(scales)
    loaded = [_load(model, device, nms, trust) for model in models]
    for detector, _ in loaded:
        if max_detections is not None:
            keep_most(detector.network, max_detections)
    plans = [plan_passes(detector.input_spec, sizes, flip, vote, batch_size) for detector, _ in loaded]
    dataset = _read(data)
    if results is not None:
        check_results(dataset, loaded[0][1], voc=metric != "coco")
    truths = [_truths(model, dataset, classes) for model, (_, classes) in zip(models, loaded, strict=True)]
    _note_crowded([detector for detector, _ in loaded], truths[0], metric, max_detections)
    above = overlap or ("above" if metric != "coco" else None)
    given = chosen(nms=nms, overlap=above, score=score, max_detections=max_detections)
    every = []
    for model, (detector, classes), passes, own in zip(models, loaded, plans, truths, strict=True):
        found = _find(detector, dataset, passes, workers, bf16, score)
        every.append(Measured(model, classes, found, own, {"input": str(passes), **given}))
    images = AnnotatedData(dataset, ", ".join(data), metric, overlap or "above", max_detections)
    aims = Aims(at_score, at_precision, at_recall)
    if len(every) > 1:
        from vedette.cli.compare import compare_models

        compare_models(every, images, aims, json, report, resamples, seed)
        return
    if results is not None:
        _write_results(results, dataset, every[0].found, every[0].classes, metric, data)
    _tell_one(every[0], images, aims, json, report, Path(files[0]))


def _tell_one(
    own: Measured, images: AnnotatedData, aims: Aims, json: Path | None, report: Path | None, weights: Path
) -> None:
    """The numbers of one model: on stdout, as JSON and as a report."""
    scores = measure(own, images)
    show(scores, images)
    facts = {"model": own.model, "data": images.source, **own.facts}
    if json is not None:
        write_numbers(json, own, images, scores, facts, aims)
    if report is not None:
        _write_report(report, own, images, scores.coco, facts, aims, weights)


def _check_places(json: Path | None, results: Path | None, report: Path | None, models: int) -> None:
    """That what is to be written has a place, before the work and not after it."""
    from vedette.pages.fonts import system_fonts

    check_file("--json", json, "per_class" if models == 1 else "comparisons")
    check_folder("--results", results, files=["results.json"])
    check_folder("--report", report, files=PAGES, folders=["pictures"])
    check_pages("--report", report, PAGES)
    if report is not None:
        system_fonts()  # raises FontError for one that VEDETTE_FONT names and that is none
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


def _load(model: str, device: str | None, nms: str | None, trust: bool) -> tuple[Detector, tuple[str, ...]]:
    from vedette.infer.load import load

    detector = load(model, device=device, trust=trust, **chosen(nms=nms))
    if detector.classes is None:
        raise InputError(f"{model}: the weights name no classes, so they cannot be matched with those of the data")
    return detector, detector.classes


def _note_crowded(detectors: list[Detector], truths: Sequence[Truth], metric: Metric, most: int | None) -> None:
    """Says where images have more objects than can be found."""
    from vedette.evaluate.limits import COCO_LIMIT, crowded

    configs: list[Any] = [detector.network.config for detector in detectors]
    limits = [config.keep for config in configs if hasattr(config, "keep")]  # one's own detector may have none
    if not limits:
        return
    of_a_class = (most or COCO_LIMIT) if metric == "coco" else None
    images, objects = crowded(truths, min(limits), of_a_class)
    if images:
        classes = "" if of_a_class is None else f", the metric {of_a_class} of a class"
        typer.echo(
            f"note: {images} of {len(truths)} images have more objects than are counted (the detector keeps "
            f"{min(limits)} of an image{classes}), up to {objects}; to count them all: --max-detections {objects}",
            err=True,
        )


def _truths(model: str, dataset: Dataset, classes: tuple[str, ...]) -> list[Truth]:
    from vedette.evaluate.measure import truths_for

    try:
        return truths_for(dataset, classes)
    except InputError as error:
        raise InputError(f"{model}: {error}") from None


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
    given = detector.network, dataset, passes, detector.device, workers, bf16, lowest
    proposals = proposals_for(detector.network, dataset, workers, Progress)
    with Progress(len(dataset), "images") as bar:
        return evaluate_model(*given, progress=bar.reach, proposals=proposals)


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


def _write_report(
    folder: Path,
    own: Measured,
    images: AnnotatedData,
    coco: CocoResult | None,
    facts: dict[str, str],
    aims: Aims,
    weights: Path,
) -> None:
    from vedette.evaluate.report import write_report

    how: dict[str, Any] = {"metric": images.metric, "overlap": images.overlap, "coco": coco, "facts": facts}
    try:
        with Counted("pictures") as progress:
            how |= {"aims": aims, "weights": weights, "progress": progress}
            page = write_report(folder, images.dataset, own.found, own.truths, own.classes, **how)
    except OSError as error:
        raise InputError(f"--report {folder}: cannot be written ({error.strerror})") from None
    typer.echo(f"report: {page}")
