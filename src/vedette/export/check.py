"""An exported file beside the model that it came from: the same photographs, the same boxes?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor

from vedette.data.decode import decode_image
from vedette.infer.backends.session import Session
from vedette.infer.detector import Detector
from vedette.infer.look import Look
from vedette.infer.one_graph import tensors_of
from vedette.ops.boxes import iou
from vedette.structures import Detections

PHOTOGRAPHS = Path(__file__).parents[1] / "assets" / "demo"
SCORE = 0.05  # from which on detections are compared
BATCH = 5  # beside pictures alone
PIXELS, SCORES, UNPAIRED = 0.5, 0.01, 0.01  # how far a file may be off, and the share without a partner
EQUAL, OVERLAP = 1e-5, 0.3  # of scores, and how much equals overlap
RAW = 1e-3  # how far raw outputs may be off, in their own largest value


@dataclass(frozen=True)
class Comparison:
    """What a file finds beside what the model finds, in pairs of the same anchor and class."""

    pictures: int
    score: float  # from which on
    pairs: int
    tied: int  # another of the same class and score stayed in its place: of equals, either may be the best
    unpaired: int  # found by one of the two alone otherwise, and not for being just below the score
    pixels: float  # by which a side of a pair differs at most
    scores: float

    @property
    def same(self) -> bool:
        """Whether the file may stand for the model."""
        near = self.pixels <= PIXELS and self.scores <= SCORES
        return near and self.unpaired <= UNPAIRED * (self.pairs + self.unpaired)

    def __str__(self) -> str:
        if not self.pairs + self.tied + self.unpaired:
            return f"{self.pictures} pictures, nothing found by either: nothing was compared; give others with --check"
        tied = f", {self.tied} tied" if self.tied else ""
        return (
            f"{self.pictures} pictures, {self.pairs} detections from {self.score:g} on the same{tied}, {self.unpaired} "
            f"not; boxes differ by {self.pixels:.2g} pixels at most, scores by {self.scores:.2g}"
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
    return Comparison(
        pictures=len(pictures),
        score=score,
        pairs=sum(row.pairs for row in each),
        tied=sum(row.tied for row in each),
        unpaired=sum(row.unpaired for row in each),
        pixels=max(row.pixels for row in each),
        scores=max(row.scores for row in each),
    )


def _both(
    model: Detector, file: Detector, pictures: Sequence[Image.Image], score: float, bf16: bool
) -> list[tuple[Detections, Detections]]:
    rows: list[tuple[Detections, Detections]] = []
    for size in (1, BATCH):
        ours, theirs = (one.detect(list(pictures), score, size, bf16, keep_image=False) for one in (model, file))
        rows += zip(ours, theirs, strict=True)
    return rows


class _Paired(NamedTuple):
    pairs: int
    tied: int
    unpaired: int
    pixels: float
    scores: float


def _paired(ours: Detections, theirs: Detections, score: float) -> _Paired:
    first, second = _places(ours), _places(theirs)
    common = sorted(first.keys() & second.keys())
    alone = ours[torch.tensor([place for key, place in first.items() if key not in second], dtype=torch.int64)]
    others = theirs[torch.tensor([place for key, place in second.items() if key not in first], dtype=torch.int64)]
    tied = _tied(alone, others), _tied(others, alone)
    both = zip((alone, others), tied, strict=True)
    weak = sum(int(((one.scores <= score + SCORES) & ~equal).sum()) for one, equal in both)
    ties = sum(int(one.sum()) for one in tied)
    unpaired = len(alone) + len(others) - ties - weak
    if not common:
        return _Paired(0, ties, unpaired, 0.0, 0.0)
    pair = ours[[first[key] for key in common]], theirs[[second[key] for key in common]]
    pixels, scores = ((getattr(pair[0], name) - getattr(pair[1], name)).abs().max() for name in ("boxes", "scores"))
    return _Paired(len(common), ties, unpaired, float(pixels), float(scores))


def _tied(found: Detections, others: Detections) -> Tensor:
    """(N,) whether another of the same class and score stayed in its place: of equals, either may be the best."""
    same = found.labels[:, None] == others.labels
    equal = (found.scores[:, None] - others.scores).abs() <= EQUAL
    return (same & equal & (iou(found.boxes, others.boxes) >= OVERLAP)).any(1)


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
