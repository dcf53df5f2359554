"""One run, one process: whoever trains in a folder holds its lock, which the system lets go when the process ends."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vedette.errors import InputError
from vedette.train.processes import is_first_process

LOCK, HOLDER = ".lock", ".holder.json"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder is this process's meanwhile, made where there is none; of a training's processes the first has it.

    Raises InputError that names who has it already.
    """
    if not is_first_process():
        yield
        return
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(f"{folder}: {_holder(folder)} trains there; wait for it, or choose another --out") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from None
    try:
        (folder / HOLDER).write_text(json.dumps({"process": os.getpid(), "host": socket.gethostname()}))
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        if os.name != "posix":
            lock.release()  # Windows removes no file that is open
        if made and [file.name for file in folder.iterdir()] == [LOCK]:  # the run was refused
            (folder / LOCK).unlink()
            folder.rmdir()
        lock.release()


def _holder(folder: Path) -> str:
    try:
        who = json.loads((folder / HOLDER).read_text())
        return f"process {who['process']} on {who['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
