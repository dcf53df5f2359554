"""Many image files: decoded ahead in threads while the network works, the bad ones passed over and named."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from vedette.data.decode import decode_image, holds_more, quiet
from vedette.errors import InputError
from vedette.infer.detector import Detector
from vedette.infer.multiscale import Passes
from vedette.infer.pictures import MOST_PIXELS, in_batches
from vedette.infer.scores import Least
from vedette.parts.detection import check_score
from vedette.structures import Detections

Decoded = Image.Image | InputError
DECODERS = 8  # threads; decoding leaves Python's lock alone


def detect_files(
    detector: Detector,
    files: Iterable[str | Path],
    passes: Passes,
    score: Least = 0.5,
    bf16: bool = False,
) -> Iterator[list[Detections | InputError]]:
    """What is found in each file, in order, batch by batch; for a file that cannot be read, the error instead.

    No more than two batches of pictures are in memory, however many files there are, and of large pictures no more
    than MOST_PIXELS twice; one that has more comes alone. Who takes a result out of its list lets its picture go.
    passes: planned from the detector's spec (`plan_passes`); score: of `least_scores`; bf16: as in `Detector.detect`.
    """
    score = score if isinstance(score, tuple) else check_score(score)
    threads = 1 if detector.device.type == "cpu" else DECODERS  # a CPU's cores belong to the network
    for batch in in_batches(decode_ahead(files, passes.batch_size, threads), passes.batch_size):
        pictures = [one for one in batch if not isinstance(one, InputError)]
        found = detector.look(pictures, passes, score, bf16) if pictures else []
        results = [one if isinstance(one, InputError) else found.pop(0) for one in batch]
        del pictures
        batch.clear()
        yield results


def decode_ahead(files: Iterable[str | Path], ahead: int, threads: int = 1) -> Iterator[Decoded]:
    """The files' pictures, in order, up to `ahead` of them decoded before they are asked for.

    Fewer where they are large: no file is begun while those that wait would have more than MOST_PIXELS with it.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[tuple[int, Future[Decoded]]] = deque()  # pixels, picture
    try:
        for file in files:
            pixels = _pixels_in(file)
            while waiting and (len(waiting) > ahead or sum(own for own, _ in waiting) + pixels > MOST_PIXELS):
                yield waiting.popleft()[1].result()
            waiting.append((pixels, pool.submit(_decode, file)))
        while waiting:
            yield waiting.popleft()[1].result()
    finally:
        pool.shutdown(cancel_futures=True)


def holds_several(file: str | Path) -> bool:
    """Whether a file has more pictures than the one that is decoded: an animation, the pages of a TIFF."""
    try:
        with quiet, Image.open(file) as image:
            return holds_more(image)
    except Exception:  # a decoder may raise anything
        return False


def _pixels_in(file: str | Path) -> int:
    """As its header says; 0 for what cannot be read."""
    if not Path(file).is_file():  # a pipe would be waited for
        return 0
    try:
        with quiet, Image.open(file) as image:
            return image.width * image.height
    except Exception:  # `decode_image` will say what it is
        return 0


def _decode(file: str | Path) -> Decoded:
    try:
        return decode_image(file)
    except InputError as error:
        return error
