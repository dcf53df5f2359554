"""What the comparisons of trained detectors share: `vedette train` and `vedette evaluate`, once a row of a table."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vedette


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
    """One run, or what is left of it; its peak memory in GiB and its seconds, unknown of one that was interrupted.

    Ends where the folder holds a run of other options, or of other code: a row is of one version of both.
    """
    file, begun = folder / "cost.json", folder / "begun.json"
    words = ["train", row.model, "--data", data, "--out", str(folder), *options]
    words += [word for setting in row.settings for word in ("--set", setting)]
    run = {"words": words, "code": code()}
    if folder.exists() and (not begun.is_file() or json.loads(begun.read_text()) != run):
        sys.exit(f"{folder}: begun with other options or other code; give these again, or another --out")
    if not file.is_file():
        resumed = (folder / "last.pt").exists()
        folder.mkdir(parents=True, exist_ok=True)
        begun.write_text(json.dumps(run))
        start = time.perf_counter()
        peak = command(*words, *(["--resume"] if resumed else []))
        known = {"peak_gib": peak, "seconds": time.perf_counter() - start}
        file.write_text(json.dumps(dict.fromkeys(known) if resumed else known))
    cost: dict[str, Any] = json.loads(file.read_text())
    return cost


def code() -> str:
    """A digest of the library's source."""
    package = Path(vedette.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(str(file.relative_to(package)).encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def epochs_of(folder: Path) -> list[dict[str, Any]]:
    """What the run wrote of each epoch."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def evaluate(weights: Path, data: str, metric: str) -> dict[str, Any]:
    """The numbers of one metric on the data's val, measured once."""
    file = weights.parent / f"{weights.stem}-{metric}.json"
    if not file.is_file():
        words = ["evaluate", str(weights), "--data", f"{data}:val", "--metric", metric]
        command(*words, "--bf16", "--workers", "1", "--json", str(file))
    numbers: dict[str, Any] = json.loads(file.read_text())
    return numbers
