"""vedette data show: pictures of a data set with their boxes, on one sheet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedette.cli.places import place
from vedette.cli.progress import Progress
from vedette.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
OURS = "vedette data show"  # in the file, so that a sheet may be written over and a photograph never is
MOST = 400  # pictures: a sheet of them is 50 million pixels


def show(
    source: Annotated[
        str, typer.Argument(metavar="PATH[:SPLIT]", help="COCO, VOC or YOLO data; default: all splits, as one.")
    ],
    out: Annotated[Path, place(help="The sheet, a .jpg or .png.")] = Path("sheet.jpg"),
    count: Annotated[int, typer.Option(min=1, max=MOST, help="Pictures at most.")] = 30,
    classes: Annotated[
        str | None, typer.Option(metavar="A,B", help="Pictures with these classes, and their boxes alone.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed shows other pictures.")] = 0,
    columns: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Pictures in a row; default: about as many as rows.")
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="First the pictures that something was found about, and what it is.")
    ] = False,
) -> None:
    """Draw pictures with their boxes and names on one sheet; difficult objects and crowds are dashed.

    Example: vedette data show my-photos:train --out sheet.jpg --count 30 --classes cat,dog
    """
    from vedette.data.files import refuse_among
    from vedette.data.findings import shown
    from vedette.data.read import parse_source
    from vedette.data.show import show as draw

    _check_place(out)
    path, split = parse_source(source)
    names = [name.strip() for name in classes.split(",") if name.strip()] if classes is not None else []
    sheet = draw(path, split, count, names, seed, columns, faults, _watched)
    refuse_among(sheet.files, out, path)
    _save(sheet.picture, out)
    for line in sheet.unreadable:
        typer.echo(f"left out: {shown(line)}", err=True)
    typer.echo(f"pictures {len(sheet.files)}: {shown(str(out))}")
    raise typer.Exit(1 if sheet.unreadable else 0)


def _watched(order: list[int]) -> Iterator[int]:
    with Progress(len(order), "images") as bar:
        for index in order:
            yield index
            bar.advance()


def _check_place(out: Path) -> None:
    """Raises InputError for another kind of file, and for one that is there and is no sheet."""
    from PIL import Image

    if out.suffix.lower() not in FORMATS:
        raise InputError(f"--out {out}: a sheet is a .jpg or .png; give such a name")
    if not out.exists():
        return
    try:
        with Image.open(out) as image:
            said = image.info.get("comment", b"")
    except (OSError, ValueError):
        said = b""
    if said not in (OURS, OURS.encode()):
        raise InputError(f"--out {out}: exists, and is no sheet of this command; give another name")


def _save(sheet: Image.Image, out: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    from vedette.data.atomic import write_whole

    if FORMATS[out.suffix.lower()] == "JPEG":
        if max(sheet.size) > 65500:
            raise InputError(
                f"--out {out}: the sheet is too long or wide for a JPEG; give fewer pictures, or other --columns"
            )
        write_whole(out, lambda file: sheet.save(file, "JPEG", quality=90, comment=OURS))
        return
    info = PngInfo()
    info.add_text("comment", OURS)
    write_whole(out, lambda file: sheet.save(file, "PNG", pnginfo=info))
