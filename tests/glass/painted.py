"""Annotated pictures on a disk that a training can be given."""

import json
from pathlib import Path

from PIL import Image

from vedette.data.annotations import Dataset
from vedette.data.read import read_datasets

COLOURS = ((220, 40, 40), (40, 200, 60), (60, 80, 220))


def six_pictures(folder: Path) -> Dataset:
    """Six pictures of 80 × 60 with a rectangle of one of three classes; on the first there is a crowd too."""
    (folder / "images").mkdir()
    annotations = []
    for index in range(6):
        x, y, label = 8 * index, 4 * index, index % 3
        picture = Image.new("RGB", (80, 60), (120, 120, 120))
        picture.paste(COLOURS[label], (x, y, x + 36, y + 32))
        picture.save(folder / "images" / f"{index}.png")
        annotations.append({"id": index + 1, "image_id": index, "category_id": label, "bbox": [x, y, 36, 32]})
    annotations.append({"id": 7, "image_id": 0, "category_id": 1, "bbox": [40, 30, 30, 28], "iscrowd": 1})
    images = [{"id": index, "file_name": f"{index}.png", "width": 80, "height": 60} for index in range(6)]
    categories = [{"id": label, "name": name} for label, name in enumerate(("cat", "cow", "dog"))]
    content = {"images": images, "categories": categories, "annotations": annotations}
    (folder / "train.json").write_text(json.dumps(content))
    return read_datasets([f"{folder}:train"])
