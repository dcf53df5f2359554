import re
import socket
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("av")

from infer.clips import TICKS, make_clip, picture_of, times_in
from infer.streams import sent_over_http, sent_over_tcp
from vedette.errors import InputError
from vedette.infer.video import Frame, Video, _camera


def read(source: str | Path) -> list[Frame]:
    return list(Video(source).frames())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def cut(source: str, to: str, share: float) -> None:
    """The first part of a file."""
    content = Path(source).read_bytes()
    Path(to).write_bytes(content[: int(share * len(content))])


def noise(count: int) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Pictures that take room, so that a cut file ends among them."""
    numbers = np.random.default_rng(0)
    return [numbers.integers(0, 255, (64, 96, 3), dtype=np.uint8) for _ in range(count)]


def test_numbers_times_and_pictures() -> None:
    make_clip("clip.mp4", 4)
    frames = read("clip.mp4")
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    assert [frame.time for frame in frames] == [0, 0.04, 0.08, 0.12]
    assert [frame.picture.size for frame in frames] == [(96, 64)] * 4
    for number, frame in enumerate(frames):
        assert abs(np.asarray(frame.picture).astype(int) - picture_of(number)).mean() < 3


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv", "clip.ts", "clip.avi"])
def test_times_are_the_videos_own(name: str) -> None:
    make_clip(name, 6, codec="mpeg4" if name.endswith("avi") else "libx264")
    assert [Fraction(frame.time).limit_denominator(90000) for frame in read(name)] == times_in(name)


def test_times_that_vary_and_begin_late() -> None:
    stamps = make_clip("clip.mp4", [27000, 30000, 33001, 90000, 90001])
    assert [frame.stamp for frame in read("clip.mp4")] == stamps
    assert read("clip.mp4")[0].time == 0.3


def test_frames_without_times_get_them_from_the_rate() -> None:
    make_clip("clip.m4v", 5, codec="mpeg4", form="m4v")
    frames = read("clip.m4v")
    steps = [after.time - before.time for before, after in pairwise(frames)]
    assert len(frames) == 5
    assert steps == pytest.approx([0.04] * 4)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_a_phones_rotation_is_applied(rotation: int) -> None:
    make_clip("clip.mp4", 1, rotation=rotation)
    (frame,) = read("clip.mp4")
    expected = np.rot90(picture_of(0), rotation // 90)
    assert abs(np.asarray(frame.picture).astype(int) - expected).mean() < 3


def test_sound_comes_along_whole() -> None:
    make_clip("clip.mp4", 50, sound=True)
    video = Video("clip.mp4")
    packets = [packet for frame in video.frames() for packet in frame.sound] + list(video.rest)
    assert len(packets) == 17  # two seconds, with the encoder's first and last
    assert video.faults == []


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
def test_of_a_truncated_video_what_can_be_decoded_is_kept(name: str) -> None:
    options = {"movflags": "+faststart"} if name.endswith("mp4") else {}
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    make_clip("whole" + name, 100, codec=codec, pictures=noise(100), options=options)
    cut("whole" + name, name, 0.6)
    video = Video(name)
    frames = list(video.frames())
    assert 50 < len(frames) < 62
    (fault,) = video.faults
    assert fault.startswith(f"{name}: a truncated or damaged video (")
    assert fault.endswith("what could be decoded was looked at")
    whole = Video("whole" + name)
    assert len(list(whole.frames())) == 100
    assert whole.faults == []


def test_damaged_frames_are_counted() -> None:
    make_clip("clip.mp4", 100, pictures=noise(100))
    content = bytearray(Path("clip.mp4").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 3000] = np.random.default_rng(1).bytes(3000)  # a frame and more
    Path("clip.mp4").write_bytes(content)
    video = Video("clip.mp4")
    assert len(list(video.frames())) >= 98
    (fault,) = video.faults
    assert re.match(r"clip.mp4: a truncated or damaged video \((not decoded|damaged frames): ", fault)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mp4", None, "none.mp4: cannot be read (No such file or directory); check the file"),
        ("text.mp4", b"no video", "text.mp4: not a video that can be read, or its end is missing; replace it"),
        ("empty.mp4", b"", "empty.mp4: not a video that can be read, or its end is missing; replace it"),
    ],
)
def test_what_is_no_video(name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        Video(name)
    assert str(caught.value) == message


def test_sound_alone_is_no_video() -> None:
    av = pytest.importorskip("av")
    with av.open("tone.mp4", "w") as container:
        tone = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(tone.encode(frame))
        container.mux(tone.encode())
    with pytest.raises(InputError, match="there are no pictures in it"):
        Video("tone.mp4")


def test_without_pyav_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r'need PyAV; pip install "vedette\[video\]"'):
        Video("clip.mp4")


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"^97: no camera of this number"):
        Video(97)


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("linux", ("v4l2", "/dev/video1", {})),
        ("freebsd14", ("v4l2", "/dev/video1", {})),
        ("darwin", ("avfoundation", "1", {"framerate": "30"})),
        ("win32", ("dshow", "video=USB Camera", {})),
    ],
)
def test_each_system_has_its_way_to_cameras(
    system: str, expected: tuple[str, str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (("Front Camera", "video"), ("Microphone", "audio"), ("USB Camera", "video"))
    devices = [SimpleNamespace(name=name, media_types=[kind]) for name, kind in names]
    monkeypatch.setitem(sys.modules, "av.device", SimpleNamespace(enumerate_input_devices=lambda form: devices))
    monkeypatch.setattr(sys, "platform", system)
    assert _camera(1) == expected


def test_windows_counts_its_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av.device", SimpleNamespace(enumerate_input_devices=lambda form: []))
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(InputError, match="0: no camera of this number; there are 0, counted from 0"):
        _camera(0)


def test_a_stream_is_live_and_has_no_length() -> None:
    make_clip("clip.ts", 20)
    with sent_over_tcp(Path("clip.ts").read_bytes()) as address:
        video = Video(address)
        frames = list(video.frames())
    assert (video.live, video.total, len(frames), video.faults) == (True, None, 20, [])


def test_a_file_over_http_is_none() -> None:
    make_clip("clip.mp4", 20, options={"movflags": "+faststart"})
    with sent_over_http(Path("clip.mp4").read_bytes(), known=True) as address:
        video = Video(f"{address}/clip.mp4")
        assert (video.live, video.total, len(list(video.frames()))) == (False, 20, 20)
        video.close()


def test_a_stream_over_http() -> None:
    make_clip("clip.ts", 20)
    with sent_over_http(Path("clip.ts").read_bytes(), known=False) as address:
        video = Video(f"{address}/live")
        assert (video.live, len(list(video.frames())), video.faults) == (True, 20, [])
        video.close()


def test_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(InputError) as caught:
        Video(f"tcp://me:secret@127.0.0.1:{port}")
    assert str(caught.value) == (
        f"tcp://127.0.0.1:{port}: cannot be reached, or is no video (Connection refused); check the address"
    )


def test_a_colon_in_a_name_is_no_protocol() -> None:
    make_clip("file:a:b.mp4", 2)
    assert len(read("a:b.mp4")) == 2
    with pytest.raises(InputError, match="No such file"):
        Video("concat:a:b.mp4")


def test_a_stream_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.infer.video.PATIENCE", 1.0)
    make_clip("clip.ts", 100, pictures=noise(100))
    with sent_over_tcp(Path("clip.ts").read_bytes(), stays=True) as address:
        video = Video(address)
        frames = list(video.frames())
    assert len(frames) >= 99
    assert video.faults == [f"{address}: cannot be read to its end (nothing came for 1 seconds)"]


def test_stamps_are_in_the_videos_own_time_base() -> None:
    make_clip("clip.mp4", 3)
    video = Video("clip.mp4")
    assert video.time_base == TICKS
    assert [frame.stamp for frame in video.frames()] == [0, 3600, 7200]
