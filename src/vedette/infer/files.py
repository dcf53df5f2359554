"""Many image files: decoded ahead in threads while the network works, the bad ones passed over and named."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from vedette.data.decode import decode_image, holds_more, quiet
from vedette.errors import InputError
from vedette.infer.decoded import DECODERS, Decoded, look_ahead
from vedette.infer.detector import Detector
from vedette.infer.multiscale import Passes
from vedette.infer.scores import Least
from vedette.parts.detection import check_score
from vedette.structures import Detections


def detect_files(
    detector: Detector,
    files: Iterable[str | Path],
    passes: Passes,
    score: Least = 0.5,
    bf16: bool = False,
) -> Iterator[list[Detections | InputError]]:
    """What is found in each file, in order, some files at a time; for one that cannot be read, the error instead.

    Memory is bounded however many files there are: see `decoded.look_ahead`. Who takes a result out of its list lets
    its picture go. passes: planned from the detector's spec (`plan_passes`); score: of `least_scores`; bf16: as in
    `Detector.detect`.
    """
    score = score if isinstance(score, tuple) else check_score(score)
    threads = 1 if detector.device.type == "cpu" else DECODERS  # a CPU's cores belong to the network

    def look(pictures: list[Image.Image]) -> list[Detections]:
        return detector.look(pictures, passes, score, bf16)

    return look_ahead(files, _decode, look, passes, threads)


def holds_several(file: str | Path) -> bool:
    """Whether a file has more pictures than the one that is decoded: an animation, the pages of a TIFF."""
    try:
        with quiet, Image.open(file) as image:
            return holds_more(image)
    except Exception:  # a decoder may raise anything
        return False


def _decode(file: Any) -> Decoded:
    try:
        return decode_image(file)
    except InputError as error:
        return error
