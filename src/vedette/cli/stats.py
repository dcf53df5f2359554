"""vedette data stats: what is in a data set, and what of it a detector's anchors reach."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.cli.places import check_file, place
from vedette.cli.progress import Progress
from vedette.cli.settings import read_settings
from vedette.cli.tables import table_lines
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.evaluate.coverage import Coverage

DEFAULT = "refinedet320-lite0"
LARGER, STEP = 1.6, 64  # the input that is tried out instead, as 512 for 320; in whole steps
BETTER = 0.9  # of the boxes that are not reached: more must be gained for a larger input to be worth a line


def stats(
    source: Annotated[
        str, typer.Argument(metavar="PATH[:SPLIT]", help="COCO, VOC or YOLO data; default: all splits, as one.")
    ],
    model: Annotated[
        str | None,
        typer.Option(help=f"Whose anchors: a name from `vedette models`, or a weight file; default: {DEFAULT}."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field of the model's config; repeatable."),
    ] = None,
    no_anchors: Annotated[bool, typer.Option("--no-anchors", help="Count the data alone, at once.")] = False,
    json_file: Annotated[Path | None, place("--json", metavar="FILE", help="Write the numbers there.")] = None,
) -> None:
    """Count images and boxes, by class, size and shape, and the boxes that no anchor of a detector reaches.

    All of them as a training has them: cut to their image, without those that have no area there.

    Example: vedette data stats my-photos:train --model refinedet320-lite0 --set image_size=512
    """
    from vedette.data.atomic import write_json
    from vedette.data.read import parse_source
    from vedette.data.split import read_whole
    from vedette.data.statistics import statistics_of
    from vedette.zoo import known

    check_file("--json", json_file, "boxes")
    fields = read_settings(settings or [])
    if no_anchors and (model is not None or fields):
        raise InputError("--no-anchors: --model and --set are for anchors; leave them out")
    if model is not None and not Path(model).exists():
        known(model)  # before torch is imported, which takes seconds
    dataset = read_whole(*parse_source(source), "train")
    for note in dataset.notes:
        typer.echo(f"note: {note}", err=True)
    numbers: dict[str, Any] = {"data": source, **statistics_of(dataset)}
    lines = list(_data_lines(numbers))
    if not no_anchors and not numbers["boxes"]:
        lines += ["", "no box that is neither difficult nor a crowd, so nothing that an anchor could reach"]
    elif not no_anchors:
        from vedette.evaluate.coverage_words import coverage_numbers

        name = model or DEFAULT
        coverage = _coverage(dataset, name, fields)
        numbers["anchors"] = {"model": name, "set": fields, **coverage_numbers(coverage, dataset.classes)}
        lines += ["", *_anchor_lines(numbers["anchors"]), *_advice(coverage, dataset, name, fields)]
    if json_file is not None:
        write_json(json_file, numbers)
    for line in lines:
        typer.echo(line)


def _data_lines(numbers: dict[str, Any]) -> Iterable[str]:
    from vedette.data.findings import LONGEST_NAME, shown

    yield f"images {numbers['images']}, {numbers['without_boxes']} of them without boxes"
    ignored = f"difficult {numbers['difficult']}, crowds {numbers['crowds']}, counted nowhere else"
    yield f"boxes {numbers['boxes']}, cut to their image ({ignored})"
    for key in ("boxes_an_image", "picture_widths", "picture_heights", "sides"):
        spread = numbers[key]
        if spread is not None:
            values = ", ".join(f"{name} {value:.4g}" for name, value in spread.items())
            yield f"{key.replace('_', ' ')}: {values}"
    yield ""
    header = ["class", "images", "boxes", "ignored", "small", "medium", "large"]
    rows = [[shown(name, LONGEST_NAME), *own.values()] for name, own in numbers["classes"].items()]
    ignored_in_all = numbers["difficult"] + numbers["crowds"]
    rows.append(["all", numbers["images"], numbers["boxes"], ignored_in_all, *numbers["sizes"].values()])
    yield from table_lines([header, *rows])
    yield "small: area below 32 x 32 pixels of the picture, large: from 96 x 96 on"
    yield ""
    yield from table_lines([["width to height", "boxes"], *numbers["ratios"].items()])


def _coverage(dataset: Dataset, model: str, fields: dict[str, Any]) -> Coverage:
    from vedette.evaluate.coverage import anchor_coverage

    with Progress(len(dataset), "images") as bar:
        return anchor_coverage(dataset, _on_meta(model, fields), bar.reach)


def _on_meta(model: str, fields: dict[str, Any]) -> Any:
    """The detector without memory for its weights. Raises InputError for a name, a file or a field that is none."""
    import torch

    from vedette.infer.load import load
    from vedette.zoo import build, find

    if find(model) is None and Path(model).exists():
        if fields:
            raise InputError(
                f"--set {next(iter(fields))}: is for names; {model} has the config that it was trained with"
            )
        detector = load(model, device="cpu")
        if detector.model is None:
            raise InputError(f"--model {model}: give the weights themselves, not an export")
        return detector.model.to("meta")
    with torch.device("meta"):
        return build(model, **fields)


def _anchor_lines(numbers: dict[str, Any]) -> Iterable[str]:
    from vedette.data.findings import LONGEST_NAME, shown
    from vedette.data.values import counted

    boxes, missed = numbers["boxes"], numbers["not_reached"]
    fields = "".join(f" --set {name}={value}" for name, value in numbers["set"].items())
    yield f"anchors of {shown(numbers['model'] + fields)}: sides {numbers['anchor_sides'][0]:.3g} to " + (
        f"{numbers['anchor_sides'][1]:.3g} px of the input"
    )
    reasons = ", ".join(f"{count} {why}" for why, count in numbers["why"].items() if count)
    yield f"{missed} of {counted(boxes, 'box')} reach none at IoU {numbers['iou']:g}" + (
        f": {reasons}" if reasons else ""
    )
    yield ""
    rows: list[list[object]] = [["class", "boxes", "reach none", "%"]]
    rows += [[shown(name, LONGEST_NAME), *_cells(own)] for name, own in numbers["classes"].items()]
    yield from table_lines(rows)
    yield ""
    rows = [["side, px of the input", "boxes", "reach none", "%"]]
    for own in numbers["sides"]:
        rows.append([f"from {own['from']}" + (f" to {own['to']}" if own["to"] else ""), *_cells(own)])
    yield from table_lines(rows)


def _cells(own: dict[str, int]) -> list[object]:
    share = f"{100 * own['not_reached'] / own['boxes']:.1f}" if own["boxes"] else "-"
    return [own["boxes"], own["not_reached"], share]


def _advice(coverage: Coverage, dataset: Dataset, model: str, fields: dict[str, Any]) -> Iterable[str]:
    """Sentences, and what a larger input would change: tried out, not guessed."""
    from vedette.data.findings import shown
    from vedette.evaluate.coverage import WHYS
    from vedette.evaluate.coverage_words import sentences
    from vedette.zoo import find

    said = [shown(line) for line in sentences(coverage, dataset.classes)]
    yield from ["", *said] if said else []
    missed = int((coverage.why > 0).sum())
    small = int((coverage.why == WHYS.index("too small")).sum())
    if not said or small < missed / 2 or find(model) is None:  # a weight file has its size
        return
    size = round(coverage.input_side * LARGER / STEP) * STEP
    try:
        larger = _coverage(dataset, model, fields | {"image_size": size})
    except InputError:  # layers that such an input does not fit
        larger = coverage
    still = int((larger.why > 0).sum())
    if still < BETTER * missed:
        yield f"with --set image_size={size}: {still} of {len(larger)} reach none instead of {missed}"
    else:
        yield f"smaller anchors are needed; see `vedette config {model}`"
