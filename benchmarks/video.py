"""Videos: frames a second of reading, of writing, and of the whole of `vedette detect`; and its memory on the way.

    python benchmarks/video.py [--frames 2000 --width 1280 --height 720 --model refinedet320-lite0 --every 1 --track]

The clip is made first: a window that wanders over a bundled photograph, enlarged, in H.264. Each stage is timed by
itself: reading (decoding, to RGB), reading and writing (encoding too), and all of it with the detector and the drawing
between. Of the last, the memory that the process holds is printed at every tenth of the clip. Prints Markdown.
"""

import argparse
import os
import time
from collections.abc import Callable
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
from PIL import Image

import vedette
from vedette.infer.film import Film
from vedette.infer.video import Video

RATE = 25


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--model", default="refinedet320-lite0")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--track", action="store_true")
    asked = parser.parse_args()
    detector = vedette.load(asked.model)
    with TemporaryDirectory() as folder:
        clip, out = Path(folder, "clip.mp4"), Path(folder, "out.mp4")
        make_clip(clip, asked.frames, (asked.width, asked.height))
        print(f"{asked.frames} frames of {asked.width} x {asked.height}, {asked.model}, every {asked.every}\n")
        print("| stage | frames | frames a second |\n|---|---|---|")
        timed("reading", lambda: sum(1 for _ in Video(clip).frames()))
        timed("reading, writing", lambda: copied(clip, out))
        memory: list[float] = []
        timed("all of it", lambda: detected(detector, clip, out, asked, memory))
    print("\n| frames | MB in memory |\n|---|---|")
    for tenth, megabytes in enumerate(memory, 1):
        print(f"| {tenth * asked.frames // 10} | {megabytes:.0f} |")


def make_clip(path: Path, count: int, size: tuple[int, int]) -> None:
    """A window of that size on an enlarged photograph, which wanders from corner to corner and back."""
    with Image.open(str(files("vedette") / "assets" / "demo" / "astronaut.jpg")) as photo:
        picture = photo.convert("RGB").resize((size[0] * 3 // 2, size[0] * 3 // 2))
    room = picture.width - size[0], picture.height - size[1]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(count):
            share = abs(number % 400 - 200) / 200
            left, top = (round(share * side) for side in room)
            frame: Any = av.VideoFrame.from_image(picture.crop((left, top, left + size[0], top + size[1])))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def timed(stage: str, work: Callable[[], int]) -> None:
    """Prints a row of how fast it is."""
    start = time.perf_counter()
    count = work()
    print(f"| {stage} | {count} | {count / (time.perf_counter() - start):.1f} |", flush=True)


def copied(clip: Path, out: Path) -> int:
    """Reads and writes every frame."""
    video = Video(clip)
    film = Film(out, video)
    count = 0
    for frame in video.frames():
        film.write(frame.picture, frame)
        count += 1
    film.close()
    return count


def detected(detector: Any, clip: Path, out: Path, asked: argparse.Namespace, memory: list[float]) -> int:
    """All that the command does; notes the memory at every tenth."""
    watch = detector.frames(clip, every=asked.every, track=asked.track)
    film = Film(out, watch.video)
    count = 0
    for seen in watch:
        film.write(seen.draw(), seen.frame)
        count += 1
        if count % max(1, asked.frames // 10) == 0:
            memory.append(resident() / 1e6)
    film.close()
    return count


def resident() -> int:
    """Bytes of this process that are in memory; Linux alone says so here."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
