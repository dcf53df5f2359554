"""Pictures decoded ahead in threads while the network works, those of like shape in one batch, results as they came.

A picture's size is read from its file's header: by it pictures are put together, and memory is kept within bounds.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, tee
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image

from vedette.data.decode import size_in
from vedette.data.threads import Piece, threads_for
from vedette.errors import InputError
from vedette.infer.multiscale import Passes
from vedette.infer.pictures import MOST_PIXELS, ImageLike, in_batches
from vedette.ops.images import input_size
from vedette.structures import Detections

Decoded = Image.Image | InputError
Decode = Callable[[ImageLike], Decoded]
Look = Callable[[list[Image.Image]], list[Detections]]  # one batch of pictures → what is found in each
DECODERS = 8  # threads beside a GPU; decoding leaves Python's lock alone
WINDOW = 4  # batches whose pictures are put in order of their shapes; so many are done together


class Given(NamedTuple):
    """An image that is to be looked at, not decoded yet."""

    image: ImageLike
    place: int = 0  # in its window
    width: int = 0  # 0 of what cannot be read
    height: int = 0

    @property
    def pixels(self) -> int:
        return self.width * self.height


def look_ahead(
    images: Iterable[ImageLike], decode: Decode, look: Look, passes: Passes, threads: int = 1
) -> Iterator[list[Detections | InputError]]:
    """What `look` finds in each image, in order, some of them at a time; what `decode` gives as an error stays.

    Where a batch is padded to its largest picture, WINDOW batches are put together by the shapes of their pictures.
    However many images there are, no more than MOST_PIXELS are in memory twice (one that has more comes alone): those
    that wait, and those whose results are given next. Who takes a result out of its list lets its picture go.
    """
    windows, again = tee(in_windows(images, passes))
    decoded = decode_ahead((one for window in windows for one in window), decode, passes.batch_size, threads)
    for window in again:
        results: list[Detections | InputError | None] = [None] * len(window)
        places = iter(window)
        for batch in in_batches(islice(decoded, len(window)), passes.batch_size):
            for one, result in zip(islice(places, len(batch)), _results(batch, look), strict=True):
                results[one.place] = result
        yield results  # type: ignore[misc]  # each place has one now


def in_windows(images: Iterable[ImageLike], passes: Passes) -> Iterator[list[Given]]:
    """The images that are put together: a batch, or WINDOW of them where batches are padded, like beside like."""
    spec, count = passes.specs[0], passes.batch_size
    padded = spec.resize != "warp"

    def shape(one: Given) -> tuple[int, int]:
        return input_size(one.width, one.height, spec) if one.pixels else (0, 0)

    window = list[Given]()
    for image in images:
        one = Given(image, len(window), *size_of(image))
        full = len(window) == count * (WINDOW if padded else 1)
        if window and (full or sum(each.pixels for each in (*window, one)) > MOST_PIXELS):
            yield sorted(window, key=shape) if padded and len(window) > count else window
            window, one = [], one._replace(place=0)
        window.append(one)
    if window:
        yield sorted(window, key=shape) if padded and len(window) > count else window


def decode_ahead(images: Iterable[Given], decode: Decode, ahead: int, threads: int = 1) -> Iterator[Decoded]:
    """The images decoded, in order, up to `ahead` of them before they are asked for.

    Fewer where they are large: none is begun while those that wait would have more than MOST_PIXELS with it.
    """
    waiting: deque[tuple[int, Piece[ImageLike, Decoded]]] = deque()  # pixels, picture
    with threads_for(decode, threads) as hand_out:
        for one in images:
            while waiting and (len(waiting) > ahead or sum(own for own, _ in waiting) + one.pixels > MOST_PIXELS):
                yield waiting.popleft()[1].result()
            waiting.append((one.pixels, hand_out(one.image)))
        while waiting:
            yield waiting.popleft()[1].result()


def size_of(image: ImageLike) -> tuple[int, int]:
    """Width and height of an image without decoding it, turned as its EXIF says; (0, 0) where it has none."""
    if isinstance(image, str | Path):
        return size_in(image)
    if isinstance(image, Image.Image):
        return image.size
    shape = tuple(getattr(image, "shape", ()))
    if len(shape) not in (2, 3):
        return 0, 0
    height, width = shape[-2:] if isinstance(image, torch.Tensor) else shape[:2]
    return int(width), int(height)


def _results(batch: list[Decoded], look: Look) -> Sequence[Detections | InputError]:
    """Of one batch, whose pictures are let go."""
    found = iter(look(pictures) if (pictures := [one for one in batch if not isinstance(one, InputError)]) else [])
    results = [one if isinstance(one, InputError) else next(found) for one in batch]
    batch.clear()
    return results
