"""One run, one process: who comes second is told who trains there; who was killed leaves no lock."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vedette.errors import InputError
from vedette.train.lock import HOLDER, locked

PROGRAM = """
import sys, time
from pathlib import Path
from vedette.train.lock import locked
with locked(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        who = f"process {holder.pid} on {socket.gethostname()} trains there"
        with pytest.raises(InputError, match=f"{who}; wait for it, or choose another --out"), locked(tmp_path):
            pass
        (tmp_path / HOLDER).unlink()
        with pytest.raises(InputError, match="another process trains there"), locked(tmp_path):
            pass
        os.kill(holder.pid, signal.SIGKILL)
    start = time.monotonic()
    with locked(tmp_path):
        assert time.monotonic() - start < 5
    assert not (tmp_path / HOLDER).exists()


def test_a_new_folder_stays_only_where_something_is_written(tmp_path: Path) -> None:
    with locked(tmp_path / "new" / "run"):
        assert str(os.getpid()) in (tmp_path / "new" / "run" / HOLDER).read_text()
    assert not (tmp_path / "new" / "run").exists()
    with locked(tmp_path / "run"):
        (tmp_path / "run" / "last.pt").write_text("state")
    with locked(tmp_path / "run"):
        pass
    assert (tmp_path / "run" / "last.pt").exists()


def test_the_other_processes_of_a_training_hold_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(tmp_path):
        monkeypatch.setenv("RANK", "1")
        with locked(tmp_path):
            pass
