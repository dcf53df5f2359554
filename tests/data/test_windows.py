"""SSD's windows: their odds and bounds over many draws, and each rule against a loop over scalars."""

import math

import numpy as np
import pytest

from data.chance import within_chance
from vedette.data import windows
from vedette.data.windows import (
    CROP_MODES,
    CROP_TRIALS,
    Boxes,
    Window,
    draw_crop,
    draw_zoom_out,
    map_boxes,
    try_crops,
    visible_part,
)

DRAWS = 10_000
WHOLE = (0.0, 0.0, 200.0, 150.0)
OBJECTS = np.array([[30, 20, 130, 120], [150, 90, 190, 140]], np.float32)  # in an image of 200 x 150
NOTHING = np.zeros((0, 4), np.float32)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inner = max(0.0, width) * max(0.0, height)
    return inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)


def holds_a_centre(window: tuple[float, ...], boxes: Boxes) -> bool:
    centres = [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in boxes.tolist()]
    return any(window[0] <= x <= window[2] and window[1] <= y <= window[3] for x, y in centres)


def first_that_suits(boxes: Boxes, canvas: Window, least: float, random: np.random.Generator) -> Window | None:
    """`try_crops`, one trial after the other."""
    draws = random.random((2, 2, CROP_TRIALS)).tolist()
    for trial in range(CROP_TRIALS):
        window = [0.0] * 4
        for axis in range(2):
            start, end = canvas[axis], canvas[axis + 2]
            side = (0.3 + 0.7 * draws[0][axis][trial]) * (end - start)
            first = start + draws[1][axis][trial] * (end - start - side)
            low, high = math.ceil(start), math.floor(end)
            window[axis], window[axis + 2] = (min(max(round(edge), low), high) for edge in (first, first + side))
        width, height = window[2] - window[0], window[3] - window[1]
        if min(width, height) <= 0 or max(width, height) > 2 * min(width, height):
            continue
        if len(boxes) and not holds_a_centre(tuple(window), boxes):
            continue
        if least == 0 or any(overlap(window, box) >= least for box in boxes.tolist()):
            return tuple(window)  # type: ignore[return-value]
    return None


@pytest.mark.parametrize("least", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("boxes", [OBJECTS, OBJECTS[:1], np.array([[3, 3, 9, 40.5]], np.float32)])
def test_all_trials_at_once_are_one_after_the_other(least: float, boxes: Boxes) -> None:
    found = 0
    for seed in range(150):
        canvas = draw_zoom_out(200, 150, np.random.default_rng(1000 + seed))
        window = try_crops(boxes, canvas, least, np.random.default_rng(seed))
        assert window == first_that_suits(boxes, canvas, least, np.random.default_rng(seed))
        found += window is not None
    assert found > (10 if least < 0.5 and len(boxes) > 1 else -1)


def test_zoom_out_comes_half_the_time_with_the_image_anywhere_on_it(random: np.random.Generator) -> None:
    canvases = np.array([draw_zoom_out(200, 150, random) for _ in range(DRAWS)])
    zoomed = canvases[(canvases != WHOLE).any(1)]
    assert within_chance(len(zoomed), DRAWS, 0.5)
    ratios = (zoomed[:, 2:] - zoomed[:, :2]) / (200, 150)
    np.testing.assert_allclose(ratios[:, 0], ratios[:, 1])
    assert 1 <= ratios.min() < 1.01
    assert 3.99 < ratios.max() <= 4 + 1e-9
    assert abs(ratios.mean() - 2.5) < 0.07
    assert (zoomed[:, :2] <= 0).all()
    assert (zoomed[:, 2:] >= np.array((200, 150)) - 1e-9).all()
    places = -zoomed[:, :2] / ((ratios - 1) * (200, 150))
    assert (abs(places.mean(0) - 0.5) < 0.03).all()


def test_the_seven_modes_have_equal_shares(monkeypatch: pytest.MonkeyPatch, random: np.random.Generator) -> None:
    tried: list[float] = []
    monkeypatch.setattr(windows, "try_crops", lambda boxes, canvas, least, _: tried.append(least) or (1, 1, 2, 2))
    drawn = [draw_crop(OBJECTS, (0, 0, 200, 150), random) for _ in range(DRAWS)]
    assert within_chance(drawn.count((0, 0, 200, 150)), DRAWS, 1 / 7)
    assert CROP_MODES[0] is None
    assert CROP_MODES[1:] == (0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
    assert all(within_chance(tried.count(least), DRAWS, 1 / 7) for least in CROP_MODES[1:])


def test_crops_lie_in_the_canvas_and_hold_an_object(random: np.random.Generator) -> None:
    narrowest, flattest, tallest = 1.0, 1.0, 1.0
    for _ in range(DRAWS):
        canvas = draw_zoom_out(200, 150, random)
        window = draw_crop(OBJECTS, canvas, random)
        assert window == canvas or all(edge.is_integer() for edge in window)
        assert all(near >= edge for near, edge in zip(window[:2], canvas[:2], strict=True))
        assert all(far <= edge for far, edge in zip(window[2:], canvas[2:], strict=True))
        assert holds_a_centre(window, OBJECTS)
        width, height = window[2] - window[0], window[3] - window[1]
        narrowest = min(narrowest, (width + 1) / (canvas[2] - canvas[0]), (height + 1) / (canvas[3] - canvas[1]))
        flattest, tallest = max(flattest, width / height), max(tallest, height / width)
    assert 0.3 <= narrowest < 0.315  # in whole pixels
    assert 1.9 < flattest <= 2
    assert 1.9 < tallest <= 2


@pytest.mark.parametrize("least", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_minimum_iou_holds_for_one_object_and_need_not_for_all(least: float, random: np.random.Generator) -> None:
    drawn = [try_crops(OBJECTS, WHOLE, least, random) for _ in range(1000)]
    found = [[overlap(list(window), box) for box in OBJECTS.tolist()] for window in drawn if window is not None]
    assert len(found) > 2
    assert all(max(pair) >= least - 1e-9 for pair in found)
    assert any(min(pair) < least for pair in found)


def test_an_object_too_small_for_a_constraint_leaves_the_other_modes(random: np.random.Generator) -> None:
    speck = np.array([[10, 10, 12, 12]], np.float32)
    assert all(try_crops(speck, WHOLE, 0.1, random) is None for _ in range(20))
    assert all(holds_a_centre(draw_crop(speck, WHOLE, random), speck) for _ in range(100))


def test_without_objects_half_the_windows_are_the_whole_image(random: np.random.Generator) -> None:
    assert all(try_crops(NOTHING, WHOLE, least, random) is None for least in (0.1, 0.3, 0.5, 0.7, 0.9))
    drawn = [draw_crop(NOTHING, WHOLE, random) for _ in range(2000)]
    assert within_chance(drawn.count(WHOLE), 2000, 0.5)


def test_a_picture_of_one_pixel_has_windows(random: np.random.Generator) -> None:
    speck = np.array([[0, 0, 1, 1]], np.float32)
    assert {draw_crop(speck, (0.0, 0.0, 1.0, 1.0), random) for _ in range(50)} == {(0.0, 0.0, 1.0, 1.0)}


def test_boxes_are_scaled_clipped_and_flipped() -> None:
    boxes = np.array([[30, 15, 70, 25]], np.float32)
    window = (20.0, 10.0, 60.0, 30.0)  # 40 x 20: 2 and 4 times as large at 80 x 80
    square, wider = (80, 80), (-10.0, -5.0, 70.0, 35.0)
    assert map_boxes(boxes, window=window, size=square, flip=False).tolist() == [[20.0, 20.0, 80.0, 60.0]]
    assert map_boxes(boxes, window=window, size=square, flip=True).tolist() == [[0.0, 20.0, 60.0, 60.0]]
    assert map_boxes(boxes, window=wider, size=square, flip=True).tolist() == [[0.0, 40.0, 40.0, 60.0]]
    assert map_boxes(boxes, window=window, size=(40, 60), flip=False).tolist() == [[10.0, 15.0, 40.0, 45.0]]
    assert map_boxes(boxes, window=window, size=(40, 60), flip=True).tolist() == [[0.0, 15.0, 30.0, 45.0]]
    assert map_boxes(NOTHING, window=window, size=(40, 60), flip=True).shape == (0, 4)
    assert map_boxes(boxes, window=window, size=(40, 60), flip=True).dtype == np.float32


def test_the_visible_part_falls_on_whole_pixels() -> None:
    assert visible_part((100, 50), (-50.0, -25.0, 150.0, 75.0), 80) == ((20, 20, 60, 60), (0.0, 0.0, 100.0, 50.0))
    place, source = visible_part((100, 50), (-1.0, 0.0, 99.0, 50.0), 10) or ((), ())
    assert place == (1, 0, 10, 10)  # pixel 0 shows image for 0.9 of its width: left to the fill
    assert source == pytest.approx((9.0, 0.0, 99.0, 50.0))
    assert visible_part((100, 50), (120.0, 0.0, 200.0, 50.0), 10) is None
    assert visible_part((100, 50), (99.0, 0.0, 199.0, 50.0), 10) is None
