"""Pictures that are learnt from and measured on: a model looks better on them than it is."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from vedette.data.files import real_path
from vedette.data.findings import Finding

LEARNT, MEASURED = (
    re.compile(r"train(?!val)"),
    re.compile(r"val|test"),
)  # how their names begin; trainval is meant to hold both


def learnt_and_measured(files: Mapping[str, Iterable[str]], unreadable: Collection[str]) -> Iterator[Finding]:
    """One finding for each picture of a split to measure on whose file is in the split to train on, byte for byte.

    files: those of each split, by its name.
    """
    learnt: dict[int, dict[str, str]] = {}  # file → split, by the files' sizes, so that few are read
    for split in filter(LEARNT.match, files):
        for file in _whole(files[split], unreadable):
            learnt.setdefault(os.path.getsize(file), {})[file] = split
    digests: dict[str, bytes] = {}
    for split in filter(MEASURED.match, files):
        for file in _whole(files[split], unreadable):
            of_that_size = learnt.get(os.path.getsize(file), {})
            same = next((one for one in of_that_size if _is_same(one, file, digests)), None)
            if same is not None:
                detail = f"in the split {split}, and in the split {of_that_size[same]} as {same}"
                yield Finding("picture in two splits", file, detail)


def _whole(files: Iterable[str], unreadable: Collection[str]) -> list[str]:
    return [file for file in files if file not in unreadable]


def _is_same(one: str, other: str, digests: dict[str, bytes]) -> bool:
    if real_path(one) == real_path(other):
        return True
    for file in (one, other):
        if file not in digests:
            digests[file] = sha256(Path(file).read_bytes()).digest()
    return digests[one] == digests[other]
