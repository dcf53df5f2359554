"""What belongs to other tools is named, with the way from there."""

import json
from pathlib import Path

import pytest

from vedette.data.read import find_splits
from vedette.errors import InputError

SHAPE = {"label": "cat", "points": [[1, 1], [9, 9]], "shape_type": "rectangle"}
LABELME = {"version": "5.5.0", "flags": {}, "shapes": [SHAPE], "imagePath": "a.jpg", "imageData": None}
TASK = {"id": 1, "data": {"image": "/data/upload/a.jpg"}, "annotations": [{"result": []}]}
SHORT = {"id": 1, "image": "/data/upload/a.jpg", "annotator": 1, "annotation_id": 1, "label": []}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"a.json": LABELME},
            "labelme's annotations, a JSON a picture, which are not read: convert them with labelme2coco",
        ),
        ({"images/a.json": LABELME}, "labelme2coco FOLDER"),
        ({"export.json": [TASK]}, "an export of Label Studio as JSON, .* export it there once more, as COCO"),
        ({"export.json": [SHORT]}, "an export of Label Studio as JSON"),
        ({"classes.txt": "cat", "labels/a.txt": "0 .5 .5 .5 .5"}, "YOLO labels without a data.yaml: write one"),
        (
            {"birds.yaml": "train: images\nnames: [owl]", "labels/a.txt": ""},
            "birds.yaml for data.yaml: give .*/birds.yaml",
        ),
        ({"a.xml": "<annotation/>"}, "VOC XML outside of Annotations/"),
        ({"train/a.xml": "<annotation/>"}, "VOC XML outside of Annotations/"),
        ({"readme.txt": "hello", "a.json": "{"}, "no data set found"),
        ({"a.json": "[" * 100000}, "no data set found"),
    ],
)
def test_what_it_is(tmp_path: Path, files: dict[str, object], said: str) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=said) as caught:
        find_splits(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_alone(tmp_path: Path) -> None:
    for content, said in ((LABELME, "labelme"), ([TASK], "Label Studio")):
        (tmp_path / "a.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=said):
            find_splits(tmp_path / "a.json")
