"""Pictures that are kept once they are decoded: in memory that processes share, or in one file on disk.

What is kept are the very pixels that `dataset.image` gives, so a training with and without it is the same. A picture
whose file is not of the annotated size has no place of its own and is decoded each time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import PIL
import torch
from numpy.typing import NDArray
from PIL import Image

from vedette.data.atomic import write_whole
from vedette.data.threads import in_threads

if TYPE_CHECKING:
    from vedette.data.loader import AnnotatedImages

END = b"vedette pictures 1\n"  # of a whole file
AT_ONCE = 64  # pictures that are decoded before they are written


class MemoryPictures:
    """The pictures of a data set, each decoded the first time that any process asks for it.

    One copy of the pixels, whatever the number of worker processes and however they are started.
    """

    def __init__(self, dataset: AnnotatedImages) -> None:
        self.dataset, self.ends = dataset, ends_of(dataset)
        # torch's own way to memory that spawned processes get too: share_memory_() would first fill as much again
        storage = torch.UntypedStorage._new_shared(int(self.ends[-1]) + len(dataset))  # type: ignore[no-untyped-call]
        self.content = torch.empty(0, dtype=torch.uint8).set_(storage)
        self.content[int(self.ends[-1]) :] = 0  # whether a picture is there

    def __call__(self, index: int) -> Image.Image:
        """The picture, as RGB."""
        content = self.content.numpy()
        there = content[int(self.ends[-1]) :]
        start, end = self.ends[index : index + 2].tolist()
        if there[index]:
            return _picture(content[start:end], self.dataset.size(index))
        image = self.dataset.image(index)
        if image.size == self.dataset.size(index):
            content[start:end] = np.frombuffer(image.tobytes(), np.uint8)
            there[index] = 1  # only now: others may look meanwhile, or write the same
        return image


class DiskPictures:
    """The pictures of a data set in a file that `write_pictures` made; the system keeps what fits of it in memory."""

    def __init__(self, dataset: AnnotatedImages, file: Path, there: NDArray[np.bool_]) -> None:
        self.dataset, self.file, self.there, self.ends = dataset, file, there, ends_of(dataset)

    def __call__(self, index: int) -> Image.Image:
        """The picture, as RGB."""
        if not self.there[index]:
            return self.dataset.image(index)
        start, end = self.ends[index : index + 2].tolist()
        pixels = np.fromfile(self.file, np.uint8, count=end - start, offset=start)
        if len(pixels) < end - start:  # somebody cut the file off meanwhile
            return self.dataset.image(index)
        return _picture(pixels, self.dataset.size(index))


def ends_of(dataset: AnnotatedImages) -> NDArray[np.int64]:
    """(N + 1,): the pixels of picture i lie between ends[i] and ends[i + 1]."""
    sizes = np.array([dataset.size(index) for index in range(len(dataset))], np.int64).reshape(-1, 2)
    return np.concatenate([[0], 3 * sizes.prod(1)]).cumsum()


def key_of(dataset: AnnotatedImages) -> str:
    """Of the files' paths, sizes and times, of the frames, and of the decoder: it changes when any of these does."""
    digest = sha256(PIL.__version__.encode())
    for index in range(len(dataset)):
        file = dataset.file(index)
        status = file.stat()
        digest.update(repr((str(file), dataset.size(index), status.st_size, status.st_mtime_ns)).encode())
    return digest.hexdigest()


def write_pictures(file: Path, dataset: AnnotatedImages, threads: int, reach: Callable[[int, int], None]) -> None:
    """All pictures in one file, whole or not at all. `reach` hears how many of how many are done.

    Raises InputError for a picture that cannot be read and where the file cannot be written, as on a full disk.
    """

    def write(stream: BinaryIO) -> None:
        there = []
        for index, image in enumerate(_decoded(dataset, threads)):
            size = dataset.size(index)
            there.append(image.size == size)
            stream.write(image.tobytes() if there[-1] else bytes(3 * size[0] * size[1]))
            reach(index + 1, len(dataset))
        head = json.dumps({"key": key_of(dataset), "there": there}).encode()
        stream.write(head + len(head).to_bytes(8, "little") + END)

    write_whole(file, write)


def read_pictures(file: Path, dataset: AnnotatedImages) -> DiskPictures | None:
    """What `write_pictures` wrote; None where there is nothing, not all of it, or the pictures are others now."""
    pixels = int(ends_of(dataset)[-1])
    try:
        with file.open("rb") as stream:
            stream.seek(pixels)
            rest = stream.read()
        length, end = int.from_bytes(rest[-8 - len(END) : -len(END)], "little"), rest[-len(END) :]
        head = json.loads(rest[:length])
        whole = end == END and len(rest) == length + 8 + len(END) and head["key"] == key_of(dataset)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return DiskPictures(dataset, file, np.array(head["there"], np.bool_)) if whole else None


def _decoded(dataset: AnnotatedImages, threads: int) -> Iterator[Image.Image]:
    """All pictures in order; decoders run beside one another."""
    for at in range(0, len(dataset), AT_ONCE):
        yield from in_threads(dataset.image, range(at, min(at + AT_ONCE, len(dataset))), max(1, threads))


def _picture(pixels: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    return Image.frombytes("RGB", size, pixels.tobytes())
