"""Data sets of Roboflow's supervision, both ways. It loads pictures turned as their EXIF says: boxes are in those."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from vedette.data.annotations import CROWD, DIFFICULT, Dataset
from vedette.data.draft import Draft, settle
from vedette.data.findings import notes_of, refuse_faults
from vedette.data.seen import seen_boxes
from vedette.errors import InputError


def to_supervision(dataset: Dataset) -> Any:
    """As a `supervision.DetectionDataset`; of each box `data` has "difficult" and "crowd" (bool) and "area".

    The pictures are named, not loaded. Ids of categories and images have no place there.

    Raises ImportError without the package supervision.
    """
    supervision = _package("to_supervision")
    annotations = {}
    for index in range(len(dataset)):
        boxes, size = seen_boxes(dataset, index)
        start, end = dataset.ends[index : index + 2].tolist()
        flags = dataset.all_flags[start:end]
        annotations[dataset.files[index]] = supervision.Detections(
            xyxy=(boxes * np.tile(size, 2)).astype(np.float32),
            class_id=dataset.all_labels[start:end].astype(np.int64),
            data={
                "difficult": (flags & DIFFICULT) != 0,
                "crowd": (flags & CROWD) != 0,
                "area": dataset.all_areas[start:end],
            },
        )
    return supervision.DetectionDataset(list(dataset.classes), list(annotations), annotations)


def from_supervision(dataset: Any) -> Dataset:
    """A `supervision.DetectionDataset` whose pictures are files; category ids are 1..C, image ids 0..N-1.

    Raises ImportError without the package supervision, InputError for pictures in memory, boxes without a class, and
    for whatever cannot be right, as `read_dataset` does.
    """
    _package("from_supervision")
    draft = Draft(tuple(dataset.classes), tuple(range(1, len(dataset.classes) + 1)), unit="box")
    for number, file in enumerate(dataset.image_paths):
        found = dataset.annotations[file]
        if found.class_id is None:
            raise InputError(f"{file}: its boxes have no class_id")
        image = draft.add_image(file, number)
        data = {key: np.asarray(found.data.get(key, np.zeros(len(found)))) for key in ("difficult", "crowd")}
        areas = np.asarray(found.data.get("area", np.full(len(found), np.nan)))
        columns = found.xyxy.tolist(), found.class_id.tolist(), areas.tolist(), data["difficult"], data["crowd"]
        for place, (box, label, area, difficult, crowd) in enumerate(zip(*columns, strict=True), 1):
            draft.add_box(image, tuple(box), label, place, area, bool(difficult), bool(crowd))
    settled, findings = settle(draft, clip=False)
    refuse_faults(findings)
    return replace(settled, notes=notes_of(findings, clipped=False))


def _package(caller: str) -> Any:
    try:
        import supervision
    except ImportError as error:
        raise ImportError(f"{caller}() needs the package supervision: pip install supervision") from error
    return supervision
