"""vedette detect: find objects in pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.cli.choices import MOST_AT_ONCE, Flip, Nms, Scales, Vote, chosen, read_scales
from vedette.cli.complete import complete_model
from vedette.cli.places import check_folder, place
from vedette.cli.progress import Progress
from vedette.cli.sources import find_images
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.infer.detector import Detector
    from vedette.infer.multiscale import Passes
    from vedette.structures import Detections

RESULTS = "detections.json"
NAMED = 8  # detections that a line names


def detect(
    source: Annotated[list[str], typer.Argument(help="Images, folders (without subfolders) and quoted globs.")],
    model: Annotated[
        str,
        typer.Option(help="A name from `vedette models`, or the path of a weight file.", autocompletion=complete_model),
    ] = "refinedet320-lite0",
    out: Annotated[Path, place(help="Folder for the pictures and detections.json.")] = Path("detections"),
    score: Annotated[float, typer.Option(min=0.0, max=1.0, help="Least score of a detection.")] = 0.5,
    batch_size: Annotated[int, typer.Option(min=1, max=MOST_AT_ONCE, help="Images at once.")] = 8,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU if there is one.")] = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="Run the network in bfloat16: faster, nearly the same.")] = False,
    graphs: Annotated[
        bool, typer.Option("--graphs", help="On a GPU, replay the network as CUDA graphs: faster for small batches.")
    ] = False,
    nms: Nms = None,
    scales: Scales = None,
    flip: Flip = False,
    vote: Vote = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print detections.json instead of lines.")] = False,
) -> None:
    """Find objects in pictures: annotated pictures, and a COCO results list with file and class names.

    Example: vedette detect photo.jpg "holiday/*.jpg" --out found
    """
    files, faults = find_images(source)
    if not files:
        raise _failure(faults)
    sizes = read_scales(scales)
    pictures = _prepare(out, files)
    detector = _load(model, device, graphs, nms)
    passes = _plan(detector, sizes, flip, vote, batch_size)
    rows, unread, unwritten = _run(files, pictures, detector, passes, score, bf16, quiet=as_json)
    faults += unread + unwritten
    if len(unread) == len(files):
        raise _failure(faults)
    results = _write_results(out / RESULTS, rows)
    counts = f"{_plural(len(files) - len(unread), 'image')}, {_plural(len(rows), 'detection')}"
    typer.echo(results if as_json else f"{counts}: see {_shown(out)}/")
    for fault in faults:
        typer.echo(f"error: {_shown(fault)}", err=True)
    if faults:
        raise typer.Exit(1)


def _load(model: str, device: str | None, graphs: bool, nms: str | None) -> Detector:
    from vedette.infer.load import load

    return load(model, device=device, **chosen(graphs=graphs or None, nms=nms))


def _plan(detector: Detector, sizes: Sequence[int] | None, flip: bool, vote: bool, batch_size: int) -> Passes:
    from vedette.infer.multiscale import plan_passes

    return plan_passes(detector.input_spec, sizes, flip, vote, batch_size)


def _run(
    files: Sequence[Path],
    pictures: Sequence[Path],
    detector: Detector,
    passes: Passes,
    score: float,
    bf16: bool,
    quiet: bool,
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Detects and writes the pictures; the rows of detections.json, and lines for files not read and not written."""
    from vedette.infer.files import detect_files

    rows, unread, unwritten = [], [], []
    with Progress(len(files), "images") as progress:
        results = detect_files(detector, files, passes, score, bf16)
        for number, (file, picture, found) in enumerate(zip(files, pictures, results, strict=True)):
            if isinstance(found, InputError):
                unread.append(str(found))
            else:
                unwritten += _save(found, file, picture)
                rows += _rows(found, file, number, detector.category_ids)
                if not quiet:
                    progress.say(f"{_shown(file)}: {_summary(found)}")
            progress.advance()
    return rows, unread, unwritten


def _prepare(out: Path, files: Sequence[Path]) -> list[Path]:
    """Makes the folder; the annotated picture of each file, no two the same and none of them a source."""
    if out.resolve() in {folder for file in files for folder in (file.resolve().parent, file.parent.resolve())}:
        raise InputError(
            f"--out {out}: images to detect in lie there and must not be written over; give another folder"
        )
    check_folder("--out", out, files=[RESULTS])
    out.mkdir(parents=True, exist_ok=True)
    seen: Counter[str] = Counter()
    names: list[Path] = []
    for file in files:
        name = file.stem
        while seen[name.lower()]:  # some file systems do not tell A from a
            seen[file.stem.lower()] += 1
            name = f"{file.stem}-{seen[file.stem.lower()]}"
        seen[name.lower()] += 1
        names.append(out / f"{name}.jpg")
    strange = [picture for picture in names if picture.exists()] if not (out / RESULTS).is_file() else []
    if strange:
        raise InputError(
            f"--out {out}: {strange[0].name} is there already, and no {RESULTS}: it is not of this command, and would "
            "be written over; give another folder"
        )
    return names


def _save(found: Detections, file: Path, picture: Path) -> list[str]:
    """Writes the annotated picture, never through a link; a line where that cannot be, and the others are done."""
    try:
        picture.unlink(missing_ok=True)  # whether a symbolic or a hard link, what it leads to stays
        found.save(picture)
    except InputError as error:
        return [f"{file}: {error}"]
    except OSError as error:
        return [f"{file}: {picture} cannot be written ({error.strerror or error})"]
    return []


def _rows(found: Detections, file: Path, number: int, category_ids: Sequence[int] | None) -> list[dict[str, Any]]:
    """COCO results, image ids counted from 0, with the file's and the class's name."""
    rows = found.to_coco(number, category_ids)
    return [row | {"file_name": str(file), "class_name": name} for row, name in zip(rows, found.names, strict=True)]


def _shown(text: Path | str) -> str:
    """A name, or a line that holds one, in letters that a terminal can print."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


def _summary(found: Detections) -> str:
    """Names and scores, the best first."""
    named = [f"{name} {score:.2f}" for name, score in zip(found.names, found.scores.tolist(), strict=True)]
    more = [f"and {len(named) - NAMED} more"] if len(named) > NAMED else []
    return ", ".join(named[:NAMED] + more) or "nothing found"


def _write_results(path: Path, rows: list[dict[str, Any]]) -> str:
    import json

    from vedette.data.atomic import write_text

    text = json.dumps(rows, indent=1)  # in ASCII: a terminal prints it too, and a file's name may hold any byte
    write_text(path, text + "\n")
    return text


def _failure(faults: Sequence[str]) -> InputError:
    """The last of the faults as the command's error; the others are told before."""
    for fault in faults[:-1]:
        typer.echo(f"error: {_shown(fault)}", err=True)
    return InputError(_shown(faults[-1]))


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
