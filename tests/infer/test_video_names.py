from pathlib import Path

import pytest

from vedette.infer.video_names import is_camera, is_video, stem_of, without_password


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        *[("clip.mp4", True), ("a/CLIP.MOV", True), ("0", True), ("12", True), ("rtsp://camera/live", True)],
        *[("HTTP://host/a.jpg", True), ("udp://127.0.0.1:5000", True), ("photo.jpg", False), ("mp4", False)],
        *[("", False), ("-1", False), ("½", False), ("file.txt", False)],
    ],
)
def test_what_a_video_is(source: str, expected: bool) -> None:
    assert is_video(source) is expected


def test_a_file_with_a_number_for_a_name_is_no_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_camera("0")
    Path("0").touch()
    assert not is_camera("0")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://me:se%40cret@camera:554/live?channel=1", "rtsp://camera:554/live?channel=1"),
        ("rtsp://camera/live", "rtsp://camera/live"),
        ("http://a:b@c@host/x", "http://host/x"),
        ("me:secret@clip.mp4", "me:secret@clip.mp4"),
    ],
)
def test_a_password_is_not_shown(source: str, shown: str) -> None:
    assert without_password(source) == shown


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        *[
            ("a/clip.mp4", "clip"),
            ("0", "camera0"),
            ("rtsp://me:secret@camera.local:554/live/1", "camera.local_live_1"),
        ],
        *[("udp://@:5000", "stream"), ("http://host/../../x.m3u8?key=1", "host_.._.._x.m3u8")],
    ],
)
def test_what_a_file_is_called(source: str, stem: str) -> None:
    assert stem_of(source) == stem
    assert "/" not in stem_of(source)
