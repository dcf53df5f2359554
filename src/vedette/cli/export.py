"""vedette export: a detector as a file that other programs run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vedette.cli.choices import Nms, chosen
from vedette.cli.complete import complete_model
from vedette.cli.places import check_folder, place
from vedette.cli.sources import find_images
from vedette.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vedette.infer.detector import Detector

Format = Literal["onnx", "openvino", "pt2"]


def export(
    model: Annotated[
        str, typer.Argument(help="A name with bundled weights, or a weight file.", autocompletion=complete_model)
    ],
    to: Annotated[
        Format, typer.Option(help="onnx: ONNX Runtime and others; openvino: .xml and .bin; pt2: torch.export.")
    ],
    out: Annotated[Path, place(help="The file to write: .onnx, .xml or .pt2.")],
    check: Annotated[
        list[Path] | None,
        typer.Option(help="A photograph to compare the file with the model on; may be repeated; default: the bundled."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Give logits and deltas of every anchor, before anything is found.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="In eight bits (onnx, openvino); needs --calibrate, and better --data.")
    ] = False,
    calibrate: Annotated[
        list[str] | None,
        typer.Option(help="Photographs, folders or globs that INT8's ranges are measured on, up to 100 of them."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="PATH[:SPLIT] of annotated images that AP is measured on before and after INT8."),
    ] = None,
    max_drop: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="AP that INT8 may cost; operations that cost more stay in float32."),
    ] = 0.005,
    nms: Nms = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="The weights may be of a module of your own, which is imported.")
    ] = False,
) -> None:
    """Write a detector as one graph, from the bytes of pictures to boxes, scores and classes.

    Names, input and classes are in the file, so that `vedette detect --model FILE` and vedette.load(FILE) need nothing
    else. The file is run beside the model before it is written; where it finds other boxes, nothing is written.

    Example: vedette export refinedet320-lite0 --to onnx --out refinedet320.onnx

    Example: vedette export refinedet320-lite0 --to openvino --out fast.xml --int8 --calibrate photos --data voc:val
    """
    _check_int8(to, int8, calibrate, data, raw)
    check_folder("--out", out.parent)
    from vedette.zoo import weight_file

    weights = weight_file(model)  # before torch is imported, which takes seconds
    from vedette.export.run import ENDINGS, check_out
    from vedette.export.run import export as write
    from vedette.infer.load import load

    check_out(to, out)
    started = time.monotonic()

    def tell(line: str) -> None:
        typer.echo(f"{time.monotonic() - started:5.0f} s  {line}", err=True)

    detector = load(weights, device="cpu", trust=trust, **chosen(nms=nms))
    if int8:
        report = _write_int8(detector, to, out, calibrate or [], data, max_drop, tell)
    else:
        report = write(detector, to, out, check=check or (), raw=raw, tell=tell)
    size = sum(out.with_suffix(ending).stat().st_size for ending in ENDINGS[to])
    typer.echo(f"{out}: {size / 1e6:.1f} MB; {report}")


def _check_int8(to: str, int8: bool, calibrate: list[str] | None, data: list[str] | None, raw: bool) -> None:
    """Before the work, not after it."""
    if not int8 and (calibrate or data):
        raise InputError("--calibrate and --data are for --int8: give it too, or leave them out")
    if int8 and not calibrate:
        raise InputError("--int8: its ranges are measured on photographs; give some with --calibrate")
    if int8 and (to == "pt2" or raw):
        raise InputError("--int8: is for whole detectors, --to onnx or --to openvino")


def _write_int8(
    detector: Detector,
    to: Format,
    out: Path,
    calibrate: list[str],
    data: list[str] | None,
    max_drop: float,
    tell: Callable[[str], None],
) -> str:
    from vedette.data.read import read_datasets
    from vedette.export.int8 import export_int8

    sources = find_images(calibrate)
    if sources.faults:
        raise InputError(sources.faults[0])
    dataset = read_datasets(data, "evaluate") if data else None
    return export_int8(detector, to, out, sources.files, dataset, max_drop, tell)
