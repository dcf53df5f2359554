"""vedette explain IMAGE…: a page of the glass box for each picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli.choices import read_scales
from vedette.cli.model_names import called
from vedette.cli.outputs import name_pictures
from vedette.cli.places import check_apart, check_file, check_folder, check_page
from vedette.cli.progress import Progress
from vedette.cli.sources import find_images
from vedette.cli.truth import GroundTruth, read_truth
from vedette.data.values import counted
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.glass.page import View
    from vedette.infer.detector import Detector

PAGE, FOLDER = Path("page.html"), Path("pages")
SUFFIXES = {".html", ".htm"}
OF_OTHER_FILES = {".svg", ".png", ".jpg", ".jpeg", ".webp", ".pdf", ".json"}  # no folder is meant by such a name


@dataclass(frozen=True, kw_only=True)
class WantedPages:
    """What the command's options ask for."""

    images: list[str]
    model: str
    beside: str | None = None  # another detector, to be shown beside it
    data: list[str] | None = None  # in which the images are annotated
    out: Path | None = None
    json: Path | None = None
    score: float = 0.5
    scales: str | None = None
    flip: bool = False
    vote: bool = False
    config: dict[str, Any]  # fields of the detector's, to look with
    device: str | None = None
    trust: bool = False


def explain_pictures(wanted: WantedPages) -> None:
    """A page for each picture, a line for each on stdout; what cannot be read is told, and the others are done.

    Raises InputError where there is no picture, and for a detector or a place that will not do, before the work.
    """
    from vedette.zoo import weight_file

    truth = None if wanted.data is None else read_truth(wanted.data)
    sources = find_images(wanted.images if truth is None else truth.files(wanted.images))
    for note in sources.notes:
        typer.echo(f"note: {note}", err=True)
    if not sources.files:
        raise _failure(sources.faults)
    pages = _pages(wanted.out, sources.files)
    check_file("--json", wanted.json, "pictures")
    check_apart({"--json": wanted.json} | {f"the page of {file}": page for file, page in pages})
    models = [wanted.model] if wanted.beside is None else [wanted.model, wanted.beside]
    for model in models:
        weight_file(model)  # before torch is imported, which takes seconds
    read_scales(wanted.scales)
    detectors = [_load(wanted, model) for model in models]
    told, faults = _explain(wanted, list(zip(called(models), detectors, strict=True)), pages, truth)
    _tell(wanted, told, [*sources.faults, *faults])


def _pages(out: Path | None, files: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Each file with the page that it gets; raises InputError for a place that will not do."""
    several = len(files) > 1
    if several and out is not None and out.suffix.lower() in SUFFIXES and not out.is_dir():
        raise InputError(f"--out {out}: {len(files)} pictures have a page each; give the name of a folder")
    place = out or (FOLDER if several else PAGE)
    if place.suffix.lower() in OF_OTHER_FILES and not place.is_dir():
        raise InputError(
            f"--out {place}: a page is written; give a name that ends in .html, or a folder (for a step as SVG: "
            "trace.figure in Python; for the numbers: --json)"
        )
    if not several and not place.is_dir() and place.suffix.lower() in SUFFIXES:
        pages = [place]
    else:
        check_folder("--out", place)
        pages = [place / Path(name).with_suffix(".html") for name in name_pictures(files, {})]
    for page in pages:
        check_page("--out", page)
    return list(zip(files, pages, strict=True))


def _load(wanted: WantedPages, model: str) -> Detector:
    from vedette.infer.load import load

    return load(model, device=wanted.device, trust=wanted.trust, **wanted.config)


def _explain(
    wanted: WantedPages,
    detectors: Sequence[tuple[str, Detector]],
    pages: Sequence[tuple[Path, Path]],
    truth: GroundTruth | None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Writes the pages; what is told of each picture for `--json`, and a line for each that cannot be done."""
    from vedette.glass.page import save_page

    told, faults = [], []
    with Progress(len(pages), "pages") as progress:
        for file, page in pages:
            try:
                views = list(_views(wanted, detectors, file, truth))
            except InputError as error:
                faults.append(str(error))
            else:
                save_page(page, views, file.name)
                progress.say(f"{file}: {_summary(views)}: {page}")
                told.append({"file": str(file), "page": str(page)} | (_traces(views) if wanted.json else {}))
            progress.advance()
    return told, faults


def _views(
    wanted: WantedPages, detectors: Sequence[tuple[str, Detector]], file: Path, truth: GroundTruth | None
) -> Iterator[View]:
    from vedette.glass.page import View
    from vedette.glass.trace import explain

    how: dict[str, Any] = {"scales": read_scales(wanted.scales), "flip": wanted.flip, "vote": wanted.vote}
    for name, detector in detectors:
        target = None if truth is None else truth.target(file, name, detector.classes)
        picture = file if truth is None else truth.picture(file)
        yield View(name, explain(detector, picture, target, score=wanted.score, **how))


def _summary(views: Sequence[View]) -> str:
    counts = [len(view.trace.detections) for view in views]
    found = [f"{counted(count, 'object')} found" for count in counts]
    return (
        found[0] if len(views) == 1 else ", ".join(f"{view.name} {one}" for view, one in zip(views, found, strict=True))
    )


def _traces(views: Sequence[View]) -> dict[str, Any]:
    from vedette.glass.portable import portable
    from vedette.glass.taught import taught

    return {
        "traces": [{"model": view.name, "trace": portable(view.trace), "taught": taught(view.trace)} for view in views]
    }


def _tell(wanted: WantedPages, told: list[dict[str, Any]], faults: Sequence[str]) -> None:
    """The file of `--json`, and the faults; exit code 1 where there are some, an InputError where all is faulty."""
    if not told:
        raise _failure(faults)
    if wanted.json is not None:
        from vedette.data.atomic import write_text

        write_text(wanted.json, json.dumps({"pictures": told}, separators=(",", ":")) + "\n")
    for fault in faults:
        typer.echo(f"error: {fault}", err=True)
    if faults:
        raise typer.Exit(1)


def _failure(faults: Sequence[str]) -> InputError:
    """The last of the faults as the command's error; the others are told before."""
    for fault in faults[:-1]:
        typer.echo(f"error: {fault}", err=True)
    return InputError(faults[-1])
