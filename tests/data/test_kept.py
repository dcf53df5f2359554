"""Kept pictures: the same pixels in whatever process, and never those of another file."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vedette.data.annotations import Dataset
from vedette.data.kept import DiskPictures, MemoryPictures, read_pictures, write_pictures
from vedette.data.loader import train_loader
from vedette.data.read import read_dataset
from vedette.errors import InputError
from vedette.structures import InputSpec

SPEC = InputSpec(size=32)


def proposals(index: int) -> Tensor:
    """Two boxes; a function of a module, which spawned processes can be sent."""
    return torch.tensor([[0.0, 0, 20, 20], [5, 5, 15, 30]])


def on_disk(file: Path, data: Dataset) -> DiskPictures:
    """Written, then read."""
    write_pictures(file, data, 2, lambda done, of: None)
    found = read_pictures(file, data)
    assert found is not None
    return found


def epoch(data: Dataset, workers: int = 0, start: str | None = None, **ways: Any) -> list[Any]:
    """Batches of an epoch; `start`: how worker processes come to be."""
    loader = train_loader(data, SPEC, 2, workers=workers, seed=3, **ways)
    if start is not None:
        loader = DataLoader(
            loader.dataset,
            2,
            sampler=loader.sampler,
            num_workers=workers,
            collate_fn=loader.collate_fn,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=start,
        )
    return list(loader)


def assert_same(first: list[Any], second: list[Any]) -> None:
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.images, other.images)
        assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(one.targets, other.targets, strict=True))


@pytest.fixture
def data(coco: Any) -> Dataset:
    return read_dataset(coco())


@pytest.mark.parametrize("workers", [0, 2])
def test_kept_pictures_change_no_batch(data: Dataset, tmp_path: Path, workers: int) -> None:
    plain = epoch(data)
    for pictures in (MemoryPictures(data), on_disk(tmp_path / "pictures.bin", data)):
        for _ in range(2):
            assert_same(epoch(data, workers, pictures=pictures), plain)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "disk", "none"])
def test_spawned_workers_share_kept_pictures(data: Dataset, tmp_path: Path, kind: str) -> None:
    pictures = {
        "memory": lambda: MemoryPictures(data),
        "disk": lambda: on_disk(tmp_path / "pictures.bin", data),
        "none": lambda: None,
    }[kind]()
    found = epoch(data, 1, "spawn", pictures=pictures, proposals=proposals)
    assert_same(found, epoch(data, proposals=proposals))
    if isinstance(pictures, MemoryPictures):
        assert pictures.content[-2:].tolist() == [1, 1]  # what a worker decoded is here


@pytest.mark.slow
@pytest.mark.parametrize("form", ["voc", "yolo"])
def test_spawned_workers_read_every_format(form: str, request: pytest.FixtureRequest) -> None:
    write = request.getfixturevalue(form)
    if form == "voc":
        path = write({"a": [("dog", 5, 6, 20, 20)], "b": []}, train="a b")
    else:
        labels: dict[str, str | None] = {"train/images/a": "0 0.5 0.5 0.5 0.5", "train/images/b": ""}
        path = write(labels, "train: train/images\nnames: [dog]\n")
    data = read_dataset(path)
    assert_same(epoch(data, 1, "spawn"), epoch(data))


def test_a_picture_is_decoded_once(data: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    memory, disk = MemoryPictures(data), on_disk(tmp_path / "pictures.bin", data)
    first = [memory(index).tobytes() for index in (0, 1)]
    monkeypatch.setattr(Dataset, "image", lambda self, index: 1 / 0)
    assert [memory(index).tobytes() for index in (0, 1)] == first
    assert [disk(index).tobytes() for index in (0, 1)] == first


def test_a_picture_of_another_size_is_not_kept(coco: Any, tmp_path: Path) -> None:
    def shrink(content: dict[str, Any]) -> None:
        content["images"][0] |= {"width": 20, "height": 15}

    data = read_dataset(coco([[2, 2, 5, 5]], change=shrink))
    for pictures in (MemoryPictures(data), on_disk(tmp_path / "pictures.bin", data)):
        for _ in range(2):
            assert pictures(0).size == (40, 30)
            assert pictures(1).tobytes() == data.image(1).tobytes()


def test_a_file_is_believed_only_whole_and_of_the_same_pictures(data: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "pictures.bin"
    assert read_pictures(file, data) is None
    on_disk(file, data)
    content = file.read_bytes()
    for damaged in (b"", content[:-1], content[:100], content[1:], content + b"x"):
        file.write_bytes(damaged)
        assert read_pictures(file, data) is None
    file.write_bytes(content)
    assert read_pictures(file, data) is not None
    os.utime(data.file(0), ns=(1, 1))
    assert read_pictures(file, data) is None


def test_a_file_cut_off_meanwhile_gives_no_wrong_pixels(data: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "pictures.bin"
    pictures = on_disk(file, data)
    os.truncate(file, 40 * 30 * 3 + 10)
    assert [pictures(index).tobytes() for index in (0, 1)] == [data.image(index).tobytes() for index in (0, 1)]


def test_a_full_disk_is_one_line_and_leaves_nothing(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(done: int, of: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"pictures\.bin: cannot be written \(No space left on device\)"):
        write_pictures(tmp_path / "new" / "pictures.bin", data, 1, full)
    assert list((tmp_path / "new").iterdir()) == []
