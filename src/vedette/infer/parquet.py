"""What is found in pictures as Parquet: a row a picture. Needs pyarrow, which the extra `scale` brings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vedette.data.atomic import write_whole
from vedette.errors import InputError
from vedette.structures import Detections

Row = dict[str, Any]
SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),  # as it was named
        ("width", pa.int32()),  # pixels, after EXIF rotation; null where there is an error
        ("height", pa.int32()),
        ("boxes", pa.list_(pa.list_(pa.float32(), 4))),  # x1 y1 x2 y2 in these pixels, the best first
        ("scores", pa.list_(pa.float32())),
        ("labels", pa.list_(pa.int64())),  # 0..C-1
        ("names", pa.list_(pa.string())),
        ("error", pa.string()),  # why it could not be looked at, else null
    ]
)
SETTINGS = b"vedette"  # the key in a file's metadata: how it was asked, as JSON


def row_of(file: str, found: Detections | InputError) -> Row:
    """The row of one picture, or of a file that could not be read."""
    row: Row = {"file": readable(file)}
    if isinstance(found, InputError):
        return row | {"error": readable(str(found))}
    if found.image is not None:
        row |= {"width": found.image.width, "height": found.image.height}
    columns = {name: getattr(found, name).tolist() for name in ("boxes", "scores", "labels")}
    return row | columns | {"names": list(found.names)}


def readable(name: str) -> str:
    """A file's name as text: a byte that is no letter becomes an escape."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def write_rows(path: Path, rows: Sequence[Row], settings: Mapping[str, Any]) -> None:
    """Writes a file of them, whole or not at all. Raises InputError where that cannot be."""
    schema = SCHEMA.with_metadata({SETTINGS: json.dumps(settings)})
    table = pa.Table.from_pylist(list(rows), schema)
    write_whole(path, lambda file: pq.write_table(table, file, compression="zstd"))


def count_rows(path: Path) -> int:
    """How many rows a file has; 0 where it is not there, or not whole."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException):
        return 0


def count_found(path: Path) -> tuple[int, list[str]]:
    """The detections in a file, and its errors."""
    table = pq.read_table(path, columns=["scores", "error"])
    found = pc.sum(pc.list_value_length(table["scores"])).as_py() or 0
    return int(found), pc.drop_null(table["error"]).to_pylist()
