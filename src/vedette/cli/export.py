"""vedette export: a detector as a file that other programs run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from vedette.cli.choices import Nms, chosen
from vedette.cli.complete import complete_model
from vedette.cli.int8 import Calibrate, Data, Int8, MaxDrop, calibration, check_int8, judged
from vedette.cli.places import check_folder, place
from vedette.errors import InputError

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
    int8: Int8 = False,
    calibrate: Calibrate = None,
    data: Data = None,
    max_drop: MaxDrop = None,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Of pt2: machine code (AOTInductor), for machines like this one.")
    ] = False,
    nms: Nms = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="The weights may be of a module of your own, which is imported.")
    ] = False,
) -> None:
    """Write a detector as one graph, from the bytes of pictures to boxes, scores and classes.

    Names, input and classes are in the file, so that `vedette detect --model FILE` and vedette.load(FILE) need nothing
    else. The file is run beside the model before it is written; where it finds other boxes, nothing is written.

    Example: vedette export refinedet320-lite0 --to onnx --out refinedet320.onnx

    Example: vedette export refinedet320-lite0 --to openvino --int8 --calibrate photos --data my-photos:val
    --max-drop 0.005 --out refinedet320.xml
    """
    check_int8(int8, calibrate, data, max_drop)
    if int8 and (to == "pt2" or raw):
        raise InputError(f"--int8: not with {'--raw' if raw else '--to pt2'}; choose --to onnx or openvino")
    check_folder("--out", out.parent)
    from vedette.zoo import weight_file

    weights = weight_file(model)  # before torch is imported, which takes seconds
    from vedette.export.run import ENDINGS, check_out
    from vedette.export.run import export as write
    from vedette.infer.load import load

    check_out(to, out, compiled)
    _check_free(out)
    started = time.monotonic()

    def tell(line: str) -> None:
        typer.echo(f"{time.monotonic() - started:5.0f} s  {line}", err=True)

    detector = load(weights, device="cpu", trust=trust, **chosen(nms=nms))
    if int8:
        from vedette.export.int8 import export_int8

        pictures, measured = calibration(calibrate or ()), judged(detector, data, max_drop)
        report = export_int8(detector, to, out, pictures, measured, check=check or (), tell=tell)
    else:
        report = write(detector, to, out, check=check or (), raw=raw, compiled=compiled, tell=tell)
    size = sum(out.with_suffix(ending).stat().st_size for ending in ENDINGS[to])
    typer.echo(f"{out}: {size / 1e6:.1f} MB; {report}")


def _check_free(out: Path) -> None:
    """Raises InputError for a file that is no export of ours, and for a .bin that nobody named and that has no .xml."""
    from vedette.weights.exported import FORMAT_KEY

    if out.exists() and FORMAT_KEY.encode() not in out.read_bytes():  # as it is in each format
        raise InputError(f"--out {out}: exists, and is no result of this command; give another name")
    weights = out.with_suffix(".bin")
    if out.suffix == ".xml" and weights.exists() and not out.exists():
        raise InputError(f"--out {out}: {weights}, which is written beside it, is there already; give another name")
