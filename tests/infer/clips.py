"""Tiny videos that the tests make for themselves."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = Fraction(25)
TICKS = Fraction(1, 90000)  # MPEG's clock


def picture_of(number: int, size: tuple[int, int] = (96, 64)) -> np.ndarray[Any, Any]:
    """Dark, with a bright square that moves two pixels a frame to the right."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    left = 4 + 2 * number % (size[0] - 24)
    pixels[20:36, left : left + 16] = 255
    return pixels


def make_clip(
    path: str | Path,
    stamps: Sequence[int] | int = 10,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    base: Fraction | None = None,
    pictures: Iterable[np.ndarray[Any, Any]] | None = None,
    rotation: int | None = None,
    sound: bool = False,
    form: str | None = None,
    ratio: Fraction | None = None,
    options: dict[str, str] | None = None,
) -> list[int]:
    """A video with a frame at each of the stamps, in units of `base` seconds, or so many, 25 a second; the stamps."""
    base = base or (1 / RATE if codec == "mpeg4" else TICKS)  # MPEG-4 part 2 cannot count so fast
    times = [round(number / RATE / base) for number in range(stamps)] if isinstance(stamps, int) else list(stamps)
    exact = {"movie_timescale": "90000"} if str(path).endswith("mp4") else {}  # else the start is rounded
    with av.open(str(path), "w", format=form, options=exact | (options or {})) as container:
        video: Any = container.add_stream(codec, rate=RATE)
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1  # the same bytes on every machine
        video.codec_context.time_base = video.time_base = base
        if ratio is not None:
            video.codec_context.sample_aspect_ratio = ratio
        if rotation is not None:
            video.set_display_rotation(rotation)
        tone: Any = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number, pixels in zip(times, pictures or (picture_of(n, size) for n in range(len(times))), strict=True):
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts, frame.time_base = number, base
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if tone is not None:
            _add_tone(container, tone, round(float(times[-1] * base) * 8000))
    return times


def _add_tone(container: Any, tone: Any, samples: int) -> None:
    for start in range(0, samples, 1024):
        wave = (8000 * np.sin(np.arange(start, start + 1024) / 5)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        container.mux(tone.encode(frame))
    container.mux(tone.encode())


def times_in(path: str | Path) -> list[Fraction]:
    """When each frame of a video is shown, in seconds."""
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.video[0])
        return [Fraction(frame.pts or 0) * (frame.time_base or 0) for frame in frames]


def pictures_in(path: str | Path) -> list[np.ndarray[Any, Any]]:
    """The frames of a video, RGB, as they are stored."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(container.streams.video[0])]
