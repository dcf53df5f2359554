"""vedette data proposals: selective search, or an RPN, over a data set, and how many of its boxes are covered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vedette.cli.choices import MOST_WORKERS
from vedette.cli.places import check_file, check_folder, place
from vedette.cli.progress import Progress
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.data.selective_search import Mode


def proposals(
    source: Annotated[str, typer.Argument(metavar="PATH[:SPLIT]", help="COCO, VOC or YOLO data; default: train.")],
    mode: Annotated[
        Literal["fast", "quality"] | None,
        typer.Option(help="quality finds more, in several times as long.  [default: fast]"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most proposals of an image.")] = 2000,
    cache: Annotated[
        Path | None,
        place(help="Folder that keeps them; default: vedette/proposals in the user's cache."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=MOST_WORKERS, help="Processes that search.")] = 2,
    model: Annotated[
        str | None, typer.Option(help="Weights of a Faster R-CNN: count what its RPN proposes instead.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Of --model: cpu, cuda, …; default: a GPU if there is one.")
    ] = None,
    json_file: Annotated[Path | None, place("--json", metavar="FILE", help="Write the numbers there.")] = None,
) -> None:
    """Compute selective search's proposals for R-CNN, SPPNet and Fast R-CNN; report their recall of the boxes.

    They are kept on disk, so a training finds them there; an RPN's are counted alone.

    Example: vedette data proposals my-photos:train --limit 1000 --json recall.json
    """
    from vedette.data.atomic import write_json
    from vedette.data.read import parse_source, read_dataset

    check_file("--json", json_file, "recall")
    check_folder("--cache", cache)
    _check_ways(model, mode, cache, device)
    search = mode or "fast"
    dataset = read_dataset(*parse_source(source))
    for note in dataset.notes:
        typer.echo(f"note: {note}", err=True)
    found = (
        _search(dataset, search, limit, cache, workers) if model is None else _of_rpn(dataset, model, device, workers)
    )
    content = {"data": source, "model": model, "mode": search if model is None else None, "limit": limit}
    content |= _numbers(dataset, [boxes[:limit] for boxes in found])
    if json_file is not None:
        write_json(json_file, content)
    _show(content)


def _check_ways(model: str | None, mode: Mode | None, cache: Path | None, device: str | None) -> None:
    """Raises InputError for an option of the other way to proposals."""
    given = {"--mode": mode, "--cache": cache} if model is not None else {"--device": device}
    for name, value in given.items():
        if value is not None:
            other = "selective search, and --model takes an RPN's proposals" if model is not None else "--model"
            raise InputError(f"{name} {value}: is for {other}; leave {name} out")
    if model is not None:
        from vedette.zoo import weight_file

        weight_file(model)  # before torch is imported, which takes seconds


def _search(dataset: Dataset, mode: Mode, limit: int, cache: Path | None, workers: int) -> list[Any]:
    from vedette.data.selective_search import proposals_of

    with Progress(len(dataset), "images") as bar:
        return proposals_of(dataset, mode, limit, cache, workers, progress=bar.reach)


def _of_rpn(dataset: Dataset, model: str, device: str | None, workers: int) -> list[Any]:
    """What the RPN gives to its detector in training; raises InputError for a model without one."""
    from vedette.infer.load import load
    from vedette.infer.precision import fast_precision
    from vedette.papers.faster_rcnn import FasterRCNN
    from vedette.train.rpn_proposals import rpn_proposals

    detector = load(model, device)
    if not isinstance(detector.model, FasterRCNN):
        raise InputError(f"--model {model}: has no RPN; give the weights of a Faster R-CNN")
    bf16 = fast_precision(detector.device) == "bf16"
    with Progress(len(dataset), "images") as bar:
        return rpn_proposals(
            detector.model, dataset, detector.input_spec, batch_size=8, workers=workers, bf16=bf16, progress=bar.reach
        )


def _numbers(dataset: Dataset, found: list[Any]) -> dict[str, Any]:
    """Counts, and the recall by threshold and number of proposals; None where no box is to be found."""
    from vedette.evaluate.recall import COUNTS, THRESHOLDS, proposal_recall
    from vedette.evaluate.truth import truths_of

    truths = truths_of(dataset)
    boxes = sum(int((~(truth.difficult | truth.crowd)).sum()) for truth in truths)
    recall = proposal_recall(found, truths).tolist()
    table = {
        str(threshold): {str(count): value if boxes else None for count, value in zip(COUNTS, row, strict=True)}
        for threshold, row in zip(THRESHOLDS, recall, strict=True)
    }
    return {
        "images": len(found),
        "boxes": boxes,
        "proposals": sum(map(len, found)) / max(1, len(found)),
        "recall": table,
    }


def _show(content: dict[str, Any]) -> None:
    typer.echo(f"images {content['images']}, boxes {content['boxes']}, {content['proposals']:.0f} proposals an image")
    counts = list(next(iter(content["recall"].values())))
    typer.echo("recall at first " + "".join(f"{count:>8}" for count in counts))
    for threshold, row in content["recall"].items():
        values = "".join(f"{'—' if value is None else f'{value:.3f}':>8}" for value in row.values())
        typer.echo(f"IoU {threshold:<12}{values}")
