"""A collection in parts: which are left, what stands in their files, and that doing one twice changes nothing."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("pyarrow")

import pyarrow.parquet as pq

from cli.upper_left import load
from vedette.errors import InputError
from vedette.infer.collection import RECORD, Collection, Job, Looker, absolute, divided, read
from vedette.infer.parquet import SCHEMA, count_found, count_rows, readable, row_of, write_rows

SETTINGS: dict[str, Any] = {
    "model": "small",
    "score": 0.5,
    "bf16": False,
    "nms": None,
    "scales": None,
    "flip": False,
    "vote": False,
}


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Five, the fourth of which is none."""
    monkeypatch.setattr("vedette.infer.load.load", load)
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        Image.new("RGB", (40 + number, 20)).save(f"{number}.png")
    Path("3.png").write_text("no picture")
    return [f"{number}.png" for number in range(5)]


def test_parts_hold_every_picture_once_in_their_order() -> None:
    files = [str(number) for number in range(10)]
    parts = Collection(Path("out"), files, 4, {})
    assert parts.count == 3
    assert [parts.files_of(part) for part in range(3)] == [files[:4], files[4:8], files[8:]]
    assert parts.path(2) == Path("out/part-000002.parquet")


@pytest.mark.parametrize(("count", "workers", "size"), [(2000, 1, 256), (2000, 4, 125), (40, 1, 10), (3, 8, 1)])
def test_there_are_several_parts_for_each_worker(count: int, workers: int, size: int) -> None:
    assert divided(Path("out"), ["x"] * count, {}, workers).size == size


def test_a_row_a_picture_and_for_one_that_cannot_be_read_its_error(pictures: list[str]) -> None:
    Looker(Job(Path("out"), "first", SETTINGS)).look(0, absolute(pictures))
    table = pq.read_table("out/part-000000.parquet")
    assert table.schema.equals(SCHEMA)
    assert json.loads(table.schema.metadata[b"vedette"]) == SETTINGS
    rows = table.to_pylist()
    assert [row["file"] for row in rows] == pictures
    assert rows[1] == {
        "file": "1.png",
        "width": 41,
        "height": 20,
        "boxes": [[0, 0, 20.5, 10], [0, 0, 41, 10]],
        "scores": pytest.approx([0.9, 0.6]),
        "labels": [1, 0],
        "names": ["dog", "cat"],
        "error": None,
    }
    assert rows[3]["error"].startswith(f"{Path('3.png').resolve()}: not an image")
    assert [rows[3][name] for name in ("width", "boxes", "scores", "labels", "names")] == [None] * 5
    found, errors = count_found(Path("out/part-000000.parquet"))
    assert (found, errors) == (8, [rows[3]["error"]])


def test_what_is_left_are_the_parts_without_a_whole_file(pictures: list[str]) -> None:
    parts = Collection(Path("out"), pictures, 2, SETTINGS)
    assert parts.left() == [0, 1, 2]
    looker = Looker(Job(Path("out"), "first", SETTINGS))
    looker.look(1, absolute(parts.files_of(1)))
    assert parts.left() == [0, 2]
    looker.look(1, absolute(parts.files_of(1)))  # as a worker may that was slow to hear of its end
    assert count_rows(parts.path(1)) == 2
    whole = parts.path(1).read_bytes()
    for content in (whole[:-20], b"", b"no Parquet"):
        parts.path(1).write_bytes(content)
        assert parts.left() == [0, 1, 2]
    looker.look(0, absolute(parts.files_of(1)[:1]))
    assert 0 in parts.left()  # a row is missing


def test_the_record_keeps_names_of_any_bytes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    Collection(tmp_path, [name, "a\nb.jpg"], 1, {"score": 0.5}).write()
    again = read(tmp_path)
    assert again == Collection(tmp_path, [name, "a\nb.jpg"], 1, {"score": 0.5})
    assert readable(name) == "caf\\xe9.jpg"
    write_rows(tmp_path / "rows.parquet", [row_of(name, InputError(f"{name}: bad"))], {})
    assert pq.read_table(tmp_path / "rows.parquet")["error"].to_pylist() == ["caf\\xe9.jpg: bad"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": 1'])
def test_a_record_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    assert read(tmp_path) is None
    (tmp_path / RECORD).write_text(content)
    with pytest.raises(InputError, match=r"collection\.json: is no record of a collection; give another folder"):
        read(tmp_path)


def test_rows_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_rows(tmp_path / "file" / "rows.parquet", [], {})
