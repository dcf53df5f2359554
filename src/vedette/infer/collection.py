"""A large collection of pictures in parts, each of which becomes one file of rows when all its pictures are done.

Which pictures are a part stands fixed from the beginning, in `collection.json`, so a part that is done twice, because a
process was killed or because it was slow to hear of its end, is the same file: no picture has two rows, or none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from vedette.errors import InputError

RECORD = "collection.json"
MOST, LEAST_PARTS = 256, 4  # pictures of a part; parts for each that works on them


@dataclass(frozen=True)
class Collection:
    """files: all pictures, as they were named; size: pictures of a part; settings: what decides on the results."""

    out: Path
    files: Sequence[str]
    size: int
    settings: Mapping[str, Any]

    @property
    def count(self) -> int:
        """How many parts there are."""
        return -(-len(self.files) // self.size)

    def files_of(self, part: int) -> Sequence[str]:
        """Those of a part, from 0 on."""
        return self.files[part * self.size : (part + 1) * self.size]

    def path(self, part: int) -> Path:
        """Where its rows are, once they are."""
        return part_path(self.out, part)

    def left(self) -> list[int]:
        """The parts that are not done."""
        from vedette.infer.parquet import count_rows

        return [part for part in range(self.count) if count_rows(self.path(part)) != len(self.files_of(part))]

    def write(self) -> None:
        """Makes the folder and the record, before anything is done."""
        from vedette.data.atomic import write_text

        told = {"settings": dict(self.settings), "size": self.size, "files": [*self.files]}
        write_text(self.out / RECORD, json.dumps(told) + "\n")  # in ASCII: a name may hold any byte


def part_path(out: Path, part: int) -> Path:
    """The file of rows of a part."""
    return out / f"part-{part:06}.parquet"


def divided(out: Path, files: Sequence[str], settings: Mapping[str, Any], workers: int) -> Collection:
    """A new collection, in parts for so many workers."""
    size = min(MOST, max(1, -(-len(files) // (LEAST_PARTS * workers))))
    return Collection(out, files, size, settings)


def read(out: Path) -> Collection | None:
    """That of a folder, None where there is none. Raises InputError for a record that is not of this kind."""
    try:
        told = json.loads((out / RECORD).read_text(encoding="utf-8"))
        return Collection(out, told["files"], told["size"], told["settings"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{out / RECORD}: is no record of a collection; give another folder") from None


@dataclass(frozen=True)
class Job:
    """What a worker needs to know; its names mean the same on every machine of a cluster."""

    out: Path
    weights: str
    settings: Mapping[str, Any]  # score (or "default", the weights' own), bf16, nms, scales, flip, vote
    device: str | None = None
    trust: bool = False
    batch_size: int = 8


class Looker:
    """A worker: loads the detector once, then does part after part."""

    def __init__(self, job: Job) -> None:
        from vedette.infer.load import load
        from vedette.infer.multiscale import plan_passes
        from vedette.infer.scores import least_scores

        self.job, asked = job, job.settings
        config = {} if asked["nms"] is None else {"nms": asked["nms"]}
        self.detector = load(job.weights, job.device, trust=job.trust, **config)
        self.least = least_scores(self.detector, None if asked["score"] == "default" else asked["score"])
        how = (asked["scales"], asked["flip"], asked["vote"], job.batch_size)
        self.passes = plan_passes(self.detector.input_spec, *how)

    def look(self, part: int, files: Sequence[tuple[str, str]]) -> None:
        """Writes the rows of a part. files: each picture's name, and the path that it is read from."""
        from vedette.infer.files import detect_files
        from vedette.infer.parquet import Row, row_of, write_rows

        least, bf16 = self.least, self.job.settings["bf16"]
        names, rows = iter([name for name, _ in files]), list[Row]()
        for found in detect_files(self.detector, [path for _, path in files], self.passes, least, bf16):
            rows += [row_of(name, found.pop(0)) for name in islice(names, len(found))]
        write_rows(part_path(self.job.out, part), rows, self.job.settings)


def absolute(files: Sequence[str]) -> list[tuple[str, str]]:
    """Names with the paths that other processes know them by, wherever these were started."""
    return [(file, os.path.abspath(file)) for file in files]
