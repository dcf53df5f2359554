"""`vedette detect` on videos, cameras and streams: an annotated video and a row for each frame, as they come."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vedette.cli.batch import Batch, Row
from vedette.cli.films import real_name, rows_of_frames
from vedette.cli.progress import Progress
from vedette.data.findings import LONGEST_NAME, shown
from vedette.data.values import counted, named
from vedette.errors import InputError
from vedette.infer.video_names import without_password

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vedette.cli.sources import Sources
    from vedette.infer.detector import Detector
    from vedette.infer.multiscale import Passes
    from vedette.infer.scores import Least
    from vedette.infer.watch import Seen, Watch


@dataclass(frozen=True)
class How:
    """How the pictures and videos of a call are looked at."""

    detector: Detector
    passes: Passes
    least: Least
    bf16: bool
    every: int
    track: bool
    as_json: bool

    def watch(self, source: str) -> Watch:
        """Opens a video; raises InputError where that cannot be."""
        from vedette.infer.video import Video
        from vedette.infer.watch import Watch

        return Watch(self.detector, Video(source), self.passes, self.least, self.bf16, self.every, self.track)


@dataclass
class Tally:
    """What a video's line says."""

    frames: int = 0
    looked: int = 0
    last: float = 0.0  # seconds
    names: Counter[str] = field(default_factory=Counter)  # detections by class
    tracks: set[int] = field(default_factory=set)

    def add(self, seen: Seen) -> None:
        """One frame more."""
        self.frames, self.last = self.frames + 1, seen.frame.time
        if seen.looked:
            self.looked += 1
            self.names.update(seen.found.names)
            self.tracks.update(seen.tracks or ())

    def words(self) -> str:
        """300 frames, 412 detections: dog 212, cat 200."""
        looked = "" if self.looked == self.frames else f", {self.looked} looked at"
        tracks = f" in {counted(len(self.tracks), 'track')}" if self.tracks else ""
        each = [f"{shown(name, LONGEST_NAME)} {count}" for name, count in self.names.most_common()]
        found = f", {counted(self.names.total(), 'detection')}{tracks}: {named(each, 'more classes')}"
        return f"{counted(self.frames, 'frame')}{looked}{found if each else ', nothing found'}"


def check_asked(sources: Sources, every: int, track: bool, as_json: bool, save: Sequence[str] | None) -> None:
    """Raises InputError for options of what is not given, and for JSON of two kinds at once."""
    if save and not sources.files:
        raise InputError("--save is for pictures, and none is given; leave it out: a video's rows have all boxes")
    if not sources.videos and (track or every != 1):
        raise InputError(f"{'--track' if track else '--every'} is for videos, and none is given; leave it out")
    if sources.videos and sources.files and as_json:
        raise InputError(
            "--json prints one list for pictures and a line a frame for videos: give them in calls of their own"
        )


def watch_videos(batch: Batch, how: How) -> None:
    """Looks at those that are left, one after another, and adds a row for each."""
    for source, film in batch.videos_left():
        batch.add([_row_of(source, film, how)])


def _row_of(source: str, place: Path, how: How) -> Row:
    """What became of a video, told in a line too."""
    name, tally, faults = without_password(source), Tally(), list[str]()
    row: Row = {"file_name": name, "source": real_name(source)}
    try:
        watch = how.watch(source)
        faults = watch.video.faults
        _film(watch, place, name, tally, how)
    except InputError as error:
        faults = [*faults, str(error) if tally.frames == 0 else f"{name}: {error}"]
    if not tally.frames:
        place.with_name(rows_of_frames(place.name)).unlink(missing_ok=True)  # nothing stands in it
        return row | {"error": "; ".join(faults) or f"{name}: not one frame could be decoded; replace it"}
    dropped = f"; {watch.dropped} came while the detector worked, and were dropped" if watch.dropped else ""
    if not how.as_json:
        typer.echo(f"{shown(name)}: {tally.words()}{dropped}")
    row |= {"output": place.name, "frames": tally.frames, "looked": tally.looked, "found": tally.names.total()}
    row |= {"dropped": watch.dropped} if watch.video.live else {}
    return row | ({"error": "; ".join(faults)} if faults else {})


def _film(watch: Watch, place: Path, name: str, tally: Tally, how: How) -> None:
    """Writes the video and its rows; whatever stops it, what was written plays."""
    from vedette.infer.film import Film

    film = Film(place, watch.video)
    rows = place.with_name(rows_of_frames(place.name))
    rows.unlink(missing_ok=True)
    try:
        with Progress(watch.video.total, "frames") as progress, rows.open("w") as stream, closing(iter(watch)) as all_:
            for seen in all_:
                film.write(seen.draw(), seen.frame)
                if seen.looked:
                    line = json.dumps({"file_name": name, **_row(seen)})
                    stream.write(line + "\n")
                    stream.flush()
                    if how.as_json:
                        progress.say(line)
                tally.add(seen)
                progress.advance()
    except (KeyboardInterrupt, SystemExit):
        film.close()
        told = f"stopped after {counted(tally.frames, 'frame')}, at {tally.last:.1f} s; what is in {place} plays"
        typer.echo(f"{shown(name)}: {shown(told)}", err=True)
        raise
    except InputError:
        film.close()
        raise
    film.close()
    if film.silent:
        typer.echo(f"note: {shown(name)}: {film.silent}, so {shown(str(place))} has none", err=True)


def _row(seen: Seen) -> dict[str, Any]:
    """A frame as JSON: its number, its time in seconds, its size, and what was found."""
    frame, found = seen.frame, seen.found
    tracks: Sequence[int | None] = [None] * len(found) if seen.tracks is None else seen.tracks
    boxes = [
        {key: one[key] for key in ("category_id", "bbox", "score")}
        | {"class_name": name}
        | ({} if track is None else {"track": track})
        for one, name, track in zip(found.to_coco(), found.names, tracks, strict=True)
    ]
    width, height = frame.picture.size
    return {"frame": frame.number, "time": frame.time, "width": width, "height": height, "detections": boxes}
