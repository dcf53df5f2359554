"""Files that are there whole or not at all."""

import json
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from vedette.data.atomic import write_json, write_whole
from vedette.errors import InputError


def test_a_folder_is_made_and_nothing_else_is_left_in_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.bin"
    write_whole(file, lambda stream: stream.write(b"first"))
    write_whole(file, lambda stream: stream.write(b"second"))
    assert file.read_bytes() == b"second"
    assert list(file.parent.iterdir()) == [file]


def test_what_stops_in_the_middle_leaves_the_file_of_before(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    write_whole(file, lambda stream: stream.write(b"whole"))

    def stop(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(file, stop)
    assert file.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [file]


def test_where_nothing_can_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/a\.json: cannot be written \(File exists\)$"):
        write_json(tmp_path / "file" / "a.json", 1)
    with pytest.raises(InputError, match=r": cannot be written \(Is a directory\)$"):
        write_json(tmp_path, 1)


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_json(pipe, [1])
    assert json.loads(os.read(reader, 100)) == [1]
    os.close(reader)
    assert not pipe.is_file()


def test_json_is_readable_and_holds_names_of_any_bytes(tmp_path: Path) -> None:
    content = {"Straße": os.fsdecode(b"\xff.jpg")}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "Straße" in text
    assert json.loads(text) == content
