"""vedette data convert: from one format to another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vedette.cli.findings import BOXES_ALONE, KEPT, finding_lines, watched
from vedette.cli.places import check_file, check_folder, place

if TYPE_CHECKING:
    from vedette.data.convert import Converted


def convert(
    source: Annotated[str, typer.Argument(metavar="PATH[:SPLIT]", help="COCO, VOC or YOLO data; default: all splits.")],
    to: Annotated[
        Literal["coco", "voc", "yolo", "huggingface"],
        typer.Option(help="COCO JSON, VOC XML, YOLO txt, or a folder that datasets.load_dataset loads."),
    ],
    out: Annotated[Path, place(help="A new folder for the data set.")],
    link: Annotated[
        bool, typer.Option("--link", help="Link the pictures (hard links, else symbolic ones) instead of copying.")
    ] = False,
    keep_ignored: Annotated[
        bool,
        typer.Option("--keep-ignored", help="In YOLO, make difficult objects and crowds ordinary; default: left out."),
    ] = False,
    boxes_only: Annotated[
        bool,
        typer.Option(
            "--boxes-only", help="Without outlines and keypoints; default: kept where both formats have them."
        ),
    ] = False,
    json_file: Annotated[Path | None, place("--json", metavar="FILE", help="Write counts and findings there.")] = None,
) -> None:
    """Write a data set in another format, with its pictures.

    What the format has no place for is left out, and so is what is at fault in the source: both are said. Exit code 1
    where something was at fault, else 0.

    Example: vedette data convert my-photos --to yolo --out my-photos-yolo
    """
    from vedette.data.atomic import write_json
    from vedette.data.convert import convert as write
    from vedette.data.findings import is_harmful
    from vedette.data.read import parse_source

    check_file("--json", json_file, "findings")
    check_folder("--out", out)
    path, split = parse_source(source)
    converted = write(path, to, out, split, link, keep_ignored, boxes_only, watched)
    if json_file is not None:
        write_json(json_file, _content(converted))
    _say(converted, out, BOXES_ALONE if boxes_only or to in ("voc", "huggingface") else KEPT)
    raise typer.Exit(1 if is_harmful(converted.findings) else 0)


def _content(converted: Converted) -> dict[str, object]:
    splits = {name: {"images": images, "boxes": boxes} for name, (images, boxes) in converted.counts.items()}
    return {"splits": splits, "lost": converted.lost, "findings": [asdict(one) for one in converted.findings]}


def _say(converted: Converted, out: Path, written: str) -> None:
    from vedette.data.findings import shown

    for name, (images, boxes) in converted.counts.items():
        typer.echo(f"{shown(name)}: images {images}, boxes {boxes}")
    for line in converted.lost:
        typer.echo(line)
    typer.echo(written)
    if converted.findings:
        typer.echo("found in the source:")
        for line in finding_lines(converted.findings):
            typer.echo(f"  {line}")
    typer.echo(f"written: {shown(str(out))}")
