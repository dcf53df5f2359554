"""Files and folders that are written whole or not at all: a crash, a full disk, another process leave no half one."""

import errno
import glob
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from vedette.errors import InputError


def write_whole(path: Path, write: Callable[[BinaryIO], object], before: Path | None = None) -> None:
    """What `write` puts into a temporary file beside `path`, renamed once the disk has it; makes the folder.

    A file of that name stays until then, and as `before`, in the same folder, where that is given. What a killed
    process left of such a file is removed. Raises InputError where the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent == Path("/dev") or (path.exists() and not path.is_file()):
            path.write_bytes(_content(write))  # a stream, which must not be put aside
        else:
            _replace(path, write, before)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from None


def write_text(path: Path, text: str) -> None:
    """The same for text, in UTF-8; a byte of a name that is no letter becomes the escape that JSON has for it."""
    content = text.encode("utf-8", "backslashreplace")
    write_whole(path, lambda file: file.write(content))


def write_json(path: Path, content: Any) -> None:
    """The same for a value as JSON, to be read by people too."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path` to write into, which becomes `path` at the end; removed where that is not reached.

    What a killed process left of such a folder is removed. Raises InputError where `path` is there and is no empty
    folder, and where nothing can be written.
    """
    refuse_filled(path)
    place = Path(os.path.realpath(path))
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(place)
        temporary.mkdir()
        yield temporary
        if hasattr(os, "sync"):
            os.sync()  # once: asking the disk for each of many small files would take longer than writing them
        if place.exists():
            place.rmdir()
        temporary.rename(place)
        _sync(place.parent)
    except InputError as error:  # of a file in it
        raise InputError(str(error).replace(str(temporary), str(path))) from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)  # whatever file was being copied
        file = path if full else error.filename or path
        raise InputError(f"{file}: {error.strerror or error}; {path} is not written") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_filled(path: Path) -> None:
    """Raises InputError for a path that is there already, unless it is an empty folder."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if os.path.lexists(path):
        raise InputError(f"{path}: is there already; give the name of a new folder")


def _replace(path: Path, write: Callable[[BinaryIO], object], before: Path | None) -> None:
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if before is not None and path.exists():
            path.replace(before)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Temporary files and folders of `path` whose process is gone."""
    for file in path.parent.glob(f".{glob.escape(path.name)}.*"):
        process = file.suffix[1:]
        if process.isdecimal() and not _runs(int(process)):
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name != "posix":
        return process != os.getpid()  # asking would end the process there
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return process != os.getpid()  # an earlier one of this number


def _sync(folder: Path) -> None:
    """The renaming, too, is on the disk; where a folder cannot be opened (Windows) or synced, the system sees to it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:  # some network disks, mostly on macOS, do not know what is asked
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)


def _content(write: Callable[[BinaryIO], object]) -> bytes:
    memory = BytesIO()
    write(memory)
    return memory.getvalue()
