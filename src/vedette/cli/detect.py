"""vedette detect: find objects in pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from operator import length_hint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli import detect_options as options
from vedette.cli.batch import Batch, Row, plan
from vedette.cli.choices import BatchSize, Bf16, Device, Flip, Nms, Scales, Trust, Vote, chosen, read_scales
from vedette.cli.looking import read_least, read_tiles, watched
from vedette.cli.progress import Progress
from vedette.cli.saved import Saves
from vedette.cli.sources import find_images
from vedette.data.findings import LONGEST_NAME, shown
from vedette.data.values import counted
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.infer.detector import Detector
    from vedette.infer.multiscale import Passes
    from vedette.infer.scores import Least
    from vedette.structures import Detections

NAMED = 8  # detections, or files, that a line names


def detect(
    source: options.Source,
    model: options.Model = "refinedet320-lite0",
    out: options.Out = Path("detections"),
    score: options.Score = None,
    batch_size: BatchSize = 8,
    device: Device = None,
    bf16: Bf16 = False,
    graphs: options.Graphs = False,
    trust: Trust = False,
    nms: Nms = None,
    scales: Scales = None,
    flip: Flip = False,
    vote: Vote = False,
    classes: options.Classes = None,
    tiles: options.Tiles = None,
    overlap: options.Overlap = None,
    save: options.Save = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Find objects in pictures: annotated pictures, and a COCO results list with file and class names.

    Names of classes are drawn in the first font that has their letters; the environment's VEDETTE_FONT may name one.

    Example: vedette detect photo.jpg "holiday/*.jpg" --out found
    """
    sources = find_images(source)
    for note in sources.notes:
        typer.echo(f"note: {shown(note)}", err=True)
    if not sources.files:
        raise _failure(sources.faults)
    from vedette.zoo import weight_file

    sizes, weights = read_scales(scales), weight_file(model)  # before torch is imported, which takes seconds
    asked: dict[str, Any] = {"model": model, "weights": _checksum(weights), "bf16": bf16}
    asked |= {"score": "default" if score is None else score, "nms": nms, "scales": sizes, "flip": flip, "vote": vote}
    saves = Saves(save, out, resume)
    asked |= {"classes": classes, "tiles": tiles, "overlap": overlap, "crops": saves.crops is not None or None}
    batch = plan(out, sources.files, asked, resume, overwrite, saves.files)
    for note in batch.notes:
        typer.echo(f"note: {shown(note)}", err=True)
    _check_font()
    detector = _load(weights, device, graphs, nms, trust)
    passes = replace(_plan(detector, sizes, flip, vote, batch_size), tiles=read_tiles(tiles, overlap))
    least = read_least(detector, score, classes)
    batch.begin()
    saves.begin()
    try:
        _run(batch, saves, detector, passes, least, bf16, quiet=as_json)
    except (KeyboardInterrupt, SystemExit):
        typer.echo(shown(batch.state()), err=True)
        raise
    results = batch.finish()
    saves.finish(batch.in_order(), detector)
    _tell(batch, results if as_json else "", sources.faults)


def _load(weights: Path, device: str | None, graphs: bool, nms: str | None, trust: bool) -> Detector:
    from vedette.infer.load import load

    return load(weights, device=device, graphs=graphs, trust=trust, **chosen(nms=nms))


def _plan(detector: Detector, sizes: Sequence[int] | None, flip: bool, vote: bool, batch_size: int) -> Passes:
    from vedette.infer.multiscale import plan_passes

    return plan_passes(detector.input_spec, sizes, flip, vote, batch_size)


def _checksum(weights: Path) -> str:
    """Of weights, which may be others when the run goes on."""
    from hashlib import file_digest

    with weights.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def _check_font() -> None:
    """Raises FontError for one that VEDETTE_FONT names and that is none, before the work."""
    from vedette.pages.fonts import system_fonts

    system_fonts()


def _run(batch: Batch, saves: Saves, detector: Detector, passes: Passes, score: Least, bf16: bool, quiet: bool) -> None:
    """Detects, and writes the pictures and rows of the files that are left, batch by batch."""
    from vedette.infer.files import detect_files, holds_several

    left = batch.left()
    places, several = iter(left), list[str]()
    with Progress(len(left), "images") as progress:
        passes = watched(passes, lambda some: progress.reach(len(left) - length_hint(places) + some, len(left)))
        for results in detect_files(detector, [file for file, _ in left], passes, score, bf16):
            rows = []
            for file, picture in islice(places, len(results)):
                row, line = _take(results, file, picture, saves)
                rows.append(row)
                if line and not quiet:
                    progress.say(line)
                several += [str(file)] if line and holds_several(file) else []
                progress.reach(len(left) - length_hint(places), len(left))
            batch.add(rows)
    if several:
        named = ", ".join(several[:NAMED]) + (f" and {len(several) - NAMED} more" if len(several) > NAMED else "")
        typer.echo(f"note: {shown(named)}: more than one picture in a file, the first was looked at", err=True)


def _take(results: list[Detections | InputError], file: Path, picture: Path, saves: Saves) -> tuple[Row, str]:
    """Takes the next of the results out and writes its picture; gives its row, and a line to say, "" of an error."""
    found = results.pop(0)
    row: Row = {"file_name": str(file), "source": os.path.realpath(file)}
    if isinstance(found, InputError):
        return row | {"error": str(found)}, ""
    error = _save(found, file, picture) or saves.add(found, picture)
    size = {} if found.image is None else {"width": found.image.width, "height": found.image.height}
    named = zip(found.to_coco(), found.names, strict=True)
    boxes = [{key: one[key] for key in ("category_id", "bbox", "score")} | {"class_name": name} for one, name in named]
    row |= {"output": picture.name, **size, "detections": boxes, **({"error": error} if error else {})}
    return row, f"{shown(str(file))}: {_summary(found)}"


def _save(found: Detections, file: Path, picture: Path) -> str | None:
    """Writes the annotated picture, never through a link; a line where that cannot be, and the others are done."""
    try:
        picture.unlink(missing_ok=True)  # whether a symbolic or a hard link, what it leads to stays
        found.save(picture)
    except InputError as error:
        return f"{file}: {error}"
    except OSError as error:
        return f"{file}: {picture} cannot be written ({error.strerror or error})"
    return None


def _tell(batch: Batch, results: str, faults: Sequence[str]) -> None:
    """Says what came of it; exit code 1 where something could not be done, an InputError where nothing could."""
    rows = batch.rows.values()
    faults = [*faults, *(row["error"] for row in rows if "error" in row)]
    seen = [row["detections"] for row in rows if "detections" in row]
    if not seen:
        raise _failure(faults)
    counts = f"{counted(len(seen), 'image')}, {counted(sum(map(len, seen)), 'detection')}"
    typer.echo(results or f"{counts}: see {shown(str(batch.out))}/")
    for fault in faults:
        typer.echo(f"error: {shown(fault)}", err=True)
    if faults:
        raise typer.Exit(1)


def _summary(found: Detections) -> str:
    """Names and scores, the best first."""
    names = (shown(name, LONGEST_NAME) for name in found.names)
    named = [f"{name} {score:.2f}" for name, score in zip(names, found.scores.tolist(), strict=True)]
    more = [f"and {len(named) - NAMED} more"] if len(named) > NAMED else []
    return shown(", ".join(named[:NAMED] + more)) or "nothing found"


def _failure(faults: Sequence[str]) -> InputError:
    """The last of the faults as the command's error; the others are told before."""
    for fault in faults[:-1]:
        typer.echo(f"error: {shown(fault)}", err=True)
    return InputError(shown(faults[-1]))
