"""Trainings killed at random moments come to what they would have come to."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("kills.py")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kills"), [("plain", 50), ("four-step", 20), ("rcnn", 20)])
def test_killed_again_and_again_a_run_comes_to_the_same(kind: str, kills: int) -> None:
    if kind == "rcnn":
        pytest.importorskip("cv2")
        pytest.importorskip("sklearn")
    command = [sys.executable, str(PROGRAM), kind, "--kills", str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kind}: {kills} kills in " in done.stdout
