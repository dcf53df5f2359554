"""Files that are there whole or not at all."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from vedette.data.atomic import whole_folder, write_json, write_whole
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


def test_a_full_disk_is_told_of_the_folder_that_is_asked_for(tmp_path: Path) -> None:
    """Not of the picture that was copied, which is whole, nor of the folder of another name that nobody knows."""
    out = tmp_path / "out"
    full = OSError(errno.ENOSPC, "No space left on device", "/photos/1.jpg")
    with pytest.raises(InputError) as told, whole_folder(out):
        raise full
    assert str(told.value) == f"{out}: No space left on device; {out} is not written"
    with pytest.raises(InputError) as told, whole_folder(out) as folder:
        write_json(folder / ("x" * 300), {})
    assert str(told.value).startswith(f"{out / ('x' * 300)}: cannot be written")
    assert list(tmp_path.iterdir()) == []


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


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_else(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    names = {
        "gone": [f".a.bin.{dead.pid}", f".a.bin.{2**40}"],
        "kept": [f".a.bin.{os.getppid()}", ".a.bin.old", f".b.bin.{dead.pid}", f".aXbin.{dead.pid}"],
    }
    for name in (*names["gone"], *names["kept"]):
        (tmp_path / name).write_text("half")
    write_whole(tmp_path / "a.bin", lambda stream: stream.write(b"whole"))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*names["kept"], "a.bin"])


def test_the_file_before_stays_under_another_name(tmp_path: Path) -> None:
    for content in (b"first", b"second", b"third"):
        write_whole(tmp_path / "a", lambda stream, content=content: stream.write(content), before=tmp_path / "b")  # type: ignore[misc]
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"third", b"second")

    def stop(stream: BinaryIO) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a", stop, before=tmp_path / "b")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"third", b"second")


def test_the_file_and_then_its_name_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    sync = os.fsync

    def remember(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    write_whole(tmp_path / "a", lambda stream: stream.write(b"1"))
    assert synced == [False, True]
