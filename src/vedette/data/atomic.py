"""Files that are written whole or not at all: a crash, a full disk or another process never leaves half of one."""

import json
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from vedette.errors import InputError


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """What `write` puts into a temporary file beside `path`, renamed once the disk has it; makes the folder.

    A file of that name stays until then. Raises InputError where the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent == Path("/dev") or (path.exists() and not path.is_file()):
            path.write_bytes(_content(write))  # a stream, which must not be put aside
        else:
            _replace(path, write)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None


def write_text(path: Path, text: str) -> None:
    """The same for text, in UTF-8; a byte of a name that is no letter becomes the escape that JSON has for it."""
    content = text.encode("utf-8", "backslashreplace")
    write_whole(path, lambda file: file.write(content))


def write_json(path: Path, content: Any) -> None:
    """The same for a value as JSON, to be read by people too."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _content(write: Callable[[BinaryIO], object]) -> bytes:
    memory = BytesIO()
    write(memory)
    return memory.getvalue()
