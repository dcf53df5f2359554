"""Files of results as others' evaluation reads them: VOC's devkit and server, and COCO's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from vedette.data.atomic import write_json, write_text
from vedette.structures import Detections


class Identified(Protocol):
    """What is asked of a data set: `vedette.data.annotations.Dataset` has it."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def category_ids(self) -> tuple[int, ...]: ...
    def image_id(self, index: int, /) -> int | str: ...


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
        write_text(folder / f"comp4_det_{split}_{name.replace('/', '-')}.txt", "".join(own))


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
