"""Files of results as others' evaluation reads them: VOC's devkit and server, and COCO's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from vedette.data.atomic import write_json, write_text
from vedette.errors import InputError
from vedette.structures import Detections


class Identified(Protocol):
    """What is asked of a data set: `vedette.data.annotations.Dataset` has it."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def category_ids(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def image_id(self, index: int, /) -> int | str: ...


def check_results(dataset: Identified, classes: Sequence[str], voc: bool) -> None:
    """Raises InputError where the files could not be told apart or parted into columns: ask before the work.

    voc: whether they are to be VOC's.
    """
    seen: set[int | str] = set()
    for index in range(len(dataset)):
        key = dataset.image_id(index)
        if key in seen:
            raise InputError(f"two images have the id {key}, so results by id cannot be told apart; rename one")
        if voc and len(str(key).split()) != 1:
            raise InputError(f"image {key!r}: VOC's files of results part their columns by spaces; rename it")
        seen.add(key)
    if voc and len(files := {_in_file(name): name for name in classes}) < len(classes):
        one, other = next((name, files[_in_file(name)]) for name in classes if files[_in_file(name)] != name)
        raise InputError(f"classes {one} and {other} would have the same file of results; rename one")


def write_voc_results(
    folder: Path, dataset: Identified, detections: Sequence[Detections], classes: Sequence[str], split: str = "test"
) -> None:
    """A file for each class, comp4_det_SPLIT_CLASS.txt; of each detection a line: image, score, and x1 y1 x2 y2 as VOC
    counts pixels, from 1 on and the last one included.

    detections: of the data set's images, in annotated pixels, labels into `classes`. Raises InputError where a file
    cannot be written.
    """
    lines: list[list[str]] = [[] for _ in classes]
    for index, found in enumerate(detections):
        rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
        for label, score, (x1, y1, x2, y2) in rows:
            corners = f"{x1 + 1:.2f} {y1 + 1:.2f} {x2:.2f} {y2:.2f}"
            lines[label].append(f"{dataset.image_id(index)} {score:.6f} {corners}\n")
    for name, own in zip(classes, lines, strict=True):
        write_text(folder / f"comp4_det_{split}_{_in_file(name)}.txt", "".join(own))


def write_coco_results(
    folder: Path, dataset: Identified, detections: Sequence[Detections], classes: Sequence[str]
) -> None:
    """COCO's list of detections, results.json, with the data set's own ids; a class that it does not know is left out.

    detections: of the data set's images, in annotated pixels, labels into `classes`. Raises InputError where the file
    cannot be written.
    """
    known = dict(zip(dataset.classes, dataset.category_ids, strict=True))
    ids = [known.get(name, -1) for name in classes]
    rows = [row for index, found in enumerate(detections) for row in found.to_coco(dataset.image_id(index), ids)]
    write_json(folder / "results.json", [row for row in rows if row["category_id"] != -1])


def _in_file(name: str) -> str:
    """A class's name as part of a file's."""
    return name.replace("/", "-")
