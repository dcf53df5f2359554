"""SSD's photometric distortion, on the three planes of a picture in whole numbers. No torch here.

Hue and saturation change in HSV, and no pixel is brought there and back: along a turn of the hue each channel rises or
falls linearly between the pixel's least and largest one, so sums of 16-bit integers, many at a time, are enough.
Pillow's way there and back takes four times as long and rounds the hue to 256 steps.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Planes = NDArray[np.uint8]  # (3, H, W): R, G, B

PROBABILITY = 0.5  # of each change
BRIGHTNESS = 32.0  # added to 0..255
CONTRAST = SATURATION = (0.5, 1.5)  # factors
HUE = 36.0  # degrees: SSD's code adds 18 to the hue of 8-bit images, which OpenCV counts in steps of two degrees
AT_ONCE = 1 << 15  # pixels: what is computed of them stays in the processor's cache


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """What happens to the colours of one picture."""

    brightness: float = 0.0  # added to the levels
    contrast: float = 1.0  # a factor of the levels, at most 2
    saturation: float = 1.0  # a factor
    hue: float = 0.0  # degrees, at most 60 either way
    contrast_first: bool = True  # before saturation and hue, or after


def draw_distortion(random: Generator) -> Distortion:
    """Each of the four changes with probability 0.5, and contrast before or after the colours.

    As in SSD's code brightness is added, contrast multiplies, saturation and hue change in HSV. Only in the code a hue
    turned back beyond red stops there, since bytes have nothing below 0. torchvision's RandomPhotometricDistort
    multiplies brightness, pulls contrast towards the mean grey and also permutes the channels.
    """
    use = (random.random(5) < PROBABILITY).tolist()
    amounts = random.random(4).tolist()
    return Distortion(
        brightness=(2 * amounts[0] - 1) * BRIGHTNESS * use[0],
        contrast=_between(CONTRAST, amounts[1]) if use[1] else 1.0,
        saturation=_between(SATURATION, amounts[2]) if use[2] else 1.0,
        hue=(2 * amounts[3] - 1) * HUE * use[3],
        contrast_first=use[4],
    )


def distort_at_random(planes: Planes, random: Generator) -> Planes:
    """The planes, distorted as `random` has it."""
    return distort(planes, draw_distortion(random))


def distort(planes: Planes, by: Distortion) -> Planes:
    """The planes with other colours; these themselves where nothing changes."""
    first = by.contrast if by.contrast_first else 1.0
    last = by.contrast / first
    if (by.brightness, by.contrast, by.saturation, by.hue) == (0.0, 1.0, 1.0, 0.0):
        return planes
    changed = np.empty_like(planes)
    rows = max(1, AT_ONCE // max(1, planes.shape[2]))
    for at in range(0, planes.shape[1], rows):
        part = scale_levels(planes[:, at : at + rows], first, by.brightness)
        changed[:, at : at + rows] = scale_levels(shift_colours(part, by.saturation, by.hue), last, 0.0)
    return changed


def scale_levels(planes: Planes, contrast: float, brightness: float) -> Planes:
    """(level + brightness) * contrast for all three channels, cut to 0..255 after each.

    Brightness counts in whole levels and contrast in steps of 1/128, up to 2: a level differs by one at most.
    """
    added, factor = round(brightness), round(contrast * 128)
    if added > 0:
        planes = np.minimum(planes, np.uint8(255 - added)) + np.uint8(added)
    elif added < 0:
        planes = np.maximum(planes, np.uint8(-added)) - np.uint8(-added)
    if factor == 128:
        return planes
    wide = planes * np.uint16(factor)
    wide += np.uint16(64)
    wide >>= np.uint16(7)
    return np.asarray(np.minimum(wide, np.uint16(255), out=wide), np.uint8)


def shift_colours(planes: Planes, saturation: float, hue: float) -> Planes:
    """Saturation times a factor, hue turned by at most 60 degrees either way; HSV's value stays.

    A channel is `largest - short`, its shortfall 0..`spread`, which is what saturation multiplies, as far as 0 allows.
    """
    if saturation == 1.0 and hue == 0.0:
        return planes
    highest = np.maximum(np.maximum(planes[0], planes[1]), planes[2])
    spread = (highest - np.minimum(np.minimum(planes[0], planes[1]), planes[2])).astype(np.int16)
    largest = highest.astype(np.int16)
    short = _turned(planes, highest, spread, hue) if hue else largest - planes
    if saturation != 1.0:
        short = _saturated(short, largest, spread, saturation)
    return np.asarray(largest - short, np.uint8)


def _turned(planes: Planes, highest: NDArray[np.uint8], spread: NDArray[np.int16], hue: float) -> NDArray[np.int16]:
    """(3, H, W) by how much each channel falls short of the largest, the hue turned.

    The hue is counted from 0 to 6 `spread`: red lies at 0, green at 2, blue at 4. A channel is full within one `spread`
    of its own place, has nothing beyond two, and falls evenly between.
    """
    red, green, blue = planes.astype(np.int16)
    twice = spread + spread
    at = red - green + twice + twice  # where blue is largest
    np.copyto(at, blue - red + twice, where=planes[1] == highest)
    np.copyto(at, green - blue, where=planes[0] == highest)
    at += (spread * np.int16(round(hue / 60 * 128)) + np.int16(64)) >> np.int16(7)
    at += np.multiply(at < 0, np.int16(6) * spread, dtype=np.int16)
    short = np.empty(planes.shape, np.int16)
    short[0] = twice - abs(at - (twice + spread))  # red's place is 0 and 6: three away is farthest
    short[1] = abs(at - twice) - spread
    short[2] = abs(at - (twice + twice)) - spread
    return np.minimum(np.maximum(short, np.int16(0), out=short), spread, out=short)


def _saturated(
    short: NDArray[np.int16], largest: NDArray[np.int16], spread: NDArray[np.int16], saturation: float
) -> NDArray[np.int16]:
    """(3, H, W) shortfalls times the factor, at most times what brings the least channel to 0."""
    factor = np.float32(saturation)
    allowed: Any = factor
    if saturation > 1:
        allowed = np.minimum(largest / np.maximum(spread, np.int16(1)).astype(np.float32), factor)
    return np.asarray(short * allowed + np.float32(0.5), np.int16)


def _between(bounds: tuple[float, float], share: float) -> float:
    low, high = bounds
    return low + (high - low) * share
