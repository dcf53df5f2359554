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
from vedette.infer.one_graph import tensors_of
from vedette.structures import Detections

PHOTOGRAPHS = Path(__file__).parents[1] / "assets" / "demo"
SCORE = 0.05  # from which on detections are compared
BATCH = 5  # beside pictures alone
PIXELS, SCORES = 0.5, 0.01  # how far a file may be off
RAW = 1e-3  # how far raw outputs may be off, in their own largest value


@dataclass(frozen=True)
class Comparison:
    """What a file finds beside what the model finds, in pairs of the same anchor and class."""

    pictures: int
    score: float  # from which on
    pairs: int
    alone: int  # found by one of the two and not by the other
    pixels: float  # by which a side of a pair differs at most
    scores: float

    @property
    def same(self) -> bool:
        """Whether the file may stand for the model: they were seen to find something, and nothing else."""
        return self.pairs > 0 and self.alone == 0 and self.pixels <= PIXELS and self.scores <= SCORES

    def __str__(self) -> str:
        if not self.pairs + self.alone:
            return f"{self.pictures} pictures, nothing found by either: nothing was compared; give others with --check"
        return (
            f"{self.pictures} pictures alone and {BATCH} at once, detections from {self.score:g} on: {self.pairs} by "
            f"both, {self.alone} by one alone; boxes differ by {self.pixels:.2g} pixels, scores by {self.scores:.2g}"
        )


def photographs(given: Sequence[str | Path] = ()) -> list[Image.Image]:
    """The pictures of these files, or the bundled ones; with their mirror images and a corner there are five or more.

    Raises InputError for a file that cannot be read.
    """
    files = given or sorted(PHOTOGRAPHS.glob("*.jpg"))
    pictures = [decode_image(file) for file in files]
    corner = pictures[0].crop((0, 0, pictures[0].width * 2 // 3, pictures[0].height))
    return [*pictures, *map(ImageOps.mirror, pictures), corner]


def compare(model: Detector, file: Detector, pictures: Sequence[Image.Image]) -> Comparison:
    """Each picture alone, and batches of five; where nothing has a score of 0.05, whatever has any."""
    found, score = _both(model, file, pictures, SCORE - SCORES), SCORE
    if not any(bool((one.scores >= SCORE).any()) for one, _ in found):
        found, score = _both(model, file, pictures, 0.0), 0.0
    most = getattr(getattr(model.model, "config", None), "keep", None)
    each = [_paired(one, other, score, most) for one, other in found]
    return Comparison(
        pictures=len(pictures),
        score=score,
        pairs=sum(row.pairs for row in each),
        alone=sum(row.alone for row in each),
        pixels=max(row.pixels for row in each),
        scores=max(row.scores for row in each),
    )


def _both(
    model: Detector, file: Detector, pictures: Sequence[Image.Image], score: float
) -> list[tuple[Detections, Detections]]:
    rows: list[tuple[Detections, Detections]] = []
    for size in (1, BATCH):
        ours, theirs = (one.detect(list(pictures), score, size, keep_image=False) for one in (model, file))
        rows += zip(ours, theirs, strict=True)
    return rows


class _Paired(NamedTuple):
    pairs: int
    alone: int
    pixels: float
    scores: float


def _paired(ours: Detections, theirs: Detections, score: float, most: int | None = None) -> _Paired:
    """Of what either has from `score` on. Both were asked for somewhat weaker ones too, so that one just above the
    score need not be taken on trust: its partner just below is there.

    There is no allowance for ties: a file that takes another of two equals is refused, as is one that is wrong. But of
    the `most` that the model keeps of a picture, which of several alike is the last is chance.
    """
    first, second = _places(ours), _places(theirs)
    pairs = torch.tensor([(first[key], second[key]) for key in first.keys() & second.keys()], dtype=torch.int64)
    places = pairs.view(-1, 2).T
    one, other = (side[own] for side, own in zip((ours, theirs), places, strict=True))
    strong = torch.maximum(one.scores, other.scores) >= score
    one, other, count = one[strong], other[strong], int(strong.sum())
    apart = [(getattr(one, name) - getattr(other, name)).abs() for name in ("boxes", "scores")]
    pixels, scores = (float(each.max()) if count else 0.0 for each in apart)
    cuts = [float(side.scores.min()) + scores if len(side) == most else score for side in (theirs, ours)]
    alone = sum(map(_alone, (ours, theirs), places, (max(score, cut) for cut in cuts)))
    return _Paired(count, alone, pixels, scores)


def _alone(found: Detections, partnered: Tensor, least: float) -> int:
    """How many from this score on have no partner."""
    without = torch.ones(len(found), dtype=torch.bool)
    without[partnered] = False
    return int((found.scores[without] >= least).sum())


def _places(found: Detections) -> dict[tuple[int, int], int]:
    """Where each pair of anchor and class stands."""
    return {key: place for place, key in enumerate(zip(found.source.tolist(), found.labels.tolist(), strict=True))}


def compare_raw(model: Detector, session: Session, pictures: Sequence[Image.Image]) -> float:
    """The largest difference of any raw output, relative to the largest value of that output, over all pictures."""
    look, worst = model.model_look(model.input_spec), 0.0
    for picture in pictures:
        images, shapes, *_ = model.prepare([picture], model.input_spec)
        with torch.inference_mode():
            expected = tensors_of(look(images, shapes)).values()
        given = {"images": images, "sizes": shapes}
        found = session.run({name: given[name] for name in session.exported.inputs}, False)
        for one, other in zip(expected, found, strict=True):
            worst = max(worst, float((one - other).abs().max() / one.abs().max().clamp(min=1)))
    return worst
