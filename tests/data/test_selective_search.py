"""Selective search: what it finds, always the same, kept on disk."""

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from vedette.data import selective_search
from vedette.data.read import read_dataset
from vedette.data.selective_search import cached_proposals, default_cache, proposals, proposals_of
from vedette.errors import InputError
from vedette.ops.boxes import iou

OBJECTS = torch.tensor([[20.0, 30.0, 80.0, 90.0], [100.0, 20.0, 150.0, 110.0], [4.0, 2.0, 12.0, 28.0]])


def painted(scale: int = 1) -> Image.Image:
    """Two objects of plain colour, and a narrow one, on a background with some noise."""
    noise = np.random.default_rng(0).integers(0, 12, (120, 160, 3)).astype(np.uint8)
    picture = Image.fromarray(noise + np.array([40, 110, 60], np.uint8))
    draw = ImageDraw.Draw(picture)
    for (x1, y1, x2, y2), color in zip(OBJECTS.tolist(), ("red", "blue", "yellow"), strict=True):
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), color)
    return picture.resize((160 * scale, 120 * scale), Image.Resampling.NEAREST)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modes of all searches that were really made."""
    made: list[str] = []
    search = selective_search._search

    def counted(picture: Image.Image, mode: Any) -> Any:
        made.append(mode)
        return search(picture, mode)

    monkeypatch.setattr(selective_search, "_search", counted)
    return made


@pytest.mark.parametrize("scale", [1, 5])
@pytest.mark.parametrize("mode", ["fast", "quality"])
def test_objects_are_found_in_the_pictures_own_pixels(scale: int, mode: Any) -> None:
    picture = painted(scale)  # 800 pixels wide at 5: searched at 500
    found = proposals(picture, mode)
    assert found.dtype == torch.float32
    assert found.shape[1] == 4
    assert bool((iou(OBJECTS[:2] * scale, found).amax(1) > 0.85).all())
    assert bool((found[:, :2] >= 0).all())
    assert bool((found[:, 2:] <= torch.tensor(picture.size)).all())
    assert found[:, 2].max() == picture.width  # the whole picture is a region too


def test_small_boxes_and_doubles_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = proposals(painted())
    sides = found[:, 2:] - found[:, :2]
    assert sides.min() >= 20
    assert len(found.unique(dim=0)) == len(found)
    monkeypatch.setattr(selective_search, "LEAST_SIDE", 1)
    assert iou(OBJECTS[2:], proposals(painted())).max() > 0.7  # it was there


def test_opencvs_order_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[50, 50, 20, 25], [0, 0, 30, 30], [50, 50, 20, 25], [0, 0, 19, 30], [7, 5, 20, 21]]
    cv2, segmentation = MagicMock(), MagicMock()
    segmentation.createSelectiveSearchSegmentation().process.return_value = np.array(rows, np.int32)
    monkeypatch.setattr(selective_search, "_check_opencv", lambda: (cv2, segmentation))
    found = proposals(Image.new("RGB", (100, 100)))
    assert found.tolist() == [[50, 50, 70, 75], [0, 0, 30, 30], [7, 5, 27, 26]]


def test_a_limit_takes_the_first() -> None:
    every = proposals(painted())
    assert torch.equal(proposals(painted(), limit=3), every[:3])


def test_the_same_picture_has_the_same_proposals_in_the_same_order() -> None:
    first = proposals(painted(), "quality")
    np.random.default_rng().random()
    proposals(painted(2))  # something else in between
    assert torch.equal(proposals(painted(), "quality"), first)


def test_opencvs_threads_are_as_before() -> None:
    import cv2

    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        proposals(painted())
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_a_tiny_picture_has_none() -> None:
    assert proposals(Image.new("RGB", (1, 1))).shape == (0, 4)


def test_what_was_found_is_kept(tmp_path: Path, searches: list[str]) -> None:
    first = cached_proposals(painted(5), cache=tmp_path / "cache")
    assert torch.equal(cached_proposals(painted(5), cache=tmp_path / "cache"), first)
    assert torch.equal(cached_proposals(painted(5), limit=2, cache=tmp_path / "cache"), first[:2])
    assert searches == ["fast"]
    (file,) = (tmp_path / "cache").iterdir()
    assert file.stat().st_size == 128 + 8 * len(first)


def test_another_picture_mode_or_setting_is_searched_for_itself(
    tmp_path: Path, searches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_proposals(painted(), cache=tmp_path)
    other = painted()
    other.putpixel((0, 0), (1, 2, 3))
    cached_proposals(other, cache=tmp_path)
    cached_proposals(painted().transpose(Image.Transpose.ROTATE_90), cache=tmp_path)
    cached_proposals(painted(), "quality", cache=tmp_path)
    monkeypatch.setattr(selective_search, "LEAST_SIDE", 30)
    found = cached_proposals(painted(), cache=tmp_path)
    assert (found[:, 2:] - found[:, :2]).min() >= 30
    assert searches == ["fast", "fast", "fast", "quality", "fast"]
    assert len(list(tmp_path.iterdir())) == 5


def test_pictures_of_the_same_pixels_and_another_shape_are_not_the_same(tmp_path: Path) -> None:
    cached_proposals(Image.new("RGB", (40, 20)), cache=tmp_path)
    assert cached_proposals(Image.new("RGB", (20, 40)), cache=tmp_path)[:, 3].max() == 40


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None, np.zeros((3, 4)), np.zeros((3, 5), np.int16)])
def test_a_damaged_file_is_searched_again(tmp_path: Path, searches: list[str], damage: Any) -> None:
    first = cached_proposals(painted(), cache=tmp_path)
    (file,) = tmp_path.iterdir()
    if isinstance(damage, np.ndarray):
        np.save(file, damage)
    else:
        file.write_bytes(file.read_bytes()[:-3] if damage is None else damage)
    for _ in range(2):
        assert torch.equal(cached_proposals(painted(), cache=tmp_path), first)
    assert searches == ["fast"] * 2
    assert list(tmp_path.iterdir()) == [file]


def test_where_nothing_can_be_kept_it_is_found_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert torch.equal(cached_proposals(painted(), cache=tmp_path / "file"), proposals(painted()))


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(stream: Any, boxes: Any) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert len(cached_proposals(painted(), cache=tmp_path)) > 0
    assert not list(tmp_path.iterdir())


def test_the_users_cache_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "vedette" / "proposals"
    cached_proposals(painted())
    assert len(list(default_cache().iterdir())) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert default_cache() == Path.home() / ".cache" / "vedette" / "proposals"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_sets_proposals_are_in_the_pixels_of_its_boxes(
    tmp_path: Path, coco: Callable[..., Path], workers: int
) -> None:
    def half(content: dict[str, Any]) -> None:
        content["images"][0].update(width=80, height=60)  # the annotated frame is twice the picture

    dataset = read_dataset(coco(change=half))
    seen: list[tuple[int, int]] = []
    found = proposals_of(
        dataset, cache=tmp_path / "cache", workers=workers, progress=lambda *counts: seen.append(counts)
    )
    assert seen == [(1, 2), (2, 2)]
    for index, scale in enumerate((2, 1)):
        assert torch.equal(found[index], proposals(dataset.image(index)) * scale)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, coco: Callable[..., Path]) -> None:
    dataset = read_dataset(coco())
    file = dataset.file(1)
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"b\.jpg: a truncated") as raised:
        proposals_of(dataset, cache=tmp_path / "cache", workers=1)
    assert "\n" not in str(raised.value)


def test_without_opencv_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "cv2":
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r'pip install "vedette\[rcnn\]"'):
        proposals(painted())


@pytest.mark.parametrize(("more", "message"), [({"mode": "slow"}, "'slow': give one of fast, q"), ({"limit": 0}, "0")])
def test_what_cannot_be_is_refused(more: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        proposals(painted(), **more)
    with pytest.raises(InputError, match=message):
        cached_proposals(painted(), cache=tmp_path, **more)
