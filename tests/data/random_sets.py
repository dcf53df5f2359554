"""Random data sets for what converts them: awkward names, marks, sizes, and images without boxes."""

import json
import random
from pathlib import Path

from PIL import Image

from vedette.data.annotations import CROWD, DIFFICULT, Dataset
from vedette.data.read import read_splits

FOLDERS = ("", "a/", "b/", "a/deep/", "ünïcödé/", "with space/", "images/")
STEMS = ("1", "2", "photo 3", "naïve", "cafe\u0301", "a.b", "UP", "up", "猫", "x_2", "classes", ".hidden", "tail ")
SUFFIXES = (".jpg", ".png", ".PNG")
CLASSES = ("cat", "dog", "traffic light", "père", "yes", "1", "a: b", "<&>")


def write_random(folder: Path, seed: int) -> Path:
    """A COCO data set of one or two splits, its boxes with at most two decimals and more than a pixel large."""
    draw = random.Random(seed)
    classes = draw.sample(CLASSES, draw.randint(1, 5))
    ids = draw.sample(range(90), len(classes))
    for split in draw.sample(["train", "val"], draw.randint(1, 2)):
        names = draw.sample([f + s + e for f in FOLDERS for s in STEMS for e in SUFFIXES], draw.randint(1, 8))
        images, boxes = [], []
        for key, name in zip(draw.sample(range(1000), len(names)), names, strict=True):
            size = draw.randint(8, 60), draw.randint(8, 60)
            file = folder / "images" / split / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, draw.choice(["red", "blue"])).save(file, "PNG" if "ng" in name.lower() else "JPEG")
            images.append({"id": key, "file_name": name, "width": size[0], "height": size[1]})
            boxes += [_box(draw, key, size, draw.choice(ids)) for _ in range(draw.choice([0, 0, 1, 2, 5]))]
        for number, box in enumerate(boxes):
            box["id"] = number + 1
        categories = [{"id": key, "name": name} for key, name in zip(ids, classes, strict=True)]
        content = {"images": images, "annotations": boxes, "categories": categories}
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def rows_of(dataset: Dataset) -> list[tuple[bytes, tuple[int, int], list[tuple[object, ...]]]]:
    """What a data set says, image by image, whatever the files are called: the picture, its size and its boxes.

    A box: its class, whether it is ignored, and its corners.
    """
    rows = []
    for index in range(len(dataset)):
        start, end = dataset.ends[index : index + 2].tolist()
        columns = dataset.all_labels, dataset.all_flags, dataset.all_boxes
        boxes = [
            (dataset.classes[label], flags & (DIFFICULT | CROWD) != 0, *box)
            for label, flags, box in zip(*(column[start:end].tolist() for column in columns), strict=True)
        ]
        rows.append((dataset.file(index).read_bytes(), dataset.size(index), boxes))
    return rows


def splits_of(folder: Path) -> dict[str, Dataset]:
    """All splits as they are annotated, whatever is found."""
    return {name: dataset for name, (dataset, _) in read_splits(folder).items()}


def _box(draw: random.Random, image: int, size: tuple[int, int], category: int) -> dict[str, object]:
    across, down = (sorted(draw.sample(range(100 * side + 1), 2)) for side in size)
    x1, y1 = min(across[0], 100 * size[0] - 150), min(down[0], 100 * size[1] - 150)
    x2, y2 = max(across[1], x1 + 150), max(down[1], y1 + 150)
    whole = draw.random() < 0.5
    numbers = [value // 100 for value in (x1, y1, x2 + 100, y2 + 100)] if whole else [v / 100 for v in (x1, y1, x2, y2)]
    x1, y1, x2, y2 = (min(value, side) for value, side in zip(numbers, size * 2, strict=True))
    mark = draw.choice(["", "", "difficult", "iscrowd"])
    bbox = [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
    return {"image_id": image, "category_id": category, "bbox": bbox} | ({mark: 1} if mark else {})
