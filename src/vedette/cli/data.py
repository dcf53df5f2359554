"""vedette data: look at a data set before it is trained on, and write it anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vedette.cli.convert import convert
from vedette.cli.findings import KEPT, finding_lines, watched
from vedette.cli.places import check_file, check_folder, place
from vedette.cli.proposals import proposals
from vedette.cli.show import show
from vedette.cli.split import split
from vedette.cli.stats import stats

if TYPE_CHECKING:
    from vedette.data.check import Report
    from vedette.data.fix import Fixed

MOST_CLASSES = 100  # in a line

app = typer.Typer(no_args_is_help=True)
app.command("convert")(convert)
app.command("split")(split)
app.command("show")(show)
app.command("stats")(stats)
app.command("proposals")(proposals)


@app.callback()
def data() -> None:
    """Look at a data set before it is trained on, and write it anew.

    Example: vedette data check my-photos
    """


@app.command("check")
def check_command(
    source: Annotated[str, typer.Argument(metavar="PATH[:SPLIT]", help="COCO, VOC or YOLO data; default: all splits.")],
    json_file: Annotated[Path | None, place("--json", metavar="FILE", help="Write all findings there.")] = None,
    fix_to: Annotated[
        Path | None,
        place("--fix", metavar="OUT", help="Write a corrected copy of the annotations into this new folder."),
    ] = None,
) -> None:
    """Report every fault of a data set: boxes, classes, missing and damaged files.

    Exit code 1 where a fault would change or stop a training, else 0; with --fix, where that is so of the copy.

    Example: vedette data check my-photos --json findings.json --fix my-photos-fixed
    """
    from vedette.data.check import check
    from vedette.data.findings import shown
    from vedette.data.fix import fix
    from vedette.data.read import parse_source

    check_file("--json", json_file, "findings")
    check_folder("--fix", fix_to)
    path, split = parse_source(source)
    fixed = None if fix_to is None else fix(path, fix_to, split, watched)
    report = check(path, split, watched) if fixed is None else fixed.report
    if json_file is not None:
        _write(report, json_file)
    for line in _lines(report):
        typer.echo(line)
    if fixed is not None:
        for line in _fixed_lines(fixed):
            typer.echo(line)
        typer.echo(KEPT)
        typer.echo(f"written: {shown(str(fix_to))}")
    raise typer.Exit(1 if (report.harmful if fixed is None else fixed.left) else 0)


def _write(report: Report, file: Path) -> None:
    from vedette.data.atomic import write_json

    content = {
        "images": report.images,
        "boxes": report.boxes,
        "classes": report.classes,
        "splits": {name: asdict(count) for name, count in report.splits.items()},
        "findings": [asdict(finding) for finding in report.findings],
    }
    write_json(file, content)


def _lines(report: Report) -> Iterable[str]:
    """The report as text."""
    from vedette.data.findings import LONGEST_NAME, shown

    yield f"images {report.images}, boxes {report.boxes}, classes {len(report.classes)}"
    maps = {str(count.categories): (name, count.categories) for name, count in report.splits.items()}
    for name, count in report.splits.items():
        yield f"  {shown(name)}: images {count.images}, boxes {count.boxes}"
    for name, categories in maps.values():
        yield "classes (id name):" if len(maps) == 1 else f"classes of {shown(name)} (id name):"
        names = [f"{key} {shown(category, LONGEST_NAME)}" for key, category in categories.items()]
        more = [f"and {len(names) - MOST_CLASSES} more (--json FILE lists all)"] if len(names) > MOST_CLASSES else []
        yield "  " + ", ".join(names[:MOST_CLASSES] + more)
    yield from finding_lines(report.findings)
    yield "a training would stop or read it differently" if report.harmful else "ready to train"


def _fixed_lines(fixed: Fixed) -> Iterable[str]:
    from vedette.data.fix import DONE

    yield f"corrected copy: images {fixed.images}, boxes {fixed.boxes}"
    for kind in dict.fromkeys(finding.kind for finding in fixed.report.findings):
        count = sum(finding.kind == kind for finding in fixed.report.findings)
        yield f"  {kind}: {count}, {DONE[kind]}"
    yield from (f"  {line}" for line in fixed.left_out)
    if fixed.left:
        yield "what is left to mend by hand:"
        yield from (f"  {line}" for line in finding_lines(fixed.left))
