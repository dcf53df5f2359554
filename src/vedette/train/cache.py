"""`--cache`: decoded pictures kept for the epochs to come. It changes nothing but the time that a training takes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from filelock import FileLock

from vedette.data.kept import DiskPictures, MemoryPictures, ends_of, read_pictures, write_pictures
from vedette.data.loader import AnnotatedImages, Pictures
from vedette.errors import InputError

if TYPE_CHECKING:
    from vedette.train.around import Around

FILE = "pictures.bin"  # in the run's folder
MARGIN = 1 << 30  # bytes that are left to the training itself
GB = 1e9
SHARED = Path("/dev/shm")  # where Linux keeps memory that processes share: a container may have little of it


def pictures_for(dataset: AnnotatedImages, around: Around) -> Pictures | None:
    """Where a training's pictures come from; None: from their files, each time.

    Raises InputError where the memory or the disk does not hold them.
    """
    size = int(ends_of(dataset)[-1])
    if around.cache == "memory":
        check_memory(size)
        around.tell(f"pictures are kept in {size / GB:.1f} GB of memory, as each is decoded")
        return MemoryPictures(dataset)
    return _on_disk(dataset, size, around) if around.cache == "disk" else None


def check_memory(size: int) -> None:
    """Raises InputError where so many bytes are not free."""
    free = psutil.virtual_memory().available - MARGIN
    if SHARED.is_dir():
        free = min(free, shutil.disk_usage(SHARED).free)
    if size > free:
        raise InputError(
            f"--cache memory: the decoded pictures take {size / GB:.1f} GB, {max(0, free) / GB:.1f} GB are free; "
            "use --cache disk, or leave it out"
        )


def _on_disk(dataset: AnnotatedImages, size: int, around: Around) -> DiskPictures:
    """Those in the run's folder, written by the first process that comes; several wait for it."""
    file = around.folder / FILE
    around.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        found = read_pictures(file, dataset)
        if found is not None:
            return found
        file.unlink(missing_ok=True)
        free = shutil.disk_usage(around.folder).free
        if size > free:
            raise InputError(
                f"--cache disk: the decoded pictures take {size / GB:.1f} GB, {free / GB:.1f} GB are free in "
                f"{around.folder}; make room, or leave it out"
            )
        around.tell(f"writing the decoded pictures, {size / GB:.1f} GB, to {file}")
        with around.count(len(dataset), "images") as bar:
            write_pictures(file, dataset, threads=2, reach=bar.reach)
        found = read_pictures(file, dataset)
    if found is None:
        raise InputError(f"{file}: the pictures changed while they were written; begin again")
    return found
