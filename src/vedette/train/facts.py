"""What a run was made with, for whoever has to repeat it: kept in run.json, a row for each time it was gone on with."""

import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from vedette.train.processes import number_of_processes


def facts_of(device: str) -> dict[str, Any]:
    """Of this process: versions, commit, command line, device, threads, processes, the time."""
    from vedette import __version__

    kind = (
        torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor() or platform.machine()
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "vedette": __version__,
        "commit": commit_of(Path(__file__).parent),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": f"{device} ({kind})",
        "threads": torch.get_num_threads(),
        "processes": number_of_processes(),
    }


def commit_of(folder: Path) -> str | None:
    """The commit of a checkout that the folder is of, with a + where files differ from it; None elsewhere."""
    try:
        _git(folder, "ls-files", "--error-unmatch", Path(__file__).name)  # or it is the commit of what surrounds us
        found = _git(folder, "rev-parse", "--short", "HEAD")
        return found + "+" * bool(_git(folder, "status", "--porcelain", "--untracked-files=no", "."))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
