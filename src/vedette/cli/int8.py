"""`vedette export --int8`: its options, and what they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedette.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from vedette.export.int8 import Judged
    from vedette.infer.detector import Detector

Int8 = Annotated[
    bool, typer.Option("--int8", help="Compute in eight bits, with ranges measured on --calibrate (onnx and openvino).")
]
Calibrate = Annotated[
    list[str] | None, typer.Option(help="Photographs for --int8, a folder or a glob; 100 of them are taken.")
]
Data = Annotated[
    list[str] | None,
    typer.Option(help="PATH[:SPLIT] of annotated images for --int8: AP before and after; may be repeated."),
]
MaxDrop = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="AP that --int8 may lose on --data, such as 0.005; layers are left out for it."),
]


def check_int8(int8: bool, calibrate: Sequence[str] | None, data: Sequence[str] | None, max_drop: float | None) -> None:
    """Raises InputError for options that do not go together."""
    if not int8:
        given = {"--calibrate": calibrate, "--data": data, "--max-drop": max_drop}
        for option in (option for option, value in given.items() if value is not None):
            raise InputError(f"{option}: is for --int8; add that, or leave it out")
    elif not calibrate:
        raise InputError("--int8: ranges are measured on photographs; give a folder of them with --calibrate")
    elif max_drop is not None and not data:
        raise InputError(f"--max-drop {max_drop:g}: AP is measured on annotated images; give them with --data")


def calibration(sources: Sequence[str]) -> list[Image]:
    """The pictures that ranges are measured on; what is passed over is told."""
    from vedette.cli.backends import tell
    from vedette.cli.sources import find_images
    from vedette.export.int8 import choose

    found = find_images(sources)
    if not found.files:
        raise InputError(f"--calibrate: {(*found.faults, 'there are no pictures')[0]}")
    for note in (*found.notes, *found.faults):
        tell(note)
    return choose(found.files, tell)


def judged(detector: Detector, data: Sequence[str] | None, max_drop: float | None) -> Judged | None:
    """What `--data` names, in the detector's classes; None without it."""
    if not data:
        return None
    from vedette.cli.annotated import read_annotated, truths_in
    from vedette.cli.progress import Counted
    from vedette.data.read import parse_source
    from vedette.export.int8 import Judged

    if detector.classes is None:
        raise InputError("--data: the weights name no classes, so they cannot be matched with those of the data")
    dataset = read_annotated(data)
    truths = truths_in("--data", dataset, detector.classes)
    parts = [parse_source(source) for source in data]
    name = ", ".join(f"{Path(path).name}:{split}" if split else Path(path).name for path, split in parts)
    return Judged(name, dataset, truths, max_drop, lambda: Counted("images"))
