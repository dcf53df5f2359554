"""What the comparisons of trained detectors share: `vedette train` and `vedette evaluate`, once a row of a table."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """A line of a table: the detector and what is changed about it."""

    key: str  # the folder of its run
    title: str
    model: str
    settings: tuple[str, ...] = ()


def command(*words: str) -> float:
    """Runs `vedette`, ends where it fails; the most memory that it held, in GiB."""
    process = subprocess.Popen([str(Path(sys.executable).parent / "vedette"), *words])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"vedette {' '.join(words)} failed")
    return usage.ru_maxrss / 2**20


def train(row: Row, folder: Path, data: str, options: Sequence[str]) -> dict[str, Any]:
    """One run, or what is left of it; its peak memory in GiB, and its seconds, unknown of one that was interrupted."""
    file = folder / "cost.json"
    if not file.is_file():
        words = ["train", row.model, "--data", data, "--out", str(folder), *options]
        words += [word for setting in row.settings for word in ("--set", setting)]
        resumed = (folder / "last.pt").exists()
        start = time.perf_counter()
        peak = command(*words, *(["--resume"] if resumed else []))
        seconds = None if resumed else time.perf_counter() - start
        file.write_text(json.dumps({"peak_gib": peak, "seconds": seconds}))
    cost: dict[str, Any] = json.loads(file.read_text())
    return cost


def epochs_of(folder: Path) -> list[dict[str, Any]]:
    """What the run wrote of each epoch."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def evaluate(folder: Path, data: str, metric: str) -> dict[str, Any]:
    """The numbers of one metric on the data's val, measured once."""
    file = folder / f"{metric}.json"
    if not file.is_file():
        weights = str(folder / "best.safetensors")
        command("evaluate", weights, "--data", f"{data}:val", "--metric", metric, "--bf16", "--json", str(file))
    numbers: dict[str, Any] = json.loads(file.read_text())
    return numbers
