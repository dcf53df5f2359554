"""Many image files: decoded ahead in a thread while the network works, the bad ones passed over and named."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from PIL import Image

from vedette.data.decode import decode_image
from vedette.errors import InputError
from vedette.infer.detector import Detector
from vedette.infer.multiscale import Passes
from vedette.parts.detection import check_score
from vedette.structures import Detections

Decoded = Image.Image | InputError


def detect_files(
    detector: Detector,
    files: Iterable[str | Path],
    passes: Passes,
    score: float = 0.5,
    bf16: bool = False,
) -> Iterator[Detections | InputError]:
    """What is found in each file, in order; for a file that cannot be read, the error instead.

    No more than two batches of pictures are in memory, however many files there are. passes: planned from the
    detector's spec (`plan_passes`); score and bf16 are those of `Detector.detect`.
    """
    check_score(score)
    decoded = decode_ahead(files, passes.batch_size)
    while batch := list(islice(decoded, passes.batch_size)):
        pictures = [one for one in batch if not isinstance(one, InputError)]
        found = iter(detector.look(pictures, passes, score, bf16) if pictures else [])
        for one in batch:
            yield one if isinstance(one, InputError) else next(found)


def decode_ahead(files: Iterable[str | Path], ahead: int) -> Iterator[Decoded]:
    """The files' pictures, in order, up to `ahead` of them decoded before they are asked for."""
    pool = ThreadPoolExecutor(1)
    waiting: deque[Future[Decoded]] = deque()
    try:
        for file in files:
            waiting.append(pool.submit(_decode, file))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(file: str | Path) -> Decoded:
    try:
        return decode_image(file)
    except InputError as error:
        return error
