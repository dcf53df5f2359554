"""`vedette detect` on videos, cameras and streams, as a person runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")

from cli.upper_left import WAIT, load
from infer.clips import make_clip, pictures_in, times_in
from infer.streams import sent_over_http, sent_over_tcp
from vedette.cli.main import run

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder of its own, and a detector that finds two things in every picture."""
    monkeypatch.setattr("vedette.infer.load.load", load)
    monkeypatch.chdir(tmp_path)


def frames(name: str = "detections/clip.frames.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def rows(folder: str = "detections") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "detections.jsonl").read_text().splitlines()]


def test_a_clip(capsys: Captured) -> None:
    make_clip("clip.mp4", 5)
    assert run(["detect", "clip.mp4"]) == 0
    written = capsys.readouterr()
    assert written.out == "clip.mp4: 5 frames, 10 detections: dog 5, cat 5\n1 video, 10 detections: see detections/\n"
    assert written.err == ""
    assert times_in("detections/clip.mp4") == times_in("clip.mp4")
    assert frames()[1] == {
        "file_name": "clip.mp4",
        "frame": 1,
        "time": 0.04,
        "width": 96,
        "height": 64,
        "detections": [
            {"category_id": 18, "bbox": [0, 0, 48, 32], "score": pytest.approx(0.9), "class_name": "dog"},
            {"category_id": 17, "bbox": [0, 0, 96, 32], "score": pytest.approx(0.6), "class_name": "cat"},
        ],
    }
    assert [row["frame"] for row in frames()] == [0, 1, 2, 3, 4]
    assert rows() == [
        {
            "file_name": "clip.mp4",
            "source": str(Path("clip.mp4").resolve()),
            "output": "clip.mp4",
            "frames": 5,
            "looked": 5,
            "found": 10,
        }
    ]
    drawn, given = pictures_in("detections/clip.mp4")[0], pictures_in("clip.mp4")[0]
    assert abs(drawn[:32].astype(int) - given[:32]).max() > 100
    assert abs(drawn[56:, 72:].astype(int) - given[56:, 72:]).max() < 20  # where no caption stands


def test_between_looks_the_last_boxes_are_shown(capsys: Captured) -> None:
    make_clip("clip.mp4", 8)
    assert run(["detect", "clip.mp4", "--every", "3"]) == 0
    assert capsys.readouterr().out.startswith("clip.mp4: 8 frames, 3 looked at, 6 detections: dog 3, cat 3\n")
    assert [row["frame"] for row in frames()] == [0, 3, 6]
    drawn, given = pictures_in("detections/clip.mp4"), pictures_in("clip.mp4")
    assert len(drawn) == 8
    assert all(abs(one[:32].astype(int) - other[:32]).max() > 100 for one, other in zip(drawn, given, strict=True))


def test_tracks(capsys: Captured) -> None:
    pytest.importorskip("scipy")
    make_clip("clip.mp4", 4)
    assert run(["detect", "clip.mp4", "--track"]) == 0
    assert capsys.readouterr().out.startswith("clip.mp4: 4 frames, 8 detections in 2 tracks: dog 4, cat 4\n")
    assert [[found["track"] for found in row["detections"]] for row in frames()] == [[1, 2]] * 4


def test_nothing_found(capsys: Captured) -> None:
    make_clip("clip.mp4", 2)
    assert run(["detect", "clip.mp4", "--score", "0.95"]) == 0
    assert capsys.readouterr().out.startswith("clip.mp4: 2 frames, nothing found\n1 video, 0 detections")
    assert [row["detections"] for row in frames()] == [[], []]


def test_pictures_and_videos_in_one_call(capsys: Captured) -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        make_clip(f"{folder}/clip.mp4", 2)
    Image.new("RGB", (40, 20)).save("a/clip.png")
    assert run(["detect", "a/clip.png", "a/clip.mp4", "b/clip.mp4", "a/clip.mp4"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a/clip.png: dog 0.90, cat 0.60",
        "a/clip.mp4: 2 frames, 4 detections: dog 2, cat 2",
        "b/clip.mp4: 2 frames, 4 detections: dog 2, cat 2",
        "1 image, 2 videos, 10 detections: see detections/",
    ]
    names = {path.name for path in Path("detections").iterdir()}
    assert names == {
        *("clip.jpg", "a_clip.mp4", "a_clip.frames.jsonl", "b_clip.mp4", "b_clip.frames.jsonl"),
        *("detect.json", "detections.json", "detections.jsonl"),
    }
    assert [row["output"] for row in rows()] == ["clip.jpg", "a_clip.mp4", "b_clip.mp4"]
    assert len(json.loads(Path("detections/detections.json").read_text())) == 2


def test_a_folder_stands_for_its_pictures_a_glob_for_its_videos_too(capsys: Captured) -> None:
    Path("in").mkdir()
    make_clip("in/clip.mp4", 2)
    make_clip("in/clip.ts", 10)
    Image.new("RGB", (40, 20)).save("in/a.png")
    assert run(["detect", "in", "--out", "one"]) == 0
    assert capsys.readouterr().err == "note: in: passed over 1 .mp4, 1 .ts\n"
    assert run(["detect", "in/*", "--out", "two"]) == 0
    written = capsys.readouterr()
    assert written.err == "note: in/*: passed over 1 .ts\n"
    assert written.out.endswith("1 image, 1 video, 6 detections: see two/\n")
    assert run(["detect", "in/clip.ts", "--out", "three"]) == 0


def test_a_truncated_video_is_kept_as_far_as_it_goes(capsys: Captured) -> None:
    numbers = np.random.default_rng(0)
    pictures = [numbers.integers(0, 255, (64, 96, 3), dtype=np.uint8) for _ in range(60)]
    make_clip("whole.mp4", 60, pictures=pictures, options={"movflags": "+faststart"})
    content = Path("whole.mp4").read_bytes()
    Path("clip.mp4").write_bytes(content[: len(content) // 2])
    assert run(["detect", "clip.mp4"]) == 1
    written = capsys.readouterr()
    assert written.err.startswith("error: clip.mp4: a truncated or damaged video (")
    assert written.err.count("\n") == 1
    (row,) = rows()
    assert 20 < row["frames"] == len(frames()) == len(times_in("detections/clip.mp4")) < 40
    assert written.err == f"error: {row['error']}\n"


def test_bad_videos_among_good_ones_and_alone(capsys: Captured) -> None:
    make_clip("clip.mp4", 2)
    Path("text.mp4").write_text("no video")
    assert run(["detect", "text.mp4", "none.mp4", "clip.mp4"]) == 1
    written = capsys.readouterr()
    assert written.out.splitlines()[-1] == "1 video, 4 detections: see detections/"
    assert [line.split(": ")[1] for line in written.err.splitlines()] == ["none.mp4", "text.mp4"]
    assert run(["detect", "text.mp4", "--out", "other"]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: text.mp4: not a video that can be read")
    assert written.err.count("\n") == 1


def test_of_a_video_without_one_whole_frame_nothing_is_left(capsys: Captured) -> None:
    make_clip("whole.mp4", 60, options={"movflags": "+faststart"})
    content = Path("whole.mp4").read_bytes()
    Path("clip.mp4").write_bytes(content[: content.index(b"mdat") + 4])
    assert run(["detect", "clip.mp4"]) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: clip.mp4: a truncated or damaged video (it ends after 0.0 of 2.4 seconds")
    assert {path.suffix for path in Path("detections").iterdir()} == {".json", ".jsonl"}
    assert not Path("detections/clip.frames.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png", "--track"], "--track is for videos, and none is given; leave it out"),
        (["a.png", "--every", "2"], "--every is for videos, and none is given; leave it out"),
        (["a.png", "clip.mp4", "--json"], "--json prints one list for pictures and a line a frame for videos"),
        (["clip.mp4", "--every", "0"], "Invalid value for '--every'"),
        (["clip.mp4", "--every", "two"], "Invalid value for '--every'"),
        (["97"], "97: no camera of this number"),
        (["clip.mp4", "--out", "."], "--out .: images to detect in lie there"),
    ],
)
def test_bad_options(arguments: list[str], message: str, capsys: Captured) -> None:
    Image.new("RGB", (40, 20)).save("a.png")
    make_clip("clip.mp4", 2)
    assert run(["detect", *arguments]) == 2
    written = capsys.readouterr()
    assert (written.out, written.err.count("\n")) == ("", 1)
    assert written.err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        ("av", [], 'clip.mp4: videos, cameras and streams need PyAV; pip install "vedette[video]"'),
        ("scipy.optimize", ["--track"], 'tracking needs scipy; pip install "vedette[video]"'),
    ],
)
def test_what_is_missing_is_said_in_a_line(
    module: str, arguments: list[str], message: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip("clip.mp4", 2)
    monkeypatch.setitem(sys.modules, module, None)
    assert run(["detect", "clip.mp4", *arguments]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_json_is_a_line_a_frame(capsys: Captured) -> None:
    make_clip("clip.mp4", 3)
    assert run(["detect", "clip.mp4", "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == frames()


def test_resumed_it_does_whole_videos_once(capsys: Captured) -> None:
    make_clip("a.mp4", 2)
    make_clip("b.mp4", 2)
    Path("c.mp4").write_text("no video yet")
    command = ["detect", "a.mp4", "b.mp4", "c.mp4"]
    assert run(command) == 1
    lines = Path("detections/detections.jsonl").read_text().splitlines(keepends=True)
    Path("detections/detections.json").unlink()
    Path("detections/detections.jsonl").write_text("".join([lines[0], lines[2]]))  # as if it was stopped in b.mp4
    make_clip("c.mp4", 3)
    before = Path("detections/a.mp4").stat().st_mtime_ns
    capsys.readouterr()
    assert run([*command, "--resume"]) == 0
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()[:-1]] == ["b.mp4", "c.mp4"]
    assert Path("detections/a.mp4").stat().st_mtime_ns == before
    assert run([*command, "--resume", "--every", "2"]) == 2
    assert "was begun with every 1, and now it is 2" in capsys.readouterr().err


def test_a_run_of_pictures_goes_on_with_a_video_too(capsys: Captured) -> None:
    Image.new("RGB", (40, 20)).save("a.png")
    make_clip("clip.mp4", 2)
    assert run(["detect", "a.png"]) == 0
    assert run(["detect", "a.png", "clip.mp4", "--resume", "--every", "2"]) == 0
    assert run(["detect", "a.png", "--resume"]) == 0
    capsys.readouterr()
    assert run(["detect", "a.png", "clip.mp4", "--resume"]) == 2
    assert "was begun with every 2, and now it is 1" in capsys.readouterr().err


def test_a_stream(capsys: Captured) -> None:
    make_clip("clip.ts", 10)
    with sent_over_http(Path("clip.ts").read_bytes(), known=False) as address:
        secret = address.replace("//", "//me:secret@")
        assert run(["detect", f"{secret}/live/1", "--out", "out"]) == 0
    written = capsys.readouterr()
    assert written.out.startswith(f"{address}/live/1: ")
    assert (Path("out") / "127.0.0.1_live_1.mp4").is_file()
    (row,) = rows("out")
    assert row["frames"] + row["dropped"] == 10
    kept = "".join(path.read_text() for path in Path("out").glob("*.json*"))
    assert "secret" not in kept + written.out + written.err


def test_a_recording_is_not_written_over_unasked(capsys: Captured) -> None:
    make_clip("clip.ts", 10)
    with sent_over_http(Path("clip.ts").read_bytes(), known=False) as address:
        assert run(["detect", f"{address}/live"]) == 0
        before = Path("detections/127.0.0.1_live.mp4").stat().st_mtime_ns
        capsys.readouterr()
        assert run(["detect", f"{address}/live"]) == 2
        assert capsys.readouterr().err == (
            f"error: --out detections: 127.0.0.1_live.mp4 of {address}/live is there; give another folder, or write it "
            "over with --overwrite\n"
        )
        assert Path("detections/127.0.0.1_live.mp4").stat().st_mtime_ns == before
        assert run(["detect", f"{address}/live", "--overwrite"]) == 0


def stopped(source: str, number: signal.Signals, rows: Path) -> tuple[int, str]:
    """The exit code and stderr of the command in a process of its own, stopped when ten rows were there."""
    program = (
        "import vedette.infer.load as module\n"
        "from cli.upper_left import load\n"
        "module.load = load\n"
        "import sys\n"
        "from vedette.cli.main import main\n"
        f"sys.argv = ['vedette', 'detect', {source!r}, '--batch-size', '1']\n"
        "main()\n"
    )
    environment = os.environ | {WAIT: "0.02", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (rows.is_file() and rows.read_bytes().count(b"\n") >= 10):
            time.sleep(0.02)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    return process.returncode, told.decode()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_was_written_until_it_was_stopped_plays(number: signal.Signals, code: int) -> None:
    make_clip("clip.mp4", 2000)
    returned, told = stopped("clip.mp4", number, Path("detections/clip.frames.jsonl"))
    assert returned == code
    assert told.startswith("clip.mp4: stopped after ")
    assert "Traceback" not in told
    count = len(times_in("detections/clip.mp4"))
    assert 10 <= count < 2000
    assert times_in("detections/clip.mp4") == times_in("clip.mp4")[:count]
    assert abs(len(frames()) - count) <= 1
    assert not Path("detections/detections.json").exists()


@pytest.mark.slow
def test_a_stream_is_ended_by_ctrl_c() -> None:
    make_clip("clip.ts", 400)
    with sent_over_tcp(Path("clip.ts").read_bytes(), seconds=3, stays=True) as address:
        returned, told = stopped(address, signal.SIGINT, Path("detections/127.0.0.1.frames.jsonl"))
    assert returned == 130
    assert told.startswith(f"{address}: stopped after ")
    assert len(times_in("detections/127.0.0.1.mp4")) >= 10
