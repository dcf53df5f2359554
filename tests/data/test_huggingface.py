"""Hugging Face's data sets, both ways."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.random_sets import write_random
from vedette.data import from_huggingface, to_huggingface
from vedette.data.annotations import CROWD, DIFFICULT
from vedette.data.convert import convert
from vedette.data.read import read_dataset
from vedette.errors import InputError

Write = Callable[..., Path]


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("datasets")


def dataset_of(rows: list):
    import datasets
    import pyarrow

    table = datasets.table.InMemoryTable(pyarrow.Table.from_pylist(rows))
    return datasets.Dataset(table, fingerprint="given")  # which no version fails to compute


@pytest.mark.parametrize("seed", range(5))
def test_there_and_back(datasets, tmp_path: Path, seed: int) -> None:
    before = read_dataset(write_random(tmp_path, seed), next(iter(tmp_path.glob("*.json"))).stem, "evaluate")
    there = to_huggingface(before)
    assert isinstance(there, datasets.Dataset)
    after = from_huggingface(there)
    assert after.classes == before.classes
    assert [after.file(i) for i in range(len(after))] == [before.file(i) for i in range(len(before))]
    for column in ("image_ids", "sizes", "ends", "all_labels", "all_flags", "all_areas"):
        assert np.array_equal(getattr(after, column), getattr(before, column)), column
    assert after.all_boxes == pytest.approx(before.all_boxes, abs=1e-4)


def test_the_layout(datasets, coco: Write) -> None:
    def change(content: dict) -> None:
        content["annotations"][0]["difficult"] = content["annotations"][1]["iscrowd"] = 1

    there = to_huggingface(read_dataset(coco([[4, 5, 10, 10], [1, 2, 3, 4]], change=change)))
    row = there[0]
    assert row["image"].size == (40, 30)
    assert (row["image_id"], row["width"], row["height"]) == (7, 40, 30)
    assert row["objects"] == {
        **{"id": [0, 1], "area": [100, 12], "bbox": [[4, 5, 10, 10], [1, 2, 3, 4]], "category": [1, 1]},
        **{"iscrowd": [False, True], "difficult": [True, False]},
    }
    assert there[1]["objects"]["bbox"] == []
    category = there.features["objects"]["category"]
    assert category.feature.names == ["bicycle", "dog"]


def test_pictures_that_it_holds_are_written(datasets, picture: Callable[..., Path], tmp_path: Path) -> None:
    """As data sets of the hub come: the pictures in the table, objects as records, categories as texts."""
    content = picture(tmp_path / "a.png").read_bytes()
    rows = [
        {"image": {"bytes": content, "path": "x.png"}, "objects": [{"bbox": [1.0, 2, 3, 4], "label": "dog"}]},
        {"image": {"bytes": content, "path": None}, "objects": [{"bbox": [1.0, 2, 3, 9], "label": "cat"}]},
    ]
    given = dataset_of(rows).cast_column("image", datasets.Image())
    with pytest.raises(InputError, match="give a folder"):
        from_huggingface(given)
    dataset = from_huggingface(given, tmp_path / "new")
    assert dataset.classes == ("cat", "dog")
    assert dataset.all_labels.tolist() == [1, 0]
    assert dataset.all_boxes.tolist() == [[1, 2, 4, 6], [1, 2, 4, 11]]
    assert dataset.file(0).read_bytes() == content
    assert dataset.image(1).size == (40, 30)


@pytest.mark.parametrize("rows", [[{"x": 1}], [{"image": None, "objects": [{"bbox": [1.0, 2, 3, 4]}]}]])
def test_another_layout_is_refused(datasets, rows: list) -> None:
    with pytest.raises(InputError, match=r"there must be image and objects|have no category"):
        from_huggingface(dataset_of(rows))


def test_a_converted_folder_loads_as_an_image_folder(datasets, coco: Write, tmp_path: Path) -> None:
    def change(content: dict) -> None:
        content["annotations"][0]["difficult"] = content["annotations"][1]["iscrowd"] = 1

    source = coco([[4, 5, 10, 10], [1, 2, 3, 4.5]], change=change)
    convert(source, "huggingface", tmp_path / "out")
    given = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert set(given) == {"train"}
    dataset = from_huggingface(given["train"])
    before = read_dataset(source)
    assert dataset.classes == ("dog",)
    assert dataset.all_boxes.tolist() == before.all_boxes.tolist()
    assert dataset.all_flags.tolist() == [DIFFICULT, CROWD]
    assert sorted(dataset.image_ids.tolist()) == [3, 7]


def test_without_the_package_it_is_named(coco: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match="needs the package datasets: pip install datasets"):
        to_huggingface(read_dataset(coco()))
