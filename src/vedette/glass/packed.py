"""A portable trace in as few bytes as a page unpacks by itself: gzip in base64.

    [uint32: length of the head][head: JSON][bytes of the columns]

In the head a column is {"type", "at", "shape"}: where its bytes begin behind the head; with "rises" its numbers are
differences to those so many places before, wrapped around in sixteen bits: boxes of neighbouring anchors are nearly the
same. Columns that are equal stand there once.
"""

import gzip
import json
from base64 import b64decode, b64encode
from typing import Any

import numpy as np

RISE = 12  # numbers from a box to the one of the same shape in the next cell, where these have three
ALIGNED = 8  # bytes: typed arrays begin at multiples of their numbers' size


def pack(content: Any) -> str:
    """Content that `json` writes, with columns as `vedette.glass.columns` makes them."""
    columns: dict[bytes, int] = {}
    head = json.dumps(_head(content, columns), separators=(",", ":")).encode("ascii")
    head = head.ljust(_whole(len(head) + 4) - 4)
    body = b"".join(raw.ljust(_whole(len(raw)), b"\0") for raw in columns)
    return b64encode(gzip.compress(len(head).to_bytes(4, "little") + head + body, mtime=0)).decode("ascii")


def _head(value: Any, columns: dict[bytes, int]) -> Any:
    """The value with its columns taken out, each into `columns` with its place there."""
    if isinstance(value, list):
        return [_head(one, columns) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() >= {"type", "shape", "data"}:
        return _entry(value, columns)
    return {name: _head(one, columns) for name, one in value.items()}


def _entry(column: dict[str, Any], columns: dict[bytes, int]) -> dict[str, Any]:
    raw, rises = b64decode(column["data"]), {}
    if column["type"] == "int16":
        values = np.frombuffer(raw, "<i2").copy()
        values[RISE:] -= values[:-RISE].copy()
        raw, rises = values.tobytes(), {"rises": RISE}
    at = columns.setdefault(raw, sum(_whole(len(one)) for one in columns))
    return {name: one for name, one in column.items() if name != "data"} | {"at": at} | rises


def _whole(length: int) -> int:
    """Bytes up to the next place where a column may begin."""
    return -(-length // ALIGNED) * ALIGNED
