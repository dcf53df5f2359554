"""`vedette detect` on videos, cameras and streams, as a person runs it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("av")

from cli.upper_left import WAIT, load
from infer.clips import make_clip, pictures_in, times_in
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
    assert abs(drawn[40:].astype(int) - given[40:]).max() < 20
