"""SSD's distortion of colours: its odds and ranges, and every change against Python's own HSV, pixel by pixel."""

import colorsys

import numpy as np
import pytest

from data.chance import within_chance
from vedette.data.colours import AT_ONCE, Distortion, Planes, distort, draw_distortion, scale_levels, shift_colours


def pixel(*levels: int) -> Planes:
    """A picture of one pixel."""
    return np.array(levels, np.uint8).reshape(3, 1, 1)


def levels(planes: Planes) -> tuple[int, ...]:
    """Those of one pixel."""
    return tuple(planes.ravel().tolist())


def in_hsv(rgb: tuple[int, ...], saturation: float, hue: float) -> list[float]:
    """One pixel changed by the standard library."""
    h, s, v = colorsys.rgb_to_hsv(*(level / 255 for level in rgb))
    return [255 * level for level in colorsys.hsv_to_rgb((h + hue / 360) % 1, min(1.0, s * saturation), v)]


@pytest.mark.parametrize(
    ("saturation", "hue"), [(1.0, 20.0), (1.0, -36.0), (0.5, 0.0), (1.5, 0.0), (1.37, 33.0), (0.61, -7.0), (1.0, 60.0)]
)
def test_colours_change_as_in_hsv(saturation: float, hue: float) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 40, 50), dtype=np.uint8)
    edges = np.array([[r, g, b] for r in (0, 128, 255) for g in (0, 128, 255) for b in (0, 128, 255)], np.uint8)
    colours[:, 0, : len(edges)] = edges.T
    changed = shift_colours(colours, saturation, hue).reshape(3, -1).T.tolist()
    for given, found in zip(colours.reshape(3, -1).T.tolist(), changed, strict=True):
        assert found == pytest.approx(in_hsv(tuple(given), saturation, hue), abs=2.1)


def test_no_change_leaves_the_pixels_themselves() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 9, 9), dtype=np.uint8)
    assert distort(colours, Distortion()) is colours
    assert shift_colours(colours, 1.0, 0.0) is colours
    assert scale_levels(colours, 1.0, 0.0) is colours


def test_levels_are_added_to_then_multiplied() -> None:
    assert levels(scale_levels(pixel(100, 250, 3), 1.5, -10.0)) == (135, 255, 0)
    assert levels(scale_levels(pixel(100, 250, 3), 0.6, 30.0)) == (78, 153, 20)  # 280 is cut to 255 before


@pytest.mark.parametrize("contrast", [0.5, 0.777, 1.0, 1.234, 1.5])
@pytest.mark.parametrize("brightness", [-32.0, -3.4, 0.0, 17.6, 32.0])
def test_every_level_is_scaled_within_one(contrast: float, brightness: float) -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(3, 0)
    for level, found in zip(
        every[0].ravel().tolist(), scale_levels(every, contrast, brightness)[0].ravel(), strict=True
    ):
        cut = min(255.0, max(0.0, level + brightness))
        assert found == pytest.approx(min(255.0, cut * contrast), abs=2.0)


def test_contrast_comes_before_or_after_the_colours() -> None:
    reddish = pixel(240, 120, 120)
    first = distort(reddish, Distortion(contrast=1.5, saturation=1.5))  # (255, 180, 180), then 1.5
    last = distort(reddish, Distortion(contrast=1.5, saturation=1.5, contrast_first=False))  # (240, 60, 60), then 1.5
    assert levels(first) == pytest.approx((255, 142, 142), abs=1)
    assert levels(last) == pytest.approx((255, 90, 90), abs=1)


def test_a_large_picture_is_distorted_like_its_parts() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 2 * AT_ONCE // 100 + 7, 100), dtype=np.uint8)
    by = Distortion(brightness=9.0, contrast=1.2, saturation=0.7, hue=12.0, contrast_first=False)
    whole = distort(colours, by)
    for at in (0, 100, len(colours[0]) - 1):
        assert np.array_equal(whole[:, at : at + 1], distort(colours[:, at : at + 1], by))
    assert distort(colours[:, :0], by).shape == (3, 0, 100)


def test_each_distortion_comes_half_the_time_in_its_range() -> None:
    random = np.random.default_rng(0)
    draws = [draw_distortion(random) for _ in range(4000)]
    for name, unchanged, low, high in [
        ("brightness", 0.0, -32.0, 32.0),
        ("contrast", 1.0, 0.5, 1.5),
        ("saturation", 1.0, 0.5, 1.5),
        ("hue", 0.0, -36.0, 36.0),
    ]:
        values = [getattr(draw, name) for draw in draws if getattr(draw, name) != unchanged]
        assert within_chance(len(values), 4000, 0.5)
        assert low <= min(values) < low + (high - low) / 50
        assert high - (high - low) / 50 < max(values) <= high
    assert within_chance(sum(draw.contrast_first for draw in draws), 4000, 0.5)
