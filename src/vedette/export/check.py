"""An exported file beside the model that it came from: the same photographs, the same boxes?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageOps

from vedette.data.decode import decode_image
from vedette.infer.backends.session import Session
from vedette.infer.detector import Detector
from vedette.infer.look import Look
from vedette.infer.one_graph import tensors_of
from vedette.structures import Detections

PHOTOGRAPHS = Path(__file__).parents[1] / "assets" / "demo"
SCORE = 0.05  # from which on detections are compared
BATCH = 5  # beside pictures alone
PIXELS, SCORES, UNPAIRED = 0.5, 0.01, 0.01  # how far a file may be off, and the share without a partner
RAW = 1e-3  # how far raw outputs may be off, in their own largest value


@dataclass(frozen=True)
class Comparison:
    """What a file finds beside what the model finds, in pairs of the same anchor and class."""

    pictures: int
    score: float  # from which on
    pairs: int
    unpaired: int  # found by one of the two alone, and not for being just below the score
    pixels: float  # by which a side of a pair differs at most
    scores: float

    @property
    def same(self) -> bool:
        """Whether the file may stand for the model."""
        near = self.pixels <= PIXELS and self.scores <= SCORES
        return near and self.unpaired <= UNPAIRED * (self.pairs + self.unpaired)

    def __str__(self) -> str:
        if not self.pairs and not self.unpaired:
            return f"{self.pictures} pictures, nothing found by either: nothing was compared; give others with --check"
        return (
            f"{self.pictures} pictures, {self.pairs} detections from {self.score:g} on the same, {self.unpaired} not; "
            f"boxes differ by {self.pixels:.2g} pixels at most, scores by {self.scores:.2g}"
        )


def photographs(given: Sequence[str | Path] = ()) -> list[Image.Image]:
    """The pictures of these files, or the bundled ones; with their mirror images and a corner there are five or more.

    Raises InputError for a file that cannot be read.
    """
    files = given or sorted(PHOTOGRAPHS.glob("*.jpg"))
    pictures = [decode_image(file) for file in files]
    corner = pictures[0].crop((0, 0, pictures[0].width * 2 // 3, pictures[0].height))
    return [*pictures, *map(ImageOps.mirror, pictures), corner]


def compare(model: Detector, file: Detector, pictures: Sequence[Image.Image], bf16: bool = False) -> Comparison:
    """Each picture alone, and batches of five; where nothing has a score of 0.05, whatever has any."""
    found = _both(model, file, pictures, SCORE, bf16)
    score = SCORE
    if not any(len(one) for one, _ in found):
        found, score = _both(model, file, pictures, 0.0, bf16), 0.0
    each = [_paired(one, other, score) for one, other in found]
    pairs, unpaired = (sum(row[column] for row in each) for column in (0, 1))
    pixels, scores = (max(row[column] for row in each) for column in (2, 3))
    return Comparison(len(pictures), score, int(pairs), int(unpaired), pixels, scores)


def _both(
    model: Detector, file: Detector, pictures: Sequence[Image.Image], score: float, bf16: bool
) -> list[tuple[Detections, Detections]]:
    rows: list[tuple[Detections, Detections]] = []
    for size in (1, BATCH):
        ours, theirs = (one.detect(list(pictures), score, size, bf16, keep_image=False) for one in (model, file))
        rows += zip(ours, theirs, strict=True)
    return rows


def _paired(ours: Detections, theirs: Detections, score: float) -> tuple[int, int, float, float]:
    """How many pairs, how many without a partner, the largest difference of a side and of a score."""
    first, second = _places(ours), _places(theirs)
    common = sorted(first.keys() & second.keys())
    alone = [ours.scores[first[key]] for key in first.keys() - second.keys()]
    alone += [theirs.scores[second[key]] for key in second.keys() - first.keys()]
    unpaired = sum(float(one) > score + SCORES for one in alone)
    if not common:
        return 0, unpaired, 0.0, 0.0
    rows, others = (torch.tensor([places[key] for key in common]) for places in (first, second))
    pixels = (ours.boxes[rows] - theirs.boxes[others]).abs().max()
    return len(common), unpaired, float(pixels), float((ours.scores[rows] - theirs.scores[others]).abs().max())


def _places(found: Detections) -> dict[tuple[int, int], int]:
    """Where each pair of anchor and class stands."""
    return {key: place for place, key in enumerate(zip(found.source.tolist(), found.labels.tolist(), strict=True))}


def compare_raw(model: Detector, session: Session, pictures: Sequence[Image.Image]) -> float:
    """The largest difference of any raw output, relative to the largest value of that output, over all pictures."""
    look, worst = model.look_in(model.input_spec), 0.0
    assert isinstance(look, Look)
    for picture in pictures:
        images, shapes, *_ = model.prepare([picture], model.input_spec)
        with torch.inference_mode():
            expected = tensors_of(look(images, shapes)).values()
        given = {"images": images, "sizes": shapes}
        found = session.run({name: given[name] for name in session.exported.inputs}, False)
        for one, other in zip(expected, found, strict=True):
            worst = max(worst, float((one - other).abs().max() / one.abs().max().clamp(min=1)))
    return worst
