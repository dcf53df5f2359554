"""What `vedette detect --save` writes beside its lists: data sets of what was found, a table, the objects cut out.

Each has one place in --out. Nothing of a person's own goes: a data set that was changed since, or that is not of this
command, stays, and is told before the work. Data sets and table are made of the rows at the end, so that a run that
goes on has all; crops are written with their picture.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli.crops import Crops
from vedette.cli.progress import Progress
from vedette.data.findings import shown
from vedette.errors import InputError, likely

if TYPE_CHECKING:
    from vedette.data.annotations import Dataset
    from vedette.infer.detector import Detector
    from vedette.structures import Detections

Row = dict[str, Any]  # of `batch`
DATA_SETS, CSV, CROPS = ("yolo", "voc", "coco"), "csv", "crops"
FORMATS = (*DATA_SETS, CSV, CROPS)
TABLE = "detections.csv"
COLUMNS = ("file_name", "width", "height", "class_name", "category_id", "score", "x1", "y1", "x2", "y2")
SPLIT = "train"  # the one that every reader knows
MARK = ".detected"  # in a data set's folder: the checksum of its annotations


class Saves:
    """What is to be saved of one run.

    Raises InputError for a format that there is not, and for what stands in the way in the folder.
    """

    def __init__(self, asked: Sequence[str] | None, out: Path, resume: bool) -> None:
        self.formats, self.out, self.resume = _formats(asked or ()), out, resume
        for name in self._data_sets:
            _check_own(out, name)
        self.crops = Crops(out / CROPS) if CROPS in self.formats else None

    @property
    def files(self) -> list[str]:
        """Single files in the folder."""
        return [TABLE] if CSV in self.formats else []

    def begin(self) -> None:
        """Once nothing stands in the way."""
        if self.crops is not None:
            self.crops.begin(self.resume)

    def add(self, found: Detections, picture: Path) -> str | None:
        """What is saved of a picture at once; picture: the annotated one. A line where it cannot be written."""
        return None if self.crops is None else self.crops.add(found, picture.name)

    def finish(self, rows: Sequence[Row], detector: Detector) -> None:
        """What is made of all rows."""
        from vedette.data.atomic import write_text

        seen = [row for row in rows if "detections" in row]
        if CSV in self.formats:
            write_text(self.out / TABLE, _table(seen))
        if seen and self._data_sets:
            dataset = dataset_of(seen, detector)
            for name in self._data_sets:
                _write(self.out / name, name, dataset)

    @property
    def _data_sets(self) -> list[str]:
        return [name for name in self.formats if name in DATA_SETS]


def dataset_of(rows: Sequence[Row], detector: Detector) -> Dataset:
    """The detections as annotations, in the pixels of the pictures as they are seen."""
    import numpy as np

    from vedette.data.annotations import Dataset, Texts
    from vedette.infer.scores import count_classes

    names = detector.classes or tuple(f"class {label}" for label in range(count_classes(detector)))
    label_of = {name: label for label, name in enumerate(names)}
    found = [one for row in rows for one in row["detections"]]
    boxes = np.array([one["bbox"] for one in found], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Dataset(
        classes=names,
        category_ids=detector.category_ids or tuple(range(len(names))),
        files=Texts.of(_file_of(row) for row in rows),
        image_ids=np.arange(len(rows)),
        sizes=np.array([(row["width"], row["height"]) for row in rows], dtype=np.int32),
        ends=np.cumsum([0, *(len(row["detections"]) for row in rows)], dtype=np.int64),
        all_boxes=boxes.astype(np.float32),
        all_labels=np.array([label_of[one["class_name"]] for one in found], dtype=np.int32),
        all_areas=(boxes[:, 2:] - boxes[:, :2]).prod(1),
        all_flags=np.zeros(len(found), dtype=np.uint8),
    )


def _formats(asked: Sequence[str]) -> list[str]:
    """Each once, whether options are repeated or commas stand between them."""
    given = [name.strip() for text in asked for name in text.split(",")]
    for name in given:
        if name not in FORMATS:
            meant = likely(name, FORMATS) or f"; there are {', '.join(FORMATS)}"
            raise InputError(f"--save {name!r}: no such format{meant}")
    return list(dict.fromkeys(given))


def _file_of(row: Row) -> str:
    """As it was named, if that is still the file."""
    name: str = row["file_name"]
    return name if os.path.realpath(name) == row["source"] else row["source"]


def _table(rows: Sequence[Row]) -> str:
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for row in rows:
        for one in row["detections"]:
            x, y, width, height = one["bbox"]
            what = (one["class_name"], one["category_id"], one["score"])
            table.writerow((row["file_name"], row["width"], row["height"], *what, x, y, x + width, y + height))
    return text.getvalue()


def _write(folder: Path, name: str, dataset: Dataset) -> None:
    """A data set in the place of that of a run before."""
    from vedette.data.atomic import whole_folder
    from vedette.data.convert import place_pictures
    from vedette.data.write_coco import write_coco
    from vedette.data.write_voc import fit_voc, write_voc
    from vedette.data.write_yolo import fit_yolo, write_yolo

    splits, lost = {SPLIT: dataset}, list[str]()
    if name == "voc":
        splits, lost = fit_voc(splits)
    elif name == "yolo":
        splits, lost = fit_yolo(splits, keep_ignored=False)
    write = {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}[name]
    before = folder.with_name(f".{name}.before")
    shutil.rmtree(before, ignore_errors=True)
    if folder.exists():
        folder.rename(before)
    with whole_folder(folder) as place, Progress(len(dataset), "pictures") as bar:
        pictures = write(place, splits, folder.parent)
        (place / MARK).write_text(_checksum(place, [str(one.relative_to(place)) for one in pictures]))
        place_pictures(pictures, link=False, watch=lambda files: _watched(files, bar))
    shutil.rmtree(before, ignore_errors=True)
    for line in lost:
        typer.echo(f"note: --save {name}: {shown(line)}", err=True)


def _watched(files: Sequence[str], bar: Progress) -> Any:
    for file in files:
        yield file
        bar.advance()


def _check_own(out: Path, name: str) -> None:
    """Raises InputError where a data set's folder holds anything but what this command wrote."""
    folder = out / name
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        written = (folder / MARK).read_text()
    except OSError:
        raise InputError(
            f"--save {name}: {folder} was not written by this command; give another --out, or move it away"
        ) from None
    pictures = [str(one.relative_to(folder)) for one in folder.rglob("*") if _is_picture(one)]
    if written != _checksum(folder, pictures):
        raise InputError(f"--save {name}: {folder} was changed since it was written; give another --out, or move it")


def _is_picture(file: Path) -> bool:
    from vedette.data.files import is_picture

    return is_picture(file.name)


def _checksum(folder: Path, pictures: Sequence[str]) -> str:
    """Of what stands in annotations, and of the names of pictures."""
    digest = sha256("\0".join(sorted(pictures)).encode("utf-8", "surrogateescape"))
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != MARK and not _is_picture(file):
            digest.update(str(file.relative_to(folder)).encode("utf-8", "surrogateescape") + file.read_bytes())
    return digest.hexdigest()
