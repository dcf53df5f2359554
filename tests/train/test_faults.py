"""What happens to trainings: full disks, killed workers, vanished pictures, signals. One line, and nothing is lost."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.test_train import MODEL, write_data
from vedette.train.checkpoint import read_state
from vedette.train.run_file import Run

pytestmark = pytest.mark.slow  # each starts programs
WORDS = ["--backbone", "random", "--device", "cpu", "--precision", "fp32", "--batch-size", "2", "--save-every", "1"]
SMALL = ["--set", "image_size=64", "--set", "tcb_channels=8", "--set", "extra_channels=[8,16]"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data")


def begun(data: Path, out: Path, *more: str, before: Callable[[], None] | None = None) -> "subprocess.Popen[str]":
    program = "from vedette.cli.main import main; main()"
    command = [sys.executable, "-c", program, "train", MODEL, "--data", str(data), "--out", str(out)]
    words = [*command, *WORDS, *SMALL, *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before)  # noqa: PLW1509


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """The exit code and the last line of what it said on stderr, of which none is a traceback."""
    _, error = process.communicate(timeout=120)
    assert "Traceback" not in error, error
    return process.returncode, error.strip().splitlines()[-1] if error.strip() else ""


def wait_for(file: Path, process: "subprocess.Popen[str]") -> None:
    start = time.monotonic()
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - start < 60
        time.sleep(0.01)


def test_a_full_disk_is_one_line_and_the_run_goes_on_later(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert ended(begun(data, out, "--epochs", "1", "--workers", "0"))[0] == 0
    steps, size = read_state(out / "last.pt")["steps"], (out / "last.pt").stat().st_size

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    code, line = ended(begun(data, out, "--epochs", "2", "--workers", "0", "--resume", before=full))
    assert code == 2
    assert "last.pt: cannot be written (File too large)" in line
    assert read_state(out / "last.pt")["steps"] == steps
    assert [file.name for file in out.glob(".*") if file.name != ".lock"] == []
    assert ended(begun(data, out, "--epochs", "2", "--workers", "0", "--resume"))[0] == 0


def test_a_folder_that_cannot_be_written(data: Path) -> None:
    code, line = ended(begun(data, Path("/proc/run"), "--epochs", "1", "--workers", "0"))
    assert code == 2
    assert "--out /proc/run: nothing can be written in /proc" in line


def test_a_killed_worker_is_one_line_and_costs_no_step(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = begun(data, out, "--epochs", "500", "--workers", "1")
    wait_for(out / "last.pt", process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (worker,) = (int(child) for child in children if b"main()" in Path(f"/proc/{child}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    code, line = ended(process)
    assert code == 2
    assert "a process that loads images was killed" in line
    steps = read_state(out / "last.pt")["steps"]
    assert steps > 0
    assert ended(begun(data, out, "--epochs", f"{steps // 2 + 1}", "--workers", "0", "--resume"))[0] == 0


def test_a_picture_that_vanishes_is_named(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = begun(data, out, "--epochs", "500", "--workers", "0")
    wait_for(out / "last.pt", process)
    victim = sorted((data / "images").iterdir())[0]
    victim.unlink()
    code, line = ended(process)
    assert code == 2
    assert victim.name in line
    assert read_state(out / "last.pt")["steps"] > 0


@pytest.mark.parametrize("group", [False, True], ids=["process", "group"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_says_how_to_go_on(data: Path, tmp_path: Path, number: int, code: int, group: bool) -> None:
    """Terminals, `timeout` and many schedulers signal the whole group, the processes that load images among it."""
    out = tmp_path / "run"
    process = begun(data, out, "--epochs", "500", "--workers", "1", before=os.setsid)
    wait_for(out / "last.pt", process)
    (os.killpg if group else os.kill)(process.pid, number)
    said, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "which is saved: go on with --resume" in said
    assert "Traceback" not in error
    assert Run.read(out).sessions[0]["command"].endswith("--workers 1")
    assert json.loads((out / "run.json").read_text())["images"] == 5


def test_a_second_run_in_the_folder_is_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = begun(data, out, "--epochs", "500", "--workers", "0")
    wait_for(out / "last.pt", process)
    code, line = ended(begun(data, out, "--epochs", "500", "--workers", "0", "--resume"))
    assert code == 2
    assert f"process {process.pid} on " in line
    process.kill()
    process.communicate()
