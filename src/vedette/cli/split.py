"""vedette data split: one data set into parts for training, validation and testing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vedette.cli.findings import KEPT
from vedette.cli.places import check_file, check_folder, place
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.data.split import Parted

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def split(
    source: Annotated[
        str, typer.Argument(metavar="PATH[:SPLIT]", help="COCO, VOC or YOLO data; default: all splits, as one.")
    ],
    out: Annotated[Path, place(help="A new folder for the parts, a COCO JSON each.")],
    parts: Annotated[
        str, typer.Option(metavar="NAME=SHARE,…", help="The parts and their shares of the images, of sum 1.")
    ] = "train=0.8,val=0.1,test=0.1",
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other parts.")] = 0,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="folder|PATTERN",
            help="Keep images of a folder together, or those for whose name a regular expression's first group is the "
            "same, such as frames of a video.",
        ),
    ] = None,
    json_file: Annotated[Path | None, place("--json", metavar="FILE", help="Write the numbers there.")] = None,
) -> None:
    """Part a data set so that every part has its share of every class.

    Copies of one picture stay in one part. The pictures stay where they are: the JSONs name them by their whole path.

    Example: vedette data split my-photos --parts train=0.8,val=0.2 --group-by "(.*)_[0-9]+" --out my-split
    """
    from vedette.data.atomic import write_json
    from vedette.data.findings import shown
    from vedette.data.read import parse_source
    from vedette.data.split import split_dataset

    check_file("--json", json_file, "parts")
    check_folder("--out", out)
    path, name = parse_source(source)
    parted = split_dataset(path, read_parts(parts), out, name, seed, group_by)
    for note in parted.notes:
        typer.echo(f"note: {note}", err=True)
    numbers = {part: _numbers(dataset) for part, dataset in parted.parts.items()}
    if json_file is not None:
        write_json(json_file, {"seed": seed, "groups": parted.groups, "parts": numbers})
    for line in _lines(parted, numbers):
        typer.echo(line)
    typer.echo(KEPT)
    typer.echo(f"written: {shown(str(out))}")


def read_parts(text: str) -> dict[str, float]:
    """`train=0.8,val=0.2` as numbers; raises InputError for what is written otherwise or does not sum to 1."""
    parts: dict[str, float] = {}
    for entry in text.split(","):
        name, _, share = (word.strip() for word in entry.partition("="))
        try:
            value = float(share)
        except ValueError:
            value = 0.0
        taken = name.casefold() in map(str.casefold, parts)  # one file, on a disk that knows no capitals
        if not NAME.fullmatch(name) or not 0 < value <= 1 or taken:
            raise InputError(f"--parts {text!r}: {entry!r} is not NAME=SHARE, a new name and a number from 0 to 1")
        parts[name] = value
    if not isclose(sum(parts.values()), 1, abs_tol=1e-6):
        raise InputError(f"--parts {text!r}: the shares sum to {sum(parts.values()):g}, not to 1")
    return parts


def _numbers(dataset: Any) -> dict[str, Any]:
    """Images and boxes of each class, the boxes that count; and those that do not."""
    from vedette.data.split import shown_classes

    counts = shown_classes(dataset)
    return {
        "images": len(dataset),
        "without": int((counts.sum(1) == 0).sum()),
        "ignored": int((dataset.all_flags != 0).sum()),
        "classes": {
            name: {"images": int((own > 0).sum()), "boxes": int(own.sum())}
            for name, own in zip(dataset.classes, counts.T, strict=True)
        },
    }


def _lines(parted: Parted, numbers: dict[str, Any]) -> Iterable[str]:
    from vedette.cli.tables import table_lines
    from vedette.data.findings import LONGEST_NAME, shown
    from vedette.data.values import counted

    images = sum(map(len, parted.parts.values()))
    if parted.groups < images:
        yield f"{counted(images, 'image')} in {counted(parted.groups, 'group')} that stay together"
    if parted.ungrouped:
        yield f"{parted.ungrouped} of the images are in no group by --group-by"
    yield "images and boxes; difficult objects and crowds are no boxes here"
    every = list(numbers.values())
    rows: list[list[object]] = [["class", *(cell for name in numbers for cell in (name, "boxes"))]]
    for name in every[0]["classes"]:
        own = [one["classes"][name] for one in every]
        rows.append([shown(name, LONGEST_NAME), *(cell for one in own for cell in (one["images"], one["boxes"]))])
    rows.append(["without boxes", *(cell for one in every for cell in (one["without"], ""))])
    rows.append(["difficult, crowds", *(cell for one in every for cell in ("", one["ignored"]))])
    boxes = [sum(own["boxes"] for own in one["classes"].values()) for one in every]
    rows.append(["all", *(cell for one, count in zip(every, boxes, strict=True) for cell in (one["images"], count))])
    yield from table_lines(rows)
