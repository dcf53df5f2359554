"""What a detector finds in a video, frame by frame: read ahead in a thread, a few frames at once, in bounded memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from vedette.errors import InputError
from vedette.infer.ahead import Ahead
from vedette.infer.bytetrack import ByteTrack
from vedette.infer.multiscale import Passes, plan_passes
from vedette.infer.pictures import MOST_PIXELS
from vedette.infer.scores import Least, least_scores
from vedette.infer.video import Frame, Video
from vedette.pages.boxes import draw_boxes
from vedette.pages.fonts import legible
from vedette.structures import Detections

if TYPE_CHECKING:
    from vedette.infer.detector import Detector

LEAST_TRACKED = 0.1  # score of a box that may still belong to a track, as ByteTrack's paper has it


class Seen(NamedTuple):
    """A frame and what was found in it; of a frame that was not looked at, what was found last."""

    frame: Frame
    found: Detections
    tracks: list[int] | None = None  # the number of each detection's track, from 1 on; None without tracking
    looked: bool = True  # whether the detector saw this frame

    def draw(self) -> Image.Image:
        """The frame with boxes, names and scores on it, and the numbers of tracks before them."""
        if self.tracks is None:
            return self.found.draw()
        found, labels = self.found, self.found.labels.tolist()
        names = found.names if found.classes is None else [legible(found.classes)[label] for label in labels]
        rows = zip(self.tracks, names, found.scores.tolist(), strict=True)
        captions = [f"#{track} {name} {score:.2f}" for track, name, score in rows]
        return draw_boxes(self.frame.picture, found.boxes.tolist(), captions, labels)


class Watch:
    """A detector's look at a video: iterate over it once for a `Seen` of every frame, those between looks too.

    every: the detector looks at every so many frames. track: boxes are followed from frame to frame; those that belong
    to a track remain. What a live source sends while the detector works is dropped but for the newest frame, and
    counted in `dropped`; of a file no frame is.
    """

    def __init__(
        self,
        detector: Detector,
        video: Video,
        passes: Passes,
        score: Least = 0.5,
        bf16: bool = False,
        every: int = 1,
        track: bool = False,
    ) -> None:
        self.detector, self.video, self.passes, self.bf16 = detector, video, passes, bf16
        self.every = every
        self.tracker = ByteTrack(score) if track else None
        self.score = _tracked(score) if track else score
        self.dropped = 0

    def __iter__(self) -> Generator[Seen, None, None]:
        most = MOST_PIXELS // 4 // max(1, self.video.pixels)  # as many wait in the thread, and are looked at
        count = 1 if self.video.live else max(1, min(self.passes.batch_size, most))
        frames = Ahead(self.video.frames(), count, newest=self.video.live)
        last: Seen | None = None
        due = 0  # the number of the next frame to look at
        try:
            for batch in _batches(frames, count):
                asked = []
                for frame in batch:
                    if frame.number >= due:
                        asked.append(frame)
                        due = frame.number + self.every
                found = self._look(asked)
                for frame in batch:
                    last = found[frame.number] if frame.number in found else _carried(frame, last)
                    self.dropped = frames.dropped
                    yield last
        finally:
            if frames.close():
                self.video.close()

    def _look(self, frames: list[Frame]) -> dict[int, Seen]:
        """What is seen in these frames, by their numbers."""
        pictures = [frame.picture for frame in frames]
        found = self.detector.look(pictures, self.passes, self.score, self.bf16) if frames else []
        return {frame.number: self._followed(frame, one) for frame, one in zip(frames, found, strict=True)}

    def _followed(self, frame: Frame, found: Detections) -> Seen:
        if self.tracker is None:
            return Seen(frame, found)
        tracks = self.tracker.update(found.boxes.numpy(), found.scores.numpy(), found.labels.numpy(), frame.time)
        rows = (tracks > 0).nonzero()[0]
        return Seen(frame, found[rows], tracks[rows].tolist())


def watch(
    detector: Detector,
    source: str | Path | int,
    score: float | None,
    batch_size: int,
    bf16: bool,
    *,
    every: int,
    track: bool,
) -> Watch:
    """`Detector.frames`: checks what was asked and opens the video, so that errors come before the first frame."""
    if every < 1:
        raise InputError(f"every is {every}: give a whole number of frames, 1 or more")
    passes = plan_passes(detector.input_spec, None, False, False, batch_size)
    return Watch(detector, Video(source), passes, least_scores(detector, score), bf16, every, track)


def _tracked(score: Least) -> Least:
    """What a box must reach to belong to a track; classes that are not looked for stay so."""
    if isinstance(score, tuple):
        return tuple(min(one, LEAST_TRACKED) if one <= 1 else one for one in score)
    return min(score, LEAST_TRACKED)


def _carried(frame: Frame, last: Seen | None) -> Seen:
    """The frame with what was found last; nothing in a frame of another size."""
    if last is None:
        raise ValueError("the first frame of a video is always looked at")
    fits = last.frame.picture.size == frame.picture.size
    found = replace(last.found if fits else last.found[:0], image=frame.picture)
    return Seen(frame, found, last.tracks if fits or last.tracks is None else [], looked=False)


def _batches(frames: Iterator[Frame], count: int) -> Iterator[list[Frame]]:
    """Up to `count` frames at a time."""
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch
