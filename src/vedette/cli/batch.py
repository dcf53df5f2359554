"""A run of `vedette detect` over many pictures: what is done is written as it comes, so that a killed run goes on.

`detections.jsonl` has a row for each picture, `detections.json` is made of it at the end, and is not there before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from vedette.cli.films import check_recordings, files_among, name_films, real_name, rows_of_frames
from vedette.cli.outputs import RECORD, RESULTS, ROWS, check_places, name_pictures, read_record
from vedette.data.values import counted
from vedette.errors import InputError

Row = dict[str, Any]  # file_name, source and error, or output, width, height and detections


@dataclass
class Batch:
    """Which pictures there are, what each one's annotated picture is called, and the rows of those that are done."""

    out: Path
    files: Sequence[Path]
    settings: dict[str, Any]  # what decides on the results
    names: list[str]
    written: list[str]  # files of this command's in the folder, those of this run too
    rows: dict[str, Row] = field(default_factory=dict)  # by the picture's real path
    videos: Sequence[tuple[str, str]] = ()  # each with the name of its annotated one
    notes: Sequence[str] = ()  # what is odd about it
    stream: BinaryIO | None = None

    def begin(self) -> None:
        """Makes the folder, and the file of rows with those that are done; the list of a run before goes."""
        from vedette.data.atomic import write_json, write_text

        self.out.mkdir(parents=True, exist_ok=True)
        write_json(self.out / RECORD, {"settings": self.settings, "written": self.written})
        write_text(self.out / ROWS, "".join(map(_line, self.rows.values())))
        (self.out / RESULTS).unlink(missing_ok=True)
        self.stream = (self.out / ROWS).open("ab")

    def left(self) -> list[tuple[Path, Path]]:
        """The pictures that are not done, each with the place of its annotated one; those with an error last.

        So the network sees the others in the batches in which it would have seen them anyway, and finds the same.
        """
        pairs = [(file, self.out / name) for file, name in zip(self.files, self.names, strict=True)]
        rows = [self.rows.get(os.path.realpath(file)) for file in self.files]
        new = [pair for pair, row in zip(pairs, rows, strict=True) if row is None]
        return new + [pair for pair, row in zip(pairs, rows, strict=True) if row is not None and "error" in row]

    def videos_left(self) -> list[tuple[str, Path]]:
        """The videos that are not done whole, each with the place of its annotated one."""
        rows = [self.rows.get(real_name(source)) for source, _ in self.videos]
        pairs = zip(self.videos, rows, strict=True)
        return [(source, self.out / name) for (source, name), row in pairs if row is None or "error" in row]

    def add(self, rows: Sequence[Row]) -> None:
        """Writes the rows of a batch of pictures; whatever becomes of this process, they are there."""
        self.rows |= {row["source"]: row for row in rows}
        if self.stream is None:
            raise ValueError("begin() comes first")
        try:
            self.stream.write("".join(map(_line, rows)).encode())
            self.stream.flush()
        except OSError as error:
            raise InputError(f"{self.out / ROWS}: cannot be written ({error.strerror}); {GO_ON}") from None

    def finish(self) -> str:
        """Writes the rows, one a picture in their order, and the list of all detections; gives the list's text."""
        from vedette.data.atomic import write_text

        if self.stream is not None:
            self.stream.close()
        rows = self.in_order()
        write_text(self.out / ROWS, "".join(map(_line, rows)))
        text = json.dumps(_results(rows), indent=1)  # in ASCII: a terminal prints it too, and a name may hold any byte
        write_text(self.out / RESULTS, text + "\n")
        return text

    def in_order(self) -> list[Row]:
        """All rows, in the order of the pictures."""
        places = {os.path.realpath(file): place for place, file in enumerate(self.files)}
        return sorted(self.rows.values(), key=lambda row: places.get(row["source"], len(places)))

    def state(self) -> str:
        """How far it came, and how it goes on."""
        done = sum("error" not in row and "frames" not in row for row in self.rows.values())
        return f"done: {done} of {counted(len(self.files), 'picture')}, in {self.out / ROWS}; {GO_ON}"


GO_ON = "the same command with --resume goes on"


def plan(
    out: Path,
    files: Sequence[Path],
    settings: dict[str, Any],
    resume: bool,
    overwrite: bool,
    videos: Sequence[str] = (),
    others: Sequence[str] = (),
) -> Batch:
    """What there is to do; nothing is written yet.

    others: further files that will be written in the folder. resume: what is done in the folder already is not done
    again, but for pictures with an error. Raises InputError for other settings than then, and for what stands in the
    way in the folder.
    """
    if resume and overwrite:
        raise InputError("--resume goes on with a run, --overwrite begins one anew: give one of them")
    record = read_record(out) or {"settings": settings, "written": []}
    rows = _read_rows(out / ROWS) if ROWS in record["written"] else {}
    done = sum("error" not in row for row in rows.values())
    if resume:
        check_same(out, record["settings"], settings)
        settings = record["settings"] | settings
    elif done and not overwrite and not (out / RESULTS).exists():
        raise InputError(
            f"--out {out}: a run that was not finished is there, with {counted(done, 'picture')} done; go on with "
            "--resume, begin anew with --overwrite, or give another folder"
        )
    rows = rows if resume else {}
    names = name_pictures(files, {source: row["output"] for source, row in rows.items() if "output" in row})
    films = name_films(videos, rows)
    check_recordings(out, videos, films, overwrite)
    places = [*names, *films, *map(rows_of_frames, films), RESULTS, ROWS, *others]
    check_places(out, [*files, *files_among(videos)], places, record["written"], overwrite)
    written = sorted({*record["written"], *places})
    notes = [f"--resume: nothing is done in {out} yet, so all begins"] if resume and not rows else []
    return Batch(out, files, settings, names, written, rows, list(zip(videos, films, strict=True)), notes)


def _read_rows(path: Path) -> dict[str, Row]:
    """The last row of each picture; a line that was not written to its end is none."""
    rows = {}
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:  # torn, or what is behind the last line's end
            continue
        if isinstance(row, dict) and "source" in row and ("error" in row or "output" in row):
            rows[row["source"]] = row
    return rows


def check_same(out: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises InputError where a run that is gone on with was asked otherwise; what it had no use for may be new."""
    for name, value in now.items():
        if name in before and before[name] != value:
            if name == "weights":
                raise InputError(f"--resume: {now['model']} holds other weights than when {out} was begun; give those")
            then, today = (json.dumps(given) for given in (before[name], value))
            raise InputError(
                f"--resume: {out} was begun with {name} {then}, and now it is {today}; give the same, or another --out"
            )


def _results(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """COCO results with the file's and the class's name; image ids are places among the rows, from 0 on."""
    return [
        {"image_id": number, **found, "file_name": row["file_name"], "class_name": name}
        for number, row in enumerate(rows)
        for name, found in map(_parted, row.get("detections", ()))
    ]


def _parted(found: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A detection's class name, and the rest."""
    return found["class_name"], {key: value for key, value in found.items() if key != "class_name"}


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"
