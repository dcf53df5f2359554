"""supervision's data sets, both ways; what it loads is what boxes are in."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.random_sets import write_random
from vedette.data import from_supervision, to_supervision
from vedette.data.annotations import CROWD, DIFFICULT
from vedette.data.read import read_dataset
from vedette.errors import InputError

Write = Callable[..., Path]


@pytest.fixture
def supervision():
    return pytest.importorskip("supervision")


@pytest.mark.parametrize("seed", range(5))
def test_there_and_back(supervision, tmp_path: Path, seed: int) -> None:
    before = read_dataset(write_random(tmp_path, seed), next(iter(tmp_path.glob("*.json"))).stem, "evaluate")
    there = to_supervision(before)
    assert isinstance(there, supervision.DetectionDataset)
    after = from_supervision(there)
    assert after.classes == before.classes
    assert [after.file(i) for i in range(len(after))] == [before.file(i) for i in range(len(before))]
    for column in ("sizes", "ends", "all_labels", "all_flags", "all_areas"):
        assert np.array_equal(getattr(after, column), getattr(before, column)), column
    assert after.all_boxes == pytest.approx(before.all_boxes, abs=1e-4)


def test_marks_and_names(supervision, coco: Write) -> None:
    def change(content: dict) -> None:
        content["annotations"][0]["difficult"] = content["annotations"][1]["iscrowd"] = 1

    dataset = read_dataset(coco([[4, 5, 10, 10], [1, 2, 3, 4]], change=change))
    there = to_supervision(dataset)
    _, picture, found = there[0]
    assert picture.shape == (30, 40, 3)
    assert found.xyxy.tolist() == [[4, 5, 14, 15], [1, 2, 4, 6]]
    assert found.data["class_name"].tolist() == ["dog", "dog"]
    assert (found.data["difficult"].tolist(), found.data["crowd"].tolist()) == ([True, False], [False, True])
    assert from_supervision(there).all_flags.tolist() == [DIFFICULT, CROWD]
    assert len(there[1][2]) == 0


@pytest.mark.parametrize("orientation", [3, 5, 6, 7, 8])
def test_boxes_are_in_the_picture_as_it_loads(supervision, tmp_path: Path, orientation: int) -> None:
    (tmp_path / "images").mkdir()
    picture, exif = Image.new("RGB", (40, 24), "black"), Image.Exif()
    exif[0x0112] = orientation
    picture.paste("white", (8, 0, 24, 8))
    picture.save(tmp_path / "images" / "a.jpg", exif=exif, quality=100)
    stated = '"width": 40, "height": 24'
    (tmp_path / "train.json").write_text(
        f'{{"images": [{{"id": 1, "file_name": "a.jpg", {stated}}}], "categories": [{{"id": 1, "name": "x"}}], '
        '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 0, 16, 8]}]}'
    )
    if orientation == 3:  # the same size both ways, so the box is in the turned picture
        box = [16, 16, 32, 24]
        text = (tmp_path / "train.json").read_text()
        (tmp_path / "train.json").write_text(text.replace("[8, 0, 16, 8]", "[16, 16, 16, 8]"))
    _, loaded, found = to_supervision(read_dataset(tmp_path))[0]
    rows, columns = np.nonzero(loaded[..., 0] > 128)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert found.xyxy[0].tolist() == pytest.approx(box, abs=1e-3)


def test_what_cannot_be_is_refused(supervision, picture: Callable[..., Path], tmp_path: Path) -> None:
    file = str(picture(tmp_path / "a.jpg"))
    bare = supervision.DetectionDataset(["x"], [file], {file: supervision.Detections(xyxy=np.array([[1.0, 1, 5, 5]]))})
    with pytest.raises(InputError, match="have no class_id"):
        from_supervision(bare)
    gone = str(tmp_path / "gone.jpg")
    with pytest.raises(InputError, match="no such image file"):
        from_supervision(supervision.DetectionDataset(["x"], [gone], {gone: supervision.Detections.empty()}))


def test_without_the_package_it_is_named(coco: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(ImportError, match="needs the package supervision: pip install supervision"):
        to_supervision(read_dataset(coco()))
