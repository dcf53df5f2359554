"""vedette detect: find objects in pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from operator import length_hint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli import detect_options as options
from vedette.cli.backends import Backend, Fp32, load_on
from vedette.cli.batch import Batch, Row, plan
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
)
from vedette.cli.looking import read_least, read_tiles, watched
from vedette.cli.progress import Progress
from vedette.cli.ray import check_options, detect_on_ray, wanted_of
from vedette.cli.saved import Saves
from vedette.cli.sources import Sources, find_images
from vedette.cli.video import How, check_asked, watch_videos
from vedette.data.findings import LONGEST_NAME, shown
from vedette.data.values import counted, named
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.infer.detector import Detector
    from vedette.infer.multiscale import Passes, Tiles
    from vedette.structures import Detections


def detect(
    context: typer.Context,
    source: options.Source,
    model: options.Model = "refinedet320-lite0",
    out: options.Out = Path("detections"),
    score: options.Score = None,
    batch_size: BatchSize = 8,
    device: Device = None,
    bf16: Bf16 = False,
    backend: Backend = None,
    fp32: Fp32 = False,
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
    every: options.Every = 1,
    track: options.Track = False,
    as_json: options.Json = False,
    ray: options.Ray = False,
    ray_address: options.RayAddress = None,
    ray_workers: options.RayWorkers = None,
) -> None:
    """Find objects in pictures: annotated pictures, and a COCO results list with file and class names.

    In videos, from cameras and streams: an annotated video, and NAME.frames.jsonl with a line for each frame. Ctrl-C
    ends a stream; what was written until then plays.

    Names of classes are drawn in the first font that has their letters; the environment's VEDETTE_FONT may name one.

    Example: vedette detect photo.jpg "holiday/*.jpg" clip.mp4 --out found
    """
    check_options(given_options(context))
    sources = _found(source, videos=not ray)
    check_asked(sources, every, track, as_json, save)
    from vedette.zoo import weight_file

    weights = weight_file(model)  # before torch is imported, which takes seconds
    cut = read_tiles(tiles, overlap)
    asked = _asked(context.params, weights)
    if ray:
        return detect_on_ray(wanted_of(sources.files, weights, asked, context.params))
    saves = Saves(save, out, resume)
    asked |= _asked_here(context.params, bool(sources.videos), saves, cut)
    batch = plan(out, sources.files, asked, resume, overwrite, sources.videos, saves.files)
    _tell_notes(batch.notes)
    _check_font()
    given = {"device": device, "graphs": graphs, "trust": trust, **chosen(nms=nms)}
    detector = load_on(backend, bf16, fp32, weights, folded=True, **given)
    passes = replace(_plan(detector, asked["scales"], flip, vote, batch_size, bf16), tiles=cut)
    how = How(detector, passes, read_least(detector, score, classes), bf16, every, track, as_json)
    _look(batch, saves, how)
    results = batch.finish()
    saves.finish(batch.in_order(), detector)
    _tell(batch, as_json, results if sources.files else "", sources.faults)


def _found(source: Sequence[str], videos: bool) -> Sources:
    """What is there to look at; raises InputError where that is nothing."""
    sources = find_images(source, videos=videos)
    _tell_notes(sources.notes)
    if not sources.files and not sources.videos:
        raise _failure(sources.faults)
    return sources


def _tell_notes(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {shown(note)}", err=True)


def _asked(values: Mapping[str, Any], weights: Path) -> dict[str, Any]:
    """What a run that goes on must have been asked, wherever it runs."""
    same = {name: values[name] for name in ("model", "bf16", "nms", "flip", "vote")}
    score = "default" if values["score"] is None else values["score"]
    return {**same, "weights": _checksum(weights), "score": score, "scales": read_scales(values["scales"])}


def _asked_here(values: Mapping[str, Any], videos: bool, saves: Saves, tiles: Tiles | None) -> dict[str, Any]:
    """The same of what --ray does not have."""
    names = ("backend", "fp32", "tiles", *(("every", "track") if videos else ()))
    own: dict[str, Any] = {"classes": list(values["classes"] or ()) or None, "crops": saves.crops is not None or None}
    own["overlap"] = None if tiles is None else tiles.overlap
    return {name: values[name] for name in names} | own


def _plan(
    detector: Detector, sizes: Sequence[int] | None, flip: bool, vote: bool, batch_size: int, bf16: bool
) -> Passes:
    """Raises InputError for what the detector cannot do, before the results of a run before are written over."""
    from PIL import Image

    from vedette.infer.multiscale import plan_passes

    passes = plan_passes(detector.input_spec, sizes, flip, vote, batch_size)
    for spec in passes.specs:
        detector.look_in(spec, bf16)
    if bf16 and detector.model is None:  # whether an exported file can shows at the first look
        detector.look([Image.new("RGB", (32, 32))], passes, 1.0, bf16)
    return passes


def _checksum(weights: Path) -> str:
    """Of weights, which may be others when the run goes on; those of OpenVINO's .xml stand in a file beside it."""
    from hashlib import file_digest

    beside = weights.with_suffix(".bin")
    sums = []
    for file in [weights, beside] if weights.suffix == ".xml" and beside.is_file() else [weights]:
        with file.open("rb") as stream:
            sums.append(file_digest(stream, "sha256").hexdigest())
    return " ".join(sums)


def _check_font() -> None:
    """Raises FontError for one that VEDETTE_FONT names and that is none, before the work."""
    from vedette.pages.fonts import system_fonts

    system_fonts()


def _look(batch: Batch, saves: Saves, how: How) -> None:
    """At pictures, then at videos; where that is ended, how to go on is told."""
    batch.begin()
    saves.begin()
    try:
        _look_at_pictures(batch, saves, how)
        watch_videos(batch, how)
    except (KeyboardInterrupt, SystemExit):
        if batch.files:
            typer.echo(shown(batch.state()), err=True)
        raise


def _look_at_pictures(batch: Batch, saves: Saves, how: How) -> None:
    """Detects, and writes the pictures and rows of the files that are left, batch by batch."""
    from vedette.infer.files import detect_files, holds_several

    left = batch.left()
    places, several = iter(left), list[str]()
    with Progress(len(left), "images") as progress:
        passes = watched(how.passes, lambda some: progress.reach(len(left) - length_hint(places) + some, len(left)))
        for results in detect_files(how.detector, [file for file, _ in left], passes, how.least, how.bf16):
            rows = []
            for file, picture in islice(places, len(results)):
                row, line = _take(results, file, picture, saves)
                rows.append(row)
                if line and not how.as_json:
                    progress.say(line)
                several += [str(file)] if line and holds_several(file) else []
                progress.reach(len(left) - length_hint(places), len(left))
            batch.add(rows)
    if several:
        typer.echo(f"note: {shown(named(several))}: more than one picture in a file, the first was looked at", err=True)


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


def _tell(batch: Batch, as_json: bool, results: str, faults: Sequence[str]) -> None:
    """Says what came of it; exit code 1 where something could not be done, an InputError where nothing could.

    as_json: the results, as JSON, are what is said of pictures; of videos all is said by then.
    """
    rows = batch.rows.values()
    faults = [*faults, *(row["error"] for row in rows if "error" in row)]
    seen = [len(row["detections"]) for row in rows if "detections" in row]
    films = [row["found"] for row in rows if "frames" in row]
    if not seen and not films:
        raise _failure(faults)
    kinds = [counted(len(kind), name) for kind, name in ((seen, "image"), (films, "video")) if kind]
    words = f"{', '.join(kinds)}, {counted(sum(seen + films), 'detection')}: see {shown(str(batch.out))}/"
    if text := results if as_json else words:
        typer.echo(text)
    for fault in faults:
        typer.echo(f"error: {shown(fault)}", err=True)
    if faults:
        raise typer.Exit(1)


def _summary(found: Detections) -> str:
    """Names and scores, the best first."""
    names = (shown(name, LONGEST_NAME) for name in found.names)
    scored = [f"{name} {score:.2f}" for name, score in zip(names, found.scores.tolist(), strict=True)]
    return shown(named(scored)) or "nothing found"


def _failure(faults: Sequence[str]) -> InputError:
    """The last of the faults as the command's error; the others are told before."""
    for fault in faults[:-1]:
        typer.echo(f"error: {shown(fault)}", err=True)
    return InputError(shown(faults[-1]))
