"""vedette detect: find objects in pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.cli.progress import Progress
from vedette.cli.sources import find_images
from vedette.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from vedette.infer.detector import Detector
    from vedette.structures import Detections

RESULTS = "detections.json"
NAMED = 8  # detections that a line names


def detect(
    source: Annotated[list[str], typer.Argument(help="Images, folders (without subfolders) and quoted globs.")],
    model: Annotated[
        str, typer.Option(help="A name from `vedette models`, or the path of a weight file.")
    ] = "refinedet320-lite0",
    out: Annotated[Path, typer.Option(help="Folder for the annotated pictures and detections.json.")] = Path(
        "detections"
    ),
    score: Annotated[float, typer.Option(min=0.0, max=1.0, help="Least score of a detection.")] = 0.5,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at once.")] = 8,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, …; default: a GPU if there is one.")] = None,
    bf16: Annotated[bool, typer.Option("--bf16", help="Run the network in bfloat16: faster, nearly the same.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print detections.json instead of lines.")] = False,
) -> None:
    """Find objects in pictures; write annotated pictures and detections.json.

    Example: vedette detect photo.jpg "holiday/*.jpg" --out found
    """
    import json

    files, faults = find_images(source)
    for fault in faults:
        _complain(fault)
    if not files:
        raise typer.Exit(2)
    names = _prepare(out, files)
    rows = []
    done = 0
    with Progress(len(files), "images") as progress:
        for file, found in _detect_all(_load(model, device), files, score, batch_size, bf16, faults, progress):
            _write(found, out / names[file])
            rows += _rows(file, files.index(file), found)
