"""SSD's augmentation and the plain resize: boxes stay on their pixels, and what is drawn has its odds."""

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from data.chance import within_chance
from vedette.data import transforms
from vedette.data.colours import Planes
from vedette.data.transforms import Objects, SSDAugment, eval_transform, fill_colour, train_transform
from vedette.structures import InputSpec, Interpolation

BLACK = (0, 0, 0)
OBJECTS = ((30, 20, 130, 120), (150, 90, 190, 140))  # in an image of 200 x 150


def objects(boxes: Any, ignore: list[bool] | None = None, proposals: Any = None) -> Objects:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    given = None if proposals is None else np.array(proposals, np.float32)
    return Objects(rows, np.arange(len(rows)), np.array(ignore or [False] * len(rows), np.bool_), given)


def undistorted(planes: Planes, random: np.random.Generator) -> Planes:
    return planes


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


class Ones:
    """Random numbers that are all one: no zoom-out, no flip."""

    def random(self, count: int | None = None) -> Any:
        return 1.0 if count is None else np.ones(count)


def test_zoom_out_can_be_limited(monkeypatch: pytest.MonkeyPatch, random: np.random.Generator) -> None:
    asked: list[tuple[float, ...]] = []
    monkeypatch.setattr(transforms, "draw_crop", lambda boxes, canvas, _: asked.append(canvas) or canvas)
    transform = train_transform(InputSpec(size=16), max_zoom_out=2.0)
    for _ in range(400):
        transform(Image.new("RGB", (8, 8)), objects([]), random)
    assert 15.5 < max(canvas[2] - canvas[0] for canvas in asked) <= 16 + 1e-9


def test_objects_go_with_their_centre_and_slivers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [[0.0, 0, 60, 40], [0, 0, 90, 40], [60, 10, 60.3, 40], [100, 10, 200, 90.0]]
    monkeypatch.setattr(transforms, "draw_crop", lambda boxes, canvas, _: (40.0, 0.0, 140.0, 100.0))
    given = objects(boxes, [False, True, False, False])
    augment = SSDAugment(100, BLACK, distort=undistorted)
    _, found = augment(Image.new("RGB", (200, 100)), given, Ones())  # type: ignore[arg-type]
    assert found.boxes.tolist() == [[0, 0, 50, 40]]
    assert found.labels.tolist() == [1]
    assert found.ignore.tolist() == [True]
    assert np.array_equal(given.boxes, objects(boxes).boxes)


def test_ignored_boxes_do_not_choose_the_crop(monkeypatch: pytest.MonkeyPatch, random: np.random.Generator) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(transforms, "draw_crop", lambda boxes, canvas, _: asked.append(boxes) or canvas)
    SSDAugment(32, BLACK)(Image.new("RGB", (200, 150)), objects(OBJECTS, [True, False]), random)
    assert asked[0].tolist() == [list(OBJECTS[1])]


def test_half_the_images_are_flipped_exactly(monkeypatch: pytest.MonkeyPatch, random: np.random.Generator) -> None:
    monkeypatch.setattr(transforms, "draw_zoom_out", lambda width, height, *_: (0.0, 0.0, float(width), float(height)))
    monkeypatch.setattr(transforms, "draw_crop", lambda boxes, canvas, _: canvas)
    image = Image.new("RGB", (4, 4))
    image.putpixel((0, 1), (255, 0, 0))
    augment, flipped = SSDAugment(4, BLACK, distort=undistorted), 0
    for _ in range(2000):
        planes, found = augment(image, objects([[0, 1, 1, 2]]), random)
        column = int(found.boxes[0, 0])
        assert found.boxes.tolist() == [[column, 1, column + 1, 2]]
        assert planes[:, 1, column].tolist() == [255, 0, 0]
        assert column in (0, 3)
        flipped += column == 3
    assert within_chance(flipped, 2000, 0.5)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_boxes_stay_on_their_pixels(interpolation: Interpolation, random: np.random.Generator) -> None:
    """Rectangles in red, green and blue: what is found of a colour is the box with its label, within a pixel."""
    boxes = [[10, 20, 70, 110], [90, 5, 180, 60], [110, 80, 200, 150]]
    image = Image.new("RGB", (200, 150))
    for channel, box in enumerate(boxes):
        colour = [255 * (channel == at) for at in range(3)]
        ImageDraw.Draw(image).rectangle([box[0], box[1], box[2] - 1, box[3] - 1], fill=tuple(colour))
    augment, seen = SSDAugment(160, BLACK, interpolation, distort=undistorted), 0
    for _ in range(300):
        planes, found = augment(image, objects(boxes, [False, False, True]), random)
        assert found.ignore.tolist() == [label == 2 for label in found.labels.tolist()]
        for box, label in zip(found.boxes.tolist(), found.labels.tolist(), strict=True):
            rows, columns = (planes[label] > 127).nonzero()
            extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert [int(edge) for edge in extent] == pytest.approx(box, abs=1.01)
            seen += 1
    assert seen > 400


def test_colours_change_before_or_after_the_resize_whichever_is_less_work() -> None:
    """A crop that is enlarged, one that is shrunk and one that stands in a fill come out alike: 40 on a grey of 100."""
    seen: list[tuple[int, ...]] = []

    def lighter(planes: Planes, random: np.random.Generator) -> Planes:
        seen.append(planes.shape)
        return planes + np.uint8(40)

    augment, grey = SSDAugment(50, BLACK, distort=lighter), Image.new("RGB", (100, 80), (100, 100, 100))
    for window in ((0.0, 0.0, 20.0, 30.0), (0.0, 0.0, 100.0, 80.0), (-30.5, -20.0, 130.0, 100.0)):
        planes = augment.picture(grey, window, False, np.random.default_rng(0))
        assert planes[:, 25, 25].tolist() == [140, 140, 140]
    assert seen[:2] == [(3, 30, 20), (3, 50, 50)]
    assert planes[:, 0, 0].tolist() == [0, 0, 0]


def test_images_without_objects_pass(random: np.random.Generator) -> None:
    transform = train_transform(InputSpec(size=64))
    for _ in range(50):
        planes, found = transform(Image.new("RGB", (60, 40)), objects([]), random)
        assert planes.shape == (3, 64, 64)
        assert planes.dtype == np.uint8
        assert found.boxes.shape == (0, 4)
        assert found.labels.dtype == np.int64
        assert found.ignore.dtype == np.bool_


def test_what_lies_beyond_the_image_is_filled_with_the_mean(random: np.random.Generator) -> None:
    augment = SSDAugment(100, (124, 117, 104), distort=undistorted)
    white = Image.new("RGB", (100, 100), (255, 255, 255))
    planes = augment.picture(white, (-50.0, -50.0, 150.0, 150.0), True, random)
    assert planes[:, 24, 24].tolist() == planes[:, 75, 75].tolist() == [124, 117, 104]
    assert planes[:, 25, 25].tolist() == planes[:, 74, 74].tolist() == [255, 255, 255]
    aside = augment.picture(white, (-80.0, 0.0, 120.0, 100.0), True, random)
    assert aside[0, 0].tolist() == [124] * 10 + [255] * 50 + [124] * 40  # mirrored, the fill too
    beside = augment.picture(white, (-200.0, 0.0, -100.0, 100.0), False, random)
    assert np.unique(beside.reshape(3, -1), axis=1).tolist() == [[124], [117], [104]]


def test_the_fill_is_the_mean_in_rgb() -> None:
    assert fill_colour(InputSpec(size=300, mean=(104, 117, 123), channels="bgr")) == (123, 117, 104)
    assert fill_colour(InputSpec(size=300, range=1.0, mean=(0.485, 0.456, 0.406))) == (124, 116, 104)
    assert fill_colour(InputSpec(size=300)) == (127, 127, 127)


def test_one_seed_gives_one_result() -> None:
    transform = train_transform(InputSpec(size=48))
    image = Image.radial_gradient("L").resize((200, 150)).convert("RGB")
    results = [transform(image, objects(OBJECTS), np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert np.array_equal(results[0][0], results[1][0])
    assert results[0][1].boxes.tolist() == results[1][1].boxes.tolist()
    assert not np.array_equal(results[0][0], results[2][0])


def test_evaluation_warps_the_whole_image(random: np.random.Generator) -> None:
    image = Image.new("RGB", (40, 20), (10, 20, 30))
    given = objects([[4.0, 2, 20, 20], [7, 7, 7, 9]], [True, False])
    planes, found = eval_transform(InputSpec(size=80))(image, given, random)
    assert planes.dtype == np.uint8
    assert planes.shape == (3, 80, 80)
    assert np.unique(planes.reshape(3, -1), axis=1).tolist() == [[10], [20], [30]]
    assert found.boxes.tolist() == [[8, 8, 40, 80]]  # the other has no area
    assert found.ignore.tolist() == [True]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(60, 40), (90, 200)])
def test_training_and_evaluation_resize_alike(
    interpolation: Interpolation, size: tuple[int, int], random: np.random.Generator
) -> None:
    """Two kernels, Pillow's for detection and torch's for training, which has coarser weights for bicubic."""
    noise = random.normal(128, 90, (size[1], size[0])).clip(0, 255).astype(np.uint8)
    image, spec = Image.fromarray(noise).convert("RGB"), InputSpec(size=48, interpolation=interpolation)
    expected, _ = eval_transform(spec)(image, objects([]), random)
    augment = SSDAugment(48, BLACK, interpolation, distort=undistorted)
    found = augment.picture(image, (0.0, 0.0, *map(float, size)), False, random)
    difference = abs(found.astype(int) - expected)
    assert difference.max() <= (1 if interpolation == "bilinear" else 3)
    assert difference.mean() < 0.5


SHORT = InputSpec(size=100, resize="short side", max_side=200, divisor=32)


def test_the_short_side_keeps_the_shape_and_each_axis_has_its_scale(random: np.random.Generator) -> None:
    """333 x 250 becomes 133 x 100: 133 / 333 of the width, 0.4 of the height; 900 x 100 meets the longest side."""
    given = objects([[33.3, 25, 333, 250], [7, 7, 7, 9]], [True, False])
    planes, found = eval_transform(SHORT)(Image.new("RGB", (333, 250)), given, random)
    assert planes.shape == (3, 100, 133)
    np.testing.assert_allclose(found.boxes, [[13.3, 10, 133, 100]], rtol=1e-6)
    assert found.ignore.tolist() == [True]
    planes, found = eval_transform(SHORT)(Image.new("RGB", (900, 100)), objects([[9, 0, 90, 100]]), random)
    assert planes.shape == (3, 22, 200)
    np.testing.assert_allclose(found.boxes, [[2.0, 0, 20, 22]], rtol=1e-6)


def test_a_short_side_is_trained_on_with_a_flip_alone(random: np.random.Generator) -> None:
    image = Image.effect_noise((60, 40), 90).convert("RGB")
    spec, flipped = InputSpec(size=20, resize="short side"), 0
    given = objects([[6, 4, 24, 40], [0, 0, 1, 1]], proposals=[[6, 4, 24, 40], [5, 5, 5, 9]])
    plain, expected = eval_transform(spec)(image, given, random)
    assert expected.boxes.tolist() == [[3, 2, 12, 20], [0, 0, 0.5, 0.5]]  # half a pixel is an object still
    assert expected.proposals is not None
    assert expected.proposals.tolist() == [[3, 2, 12, 20], [2.5, 2.5, 2.5, 4.5]]  # each keeps its row
    for _ in range(1000):
        planes, found = train_transform(spec)(image, given, random)
        mirrored = not np.array_equal(planes, plain)
        assert np.array_equal(planes, plain[:, :, ::-1] if mirrored else plain)
        boxes = [[18, 2, 27, 20], [29.5, 0, 30, 0.5]] if mirrored else [[3, 2, 12, 20], [0, 0, 0.5, 0.5]]
        proposals = [[18, 2, 27, 20], [27.5, 2.5, 27.5, 4.5]] if mirrored else expected.proposals.tolist()
        assert found.proposals is not None
        assert (found.boxes.tolist(), found.proposals.tolist()) == (boxes, proposals)
        flipped += mirrored
    assert within_chance(flipped, 1000, 0.5)


def test_proposals_follow_a_crop_and_keep_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "draw_crop", lambda boxes, canvas, _: (40.0, 0.0, 140.0, 100.0))
    given = objects([], proposals=[[150, 0, 200, 40], [0, 0, 90, 40], [60, 10, 70, 40]])
    augment = SSDAugment(100, BLACK, distort=undistorted)
    _, found = augment(Image.new("RGB", (200, 100)), given, Ones())  # type: ignore[arg-type]
    assert found.proposals is not None
    assert found.proposals.tolist() == [[100, 0, 100, 40], [0, 0, 50, 40], [20, 10, 30, 40]]
