"""What `datasets.load_dataset("imagefolder", data_dir=…)` loads: SPLIT/metadata.jsonl beside the pictures of SPLIT.

Categories are written by name, for a metadata.jsonl has no list of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from vedette.data.annotations import Dataset
from vedette.data.huggingface import row_of
from vedette.data.picture_names import names_in_copy


def write_huggingface(folder: Path, splits: Mapping[str, Dataset], data: Path) -> dict[Path, str]:
    """The metadata of all splits; gives the places where the pictures of the source belong.

    data: where the source is.
    """
    pictures: dict[Path, str] = {}
    for split, dataset in splits.items():
        files = names_in_copy(dataset, data, split)
        (folder / split).mkdir()
        with (folder / split / "metadata.jsonl").open("w", encoding="utf-8", errors="backslashreplace") as file:
            for index, name in enumerate(files):
                row = {"file_name": name, **row_of(dataset, index)}
                row["objects"]["category"] = [dataset.classes[label] for label in row["objects"]["category"]]
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        pictures |= {folder / split / name: file for name, file in files.items()}
    return pictures
