"""Small data sets on disk, one of each format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Write = Callable[..., Path]


def save_image(file: Path, size: tuple[int, int] = (40, 30), orientation: int = 1) -> Path:
    """A picture whose left upper corner is red, and its own elsewhere; with an EXIF orientation unless it is 1."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 4, size[1] // 4))
    shade = 37 * sum(map(ord, str(file)[-20:])) % 256  # two files of a set are two pictures
    image.paste((shade, 99, 99), (size[0] // 2, size[1] // 2, *size))
    exif = Image.Exif()
    exif[0x0112] = orientation
    if orientation == 1:
        image.save(file)
    else:
        image.save(file, exif=exif)
    return file


@pytest.fixture
def picture() -> Callable[..., Path]:
    """`save_image` for tests."""
    return save_image


@pytest.fixture
def coco(tmp_path: Path) -> Write:
    """Writes a COCO data set of two images, 40 x 30, and the given boxes [x, y, w, h] on the first."""

    def write(
        bboxes: list[Any] = [[4, 5, 10, 10]],  # noqa: B006
        file: str = "train.json",
        images: str = "images",
        change: Callable[[dict[str, Any]], object] = lambda content: None,
    ) -> Path:
        for name in ("a.jpg", "b.jpg"):
            save_image(tmp_path / images / name)
        content = {
            "images": [
                {"id": 7, "file_name": "a.jpg", "width": 40, "height": 30},
                {"id": 3, "file_name": "b.jpg", "width": 40, "height": 30},
            ],
            "annotations": [
                {"id": 100 + place, "image_id": 7, "category_id": 18, "bbox": bbox} for place, bbox in enumerate(bboxes)
            ],
            "categories": [{"id": 18, "name": "dog"}, {"id": 2, "name": "bicycle"}],
        }
        change(content)
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(json.dumps(content))
        return tmp_path

    return write


@pytest.fixture
def voc(tmp_path: Path) -> Write:
    """Writes VOC annotations: by id, the objects as (name, xmin, ymin, xmax, ymax, difficult)."""

    def write(
        objects: dict[str, list[tuple[object, ...]]], size: tuple[int, int] | None = (40, 30), **splits: str
    ) -> Path:
        for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
        for key, rows in objects.items():
            save_image(tmp_path / "JPEGImages" / f"{key}.jpg")
            text = "".join(_voc_object(*row) for row in rows)
            (tmp_path / "Annotations" / f"{key}.xml").write_text(f"<annotation>{stated}{text}</annotation>")
        for split, ids in splits.items():
            (tmp_path / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(ids.split()) + "\n")
        return tmp_path

    return write


def _voc_object(name: str, xmin: object, ymin: object, xmax: object, ymax: object, difficult: object = 0) -> str:
    return (
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{xmin}</xmin>"
        f"<ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
    )


@pytest.fixture
def yolo(tmp_path: Path) -> Write:
    """Writes a YOLO data set: by image path without suffix, the lines of its labels (None: no file)."""

    def write(labels: dict[str, str | None], yaml: str) -> Path:
        for path, lines in labels.items():
            save_image(tmp_path / f"{path}.jpg")
            if lines is not None:
                text = tmp_path / f"{path.replace('images', 'labels')}.txt"
                text.parent.mkdir(parents=True, exist_ok=True)
                text.write_text(lines)
        (tmp_path / "data.yaml").write_text(yaml)
        return tmp_path

    return write
