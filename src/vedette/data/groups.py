"""Which images belong together: those of a folder, of a video, and copies of one picture."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vedette.errors import InputError

FOLDER = "folder"


def group_images(files: Sequence[str], by: str | None) -> tuple[NDArray[np.int64], int]:
    """(N,) the group of each image, 0, 1, … in the order of their first coming, and how many `by` says nothing of.

    by: "folder", or a regular expression, searched for in the file's name, whose first group is the key. Files of the
    same bytes are always together, and so is what either of them belongs to.

    Raises InputError for an expression that cannot be one, has no group or finds nothing.
    """
    keys = [_folder_key(file) for file in files] if by == FOLDER else _matched(files, by) if by else [None] * len(files)
    parent = list(range(len(files)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for members in [*_alike(keys), *_copies(files)]:
        for one in members[1:]:
            parent[root(one)] = root(members[0])
    numbers: dict[int, int] = {}
    groups = [numbers.setdefault(root(index), len(numbers)) for index in range(len(files))]
    return np.array(groups, dtype=np.int64), sum(key is None for key in keys) if by else 0


def _folder_key(file: str) -> str | None:
    return os.path.dirname(os.path.abspath(file))


def _matched(files: Sequence[str], pattern: str) -> list[str | None]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--group-by {pattern!r}: not a regular expression ({error})") from None
    if not expression.groups:
        raise InputError(f"--group-by {pattern!r}: put what images of a group share in brackets, as in '(.*)_[0-9]+'")
    found = [expression.search(Path(file).name) for file in files]
    keys = [match[1] if match else None for match in found]
    if not any(key is not None for key in keys):
        raise InputError(f"--group-by {pattern!r}: is found in no file's name, such as {Path(files[0]).name}")
    return keys


def _copies(files: Sequence[str]) -> Iterable[list[int]]:
    """The indices of files with the same bytes: those of one length are read."""
    for members in _alike([os.path.getsize(file) for file in files]):
        digests = [hashlib.sha256(Path(files[index]).read_bytes()).digest() for index in members]
        yield from ([members[place] for place in places] for places in _alike(digests))


def _alike(keys: Sequence[Hashable]) -> Iterable[list[int]]:
    """The indices that share a key, where several do."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        if key is not None:
            members[key].append(index)
    return [indices for indices in members.values() if len(indices) > 1]
