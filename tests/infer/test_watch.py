import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

pytest.importorskip("av")

from infer.clips import make_clip, picture_of, times_in
from infer.conftest import BrightBox
from infer.streams import sent_over_tcp
from vedette.errors import InputError
from vedette.infer.detector import Detector
from vedette.infer.film import Film
from vedette.infer.video import Frame, Video
from vedette.infer.watch import Seen
from vedette.structures import Detections


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_is_found_in_each_frame(detector: Detector) -> None:
    make_clip("clip.mp4", 10)
    seen = list(detector.frames("clip.mp4", batch_size=4))
    assert [one.frame.number for one in seen] == list(range(10))
    assert [len(batch) for batch in detector.model.batches] == [4, 4, 2]
    for number, one in enumerate(seen):
        left = 4 + 2 * number
        assert one.found.boxes[0].tolist() == pytest.approx([left, 20, left + 16, 36], abs=1.5)
        assert one.found.image is one.frame.picture
        assert (one.looked, one.tracks) == (True, None)


def test_it_is_what_detect_finds_in_the_pictures(detector: Detector) -> None:
    make_clip("clip.mp4", 5)
    for one in detector.frames("clip.mp4", batch_size=2):
        (found,) = detector.detect([one.frame.picture])
        assert torch.equal(found.boxes, one.found.boxes)


def test_every_third_frame(detector: Detector) -> None:
    make_clip("clip.mp4", 8)
    seen = list(detector.frames("clip.mp4", batch_size=4, every=3))
    assert [one.looked for one in seen] == [True, False, False, True, False, False, True, False]
    assert sum(len(batch) for batch in detector.model.batches) == 3
    lefts = [round(float(one.found.boxes[0, 0])) for one in seen]
    assert lefts == pytest.approx([4, 4, 4, 10, 10, 10, 16, 16], abs=1)
    assert all(one.found.image is one.frame.picture for one in seen)


def test_tracks(detector: Detector) -> None:
    pytest.importorskip("scipy")
    make_clip("clip.mp4", 10)
    seen = list(detector.frames("clip.mp4", track=True, every=2))
    assert [one.tracks for one in seen] == [[1]] * 10


class Fading(BrightBox):
    """Scores 0.9 in the first frame, 0.2 from then on."""

    def detect(self, predictions: torch.Tensor, score: float = 0.05) -> list[Detections]:
        rows = []
        for image in predictions:
            value = 0.2 if getattr(self, "begun", False) else 0.9
            self.begun = True
            found = self.find(image, 0.0)
            rows.append(Detections(found.boxes, torch.full((1,), value), found.labels, found.source)[: value >= score])
        return rows


def test_a_track_goes_on_where_the_score_falls_and_untracked_boxes_are_left_out(detector: Detector) -> None:
    pytest.importorskip("scipy")
    make_clip("clip.mp4", 4)
    fading = Detector(Fading(), detector.input_spec, detector.classes, "cpu")
    assert [len(one.found) for one in fading.frames("clip.mp4", track=True)] == [1, 1, 1, 1]
    fading.model.begun = False
    assert [len(one.found) for one in fading.frames("clip.mp4")] == [1, 0, 0, 0]


def test_a_track_begins_with_the_score_of_its_class(detector: Detector) -> None:
    pytest.importorskip("scipy")
    make_clip("clip.mp4", 4)
    for thresholds, tracks in (((0.2, 0.9), []), ((0.9, 0.2), [1])):  # what is found is of the second class
        detector.thresholds = thresholds
        assert [one.tracks for one in detector.frames("clip.mp4", track=True)] == [tracks] * 4


def test_what_is_seen_once_is_no_track(detector: Detector) -> None:
    pytest.importorskip("scipy")
    dark = np.zeros_like(picture_of(0))
    make_clip("clip.mp4", 4, pictures=[dark, dark, picture_of(0), dark])
    assert [len(one.found) for one in detector.frames("clip.mp4")] == [0, 0, 1, 0]
    assert [one.tracks for one in detector.frames("clip.mp4", track=True)] == [[]] * 4


def test_the_number_of_a_track_is_drawn() -> None:
    picture = Image.new("RGB", (200, 200))
    boxes = torch.tensor([[50.0, 80, 150, 180]])
    found = Detections(boxes, torch.tensor([0.9]), torch.tensor([0]), torch.tensor([-1]), ("cat",), picture)
    frame = Frame(0, 0.0, picture, 0)
    plain, first, second = (Seen(frame, found, tracks).draw() for tracks in (None, [1], [2]))
    assert ImageChops.difference(plain, found.draw()).getbbox() is None
    for one, other in ((plain, first), (first, second)):
        assert ImageChops.difference(one, other).getbbox() is not None


def test_of_another_size_nothing_is_carried(detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    def changing(self: Video) -> list[Frame]:
        sizes = [(96, 64), (96, 64), (48, 32)]
        return [Frame(n, n / 25, Image.fromarray(picture_of(0)).resize(size), n) for n, size in enumerate(sizes)]

    monkeypatch.setattr(Video, "frames", changing)
    make_clip("clip.mp4", 2)
    seen = list(detector.frames("clip.mp4", every=3))
    assert [len(one.found) for one in seen] == [1, 1, 0]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"every": 0}, "every is 0: give a whole number of frames, 1 or more"),
        ({"score": 2.0}, "score is 2.0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_bad_numbers_are_refused_before_the_first_frame(
    detector: Detector, asked: dict[str, float], message: str
) -> None:
    make_clip("clip.mp4", 2)
    with pytest.raises(InputError, match=message):
        detector.frames("clip.mp4", **asked)  # type: ignore[arg-type]


def test_who_stops_early_lets_the_file_go(detector: Detector) -> None:
    make_clip("clip.mp4", 100)
    watch = detector.frames("clip.mp4", batch_size=2)
    frames = iter(watch)
    assert next(frames).frame.number == 0
    frames.close()  # type: ignore[attr-defined]
    assert sum(len(batch) for batch in detector.model.batches) == 2
    with pytest.raises(AssertionError, match="not open"):
        next(watch.video.container.demux())


class Slow(BrightBox):
    """Takes longer than a frame is shown."""

    def forward(self, images: torch.Tensor, sizes: torch.Tensor | None = None, proposals: None = None) -> torch.Tensor:
        import time

        time.sleep(0.1)
        return super().forward(images, sizes, proposals)


def test_of_a_live_stream_the_newest_frame_is_looked_at(detector: Detector) -> None:
    make_clip("clip.ts", 50, pictures=[np.roll(picture_of(0), number, 1) for number in range(50)])
    slow = Detector(Slow(), detector.input_spec, detector.classes, "cpu")
    with sent_over_tcp(Path("clip.ts").read_bytes(), seconds=1) as address:
        watch = slow.frames(address)
        seen = list(watch)
    assert 2 <= len(seen) < 40
    assert len(seen) + watch.dropped == 50
    assert seen[-1].frame.number == 49
    assert all(len(batch) == 1 for batch in slow.model.batches)


def test_frames_in_are_frames_out(detector: Detector) -> None:
    stamps = make_clip("clip.mp4", [9000, 12600, 13000, 40000, 40001, 90000, 91000])
    watch = detector.frames("clip.mp4", batch_size=3, every=2)
    film = Film(Path("out.mp4"), watch.video)
    for seen in watch:
        film.write(seen.draw(), seen.frame)
    film.close()
    assert [time * 90000 for time in times_in("out.mp4")] == stamps


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from Linux's /proc")
def test_memory_stays_flat_over_2000_frames(detector: Detector) -> None:
    """A frame is 230 kB as Pillow holds it: to keep one of ten would be seen."""
    make_clip("clip.mp4", 2000, size=(240, 240), options={"movflags": "+faststart"})
    watch = detector.frames("clip.mp4", batch_size=4)
    film = Film(Path("out.mp4"), watch.video)
    early = 0
    for seen in watch:
        film.write(seen.draw(), seen.frame)
        detector.model.batches.clear()
        detector.model.sizes.clear()
        if seen.frame.number == 500:
            early = resident()
    film.close()
    assert len(times_in("out.mp4")) == 2000
    assert resident() < early + 15e6
