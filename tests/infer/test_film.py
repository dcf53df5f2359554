import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")

import av

from infer.clips import make_clip, pictures_in, times_in
from vedette.errors import InputError
from vedette.infer.film import Film
from vedette.infer.video import Video

OUT = Path("out.mp4")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def copied(name: str, sizes: list[tuple[int, int]] | None = None) -> Film:
    """A video written once more, its pictures in other sizes where these are given."""
    video = Video(name)
    film = Film(OUT, video)
    for frame in video.frames():
        picture = frame.picture if sizes is None else frame.picture.resize(sizes[frame.number])
        film.write(picture, frame)
    film.close()
    return film


@pytest.mark.parametrize(
    ("stamps", "base"),
    [
        ([0, 1, 2, 3], Fraction(1, 25)),
        ([0, 1001, 2002, 4004], Fraction(1, 30000)),
        ([27001, 30000, 33001, 90000, 90001, 900000], Fraction(1, 90000)),
        ([333, 367, 400, 5000], Fraction(1, 1000)),
    ],
)
def test_every_frame_stands_at_its_own_time(stamps: list[int], base: Fraction) -> None:
    make_clip("clip.mp4", stamps, base=base)
    copied("clip.mp4")
    assert times_in(OUT) == times_in("clip.mp4") == [stamp * base for stamp in stamps]


@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts", "clip.avi", "clip.mov"])
def test_whatever_the_container(name: str) -> None:
    make_clip(name, 7, codec="mpeg4" if name.endswith("avi") else "libx264")
    copied(name)
    assert times_in(OUT) == times_in(name)


def test_two_frames_of_one_time_are_two_frames() -> None:
    """Matroska's clock of milliseconds makes them of faster ones."""
    make_clip("clip.mkv", [0, 3600, 3610, 7200])
    assert times_in("clip.mkv")[1:3] == [Fraction(1, 25)] * 2
    copied("clip.mkv")
    assert times_in(OUT) == [0, Fraction(40, 1000), Fraction(41, 1000), Fraction(80, 1000)]


def test_pictures_keep_their_size_and_colours() -> None:
    colours = np.zeros((64, 96, 3), np.uint8)
    for row, column, colour in ((0, 0, (220, 30, 30)), (0, 48, (30, 200, 40)), (32, 0, (30, 40, 220))):
        colours[row : row + 32, column : column + 48] = colour
    make_clip("clip.mp4", 2, pictures=[colours] * 2)
    copied("clip.mp4")
    (first, _) = pictures_in(OUT)
    assert first.shape == (64, 96, 3)
    for y, x in ((16, 24), (16, 72), (48, 24), (48, 72)):
        assert abs(first[y, x].astype(int) - colours[y, x]).max() <= 6


@pytest.mark.parametrize("size", [(97, 65), (96, 65), (2, 2)])
def test_odd_and_tiny_sizes_are_kept(size: tuple[int, int]) -> None:
    make_clip("clip.mp4", 2)
    copied("clip.mp4", [size] * 2)
    assert [picture.shape for picture in pictures_in(OUT)] == [(size[1], size[0], 3)] * 2


def test_a_frame_of_another_size_is_fitted_into_the_first_ones() -> None:
    make_clip("clip.mp4", 2, pictures=[np.full((64, 96, 3), 200, np.uint8)] * 2)
    copied("clip.mp4", [(96, 64), (96, 32)])
    first, second = pictures_in(OUT)
    assert second.shape == first.shape
    assert second[4, 48].max() < 20  # black above it
    assert second[32, 48].min() > 180


def test_sound_is_copied() -> None:
    make_clip("clip.mp4", 50, sound=True)
    assert copied("clip.mp4").silent == ""
    with av.open("clip.mp4") as given, av.open(str(OUT)) as written:
        packets = [
            [(packet.pts * packet.time_base, bytes(packet)) for packet in one.demux(audio=0) if packet.size]
            for one in (given, written)
        ]
    assert packets[0] == packets[1]
    assert len(packets[0]) == 17


def test_sound_that_mp4_does_not_hold_is_left_out_and_that_is_said() -> None:
    with av.open("clip.mov", "w") as container:
        video, tone = container.add_stream("mpeg4", rate=25), container.add_stream("pcm_alaw", rate=8000, layout="mono")
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_image(Image.new("RGB", (32, 32)))
            frame.pts = number
            container.mux(video.encode(frame))
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        wave.sample_rate = 8000
        container.mux([*video.encode(), *tone.encode(wave), *tone.encode()])
    assert copied("clip.mov").silent == "an MP4 holds no sound of the kind pcm_alaw"
    assert len(times_in(OUT)) == 3


@pytest.mark.parametrize(("rotation", "ratio"), [(0, Fraction(4, 3)), (90, Fraction(3, 4))])
def test_pixels_that_are_no_squares_stay_so(rotation: int, ratio: Fraction) -> None:
    make_clip("clip.mp4", 2, ratio=Fraction(4, 3), rotation=rotation)
    copied("clip.mp4")
    with av.open(str(OUT)) as container:
        assert container.streams.video[0].sample_aspect_ratio == ratio


def test_without_the_encoder_of_h264_the_older_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip("clip.mp4", [0, 3600, 9000])
    video = Video("clip.mp4")
    video.av = type("Without", (), {**vars(av), "codecs_available": {"mpeg4"}, "error": av.error})
    film = Film(OUT, video)
    for frame in video.frames():
        film.write(frame.picture, frame)
    film.close()
    with av.open(str(OUT)) as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert [float(time) for time in times_in(OUT)] == pytest.approx([0, 0.04, 0.1], abs=2 / 65535)


def test_nothing_is_written_through_a_link() -> None:
    make_clip("clip.mp4", 2)
    before = Path("clip.mp4").read_bytes()
    OUT.symlink_to("clip.mp4")
    copied("clip.mp4")
    assert not OUT.is_symlink()
    assert Path("clip.mp4").read_bytes() == before


def test_of_a_killed_process_all_but_the_last_seconds_can_be_played() -> None:
    """What is on the disk when the file was not closed: a keyframe comes every 50 frames."""
    make_clip("clip.mp4", [90000 + 3600 * number for number in range(200)])
    video = Video("clip.mp4")
    film = Film(OUT, video)
    for frame in video.frames():
        film.write(frame.picture, frame)
    Path("killed.mp4").write_bytes(OUT.read_bytes())
    film.close()
    kept = times_in("killed.mp4")
    assert 100 <= len(kept) < 200
    assert kept == times_in("clip.mp4")[: len(kept)]
    assert len(times_in(OUT)) == 200


def test_without_a_frame_there_is_no_file() -> None:
    make_clip("clip.mp4", 2)
    Film(OUT, Video("clip.mp4")).close()
    assert not OUT.exists()


def test_a_place_where_nothing_can_be_written() -> None:
    make_clip("clip.mp4", 2)
    video = Video("clip.mp4")
    film = Film(Path("none/out.mp4"), video)
    with pytest.raises(InputError, match=r"^none/out\.mp4: cannot be written \(No such file or directory\)"):
        _write_all(film, list(video.frames()))


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_one_line() -> None:
    make_clip("clip.mp4", 20)
    video = Video("clip.mp4")
    film = Film(Path("/dev/full"), video)
    frames = list(video.frames())
    film._begin = lambda size: None  # type: ignore[method-assign]  # the device is not to be removed
    film.container = av.open("/dev/full", "w", format="mp4")
    film.stream, film.size = film._add_video((96, 64)), (96, 64)
    with pytest.raises(InputError, match=r"^/dev/full: cannot be written \("):
        _write_all(film, frames)


def _write_all(film: Film, frames: list[Any]) -> None:
    for frame in frames:
        film.write(frame.picture, frame)
    film.close()
