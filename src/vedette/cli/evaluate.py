"""vedette evaluate: measure a detector on annotated images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli import evaluate_options as options
from vedette.cli.annotated import load_detector, read_annotated, truths_in
from vedette.cli.backends import Backend, Fp32
from vedette.cli.choices import (
    BatchSize,
    Bf16,
    Device,
    Flip,
    Nms,
    Scales,
    Trust,
    Vote,
    chosen,
    given_options,
    read_scales,
    written,
)
from vedette.cli.chosen import read_choice, store
from vedette.cli.measured import AnnotatedData, Measured, Metric, Overlap, measure, show, write_numbers
from vedette.cli.places import check_apart, check_file, check_folder, check_outside, check_pages, check_result_files
from vedette.cli.progress import Counted, Progress
from vedette.data.values import counted
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
    context: typer.Context,
    models: options.Models,
    data: options.Data,
    metric: options.Metric = "voc12",
    overlap: options.Overlap = None,
    score: options.Score = None,
    max_detections: options.MaxDetections = None,
    results: options.Results = None,
    report: options.Report = None,
    at_score: options.AtScore = None,
    at_precision: options.AtPrecision = 0.9,
    at_recall: options.AtRecall = 0.8,
    choose_thresholds: options.Choose = None,
    out: options.Out = None,
    in_place: options.InPlace = False,
    json: options.Json = None,
    batch_size: BatchSize = 16,
    workers: options.Workers = 2,
    device: Device = None,
    bf16: Bf16 = False,
    backend: Backend = None,
    fp32: Fp32 = False,
    trust: Trust = False,
    resamples: options.Resamples = 1000,
    seed: options.Seed = 0,
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
    _check_metric(metric, overlap)
    _check_places(json, results, report, len(models))
    _check_chances(context, len(models))
    choice = read_choice(choose_thresholds, out, in_place, files)
    sizes = read_scales(scales)
    from vedette.evaluate.thresholds import Aims

    looks = [_load(model, context.params, sizes) for model in models]
    dataset = read_annotated(data)
    for option, folder in {"--report": report, "--results": results}.items():
        check_outside(option, folder, dataset.files, data)
    images = AnnotatedData(dataset, ", ".join(data), metric, overlap or "above", max_detections)
    every = _measured(looks, images, context.params)
    aims = Aims(at_score, at_precision, at_recall)
    if len(every) > 1:
        from vedette.cli.compare import compare_models

        compare_models(every, images, aims, json, report, resamples, seed)
        return
    if results is not None:
        _write_results(results, images.dataset, every[0].found, every[0].classes, metric, data)
    _tell_one(every[0], images, aims, json, report, Path(files[0]))
    if choice is not None:
        store(choice, every[0], images)


@dataclass(frozen=True)
class Looking:
    """A detector, and how it looks at pictures."""

    name: str  # as named on the command line
    detector: Detector
    classes: tuple[str, ...]
    passes: Passes


def _load(model: str, values: Mapping[str, Any], sizes: Sequence[int] | None) -> Looking:
    """The model as the options (`values`) want it; raises InputError where its classes are not known."""
    from vedette.evaluate.limits import keep_most
    from vedette.infer.multiscale import plan_passes

    run_by = {name: values[name] for name in ("backend", "bf16", "fp32", "device", "trust")}
    detector, classes = load_detector(model, **run_by, **chosen(nms=values["nms"]))
    if values["max_detections"] is not None:
        keep_most(detector.network, values["max_detections"])
    passes = plan_passes(detector.input_spec, sizes, values["flip"], values["vote"], values["batch_size"])
    return Looking(model, detector, classes, passes)


def _measured(looks: Sequence[Looking], images: AnnotatedData, values: Mapping[str, Any]) -> list[Measured]:
    """What each finds in the images; whatever does not fit is told before the first looks."""
    from vedette.evaluate.results import check_results

    if values["results"] is not None:
        check_results(images.dataset, looks[0].classes, voc=images.metric != "coco")
    truths = [truths_in(one.name, images.dataset, one.classes) for one in looks]
    _note_crowded([one.detector for one in looks], truths[0], images.metric, images.most)
    above = values["overlap"] or ("above" if images.metric != "coco" else None)
    how = {"nms": values["nms"], "backend": values["backend"]}
    given = chosen(**how, overlap=above, score=values["score"], max_detections=images.most)
    every = []
    for one, own in zip(looks, truths, strict=True):
        found = _find(one, images.dataset, values["workers"], values["bf16"], values["score"])
        every.append(Measured(one.name, one.classes, found, own, {"input": str(one.passes), **given}))
    return every


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

    if models > 1 and results is not None:
        raise InputError("--results: holds the detections of one model; leave it out, or name one model")
    check_file("--json", json, "per_class" if models == 1 else "comparisons")
    check_folder("--results", results, files=["results.json"])
    check_result_files("--results", results)
    check_folder("--report", report, files=PAGES, folders=["pictures"])
    check_pages("--report", report, PAGES)
    if report is not None:
        system_fonts()  # raises FontError for one that VEDETTE_FONT names and that is none
    page = None if report is None else report / "report.html"
    check_apart({"--json": json, "--results": results, "--report": report, "the page of --report": page})


def _check_chances(context: typer.Context, models: int) -> None:
    """That options of a comparison are given to one."""
    of_a_comparison = [written(name) for name in ("resamples", "seed") if name in given_options(context)]
    if models == 1 and of_a_comparison:
        raise InputError(f"{of_a_comparison[0]}: is of a comparison; leave it out, or name two models")


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
            f"note: {images} of {counted(len(truths), 'image')} have more objects than are counted (the detector keeps "
            f"{min(limits)} of an image{classes}), up to {objects}; to count them all: --max-detections {objects}",
            err=True,
        )


def _find(one: Looking, dataset: Dataset, workers: int, bf16: bool, score: float | None) -> list[Detections]:
    """What it finds in each image, on proposals where it takes them; a bar for both."""
    from vedette.data.selective_search import proposals_for
    from vedette.evaluate.run import LOWEST_SCORE, evaluate_model

    lowest, detector = LOWEST_SCORE if score is None else score, one.detector
    given = detector.network, dataset, one.passes, detector.device, workers, bf16, lowest
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
