"""Whether one model is better than another on the same images, or only luckier: intervals and a paired test.

The interval is the percentile bootstrap's (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13):
images are drawn with replacement, the same for both models. The test is the randomisation test of Smucker, Allan and
Carterette (A Comparison of Statistical Significance Tests for Information Retrieval Evaluation, CIKM 2007): if the
models were alike, their findings in an image could as well be swapped; p is the share of random swaps that part the
models at least as much as they are, the observed one counted among them (Phipson and Smyth, Permutation P-values Should
Never Be Zero, 2010).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vedette.evaluate.matching import Floats
from vedette.evaluate.resample import Judged, pool

CONFIDENCE = 0.95
CHUNK = 50  # choices of images between two words on how far it is
TIE = 1e-12  # differences that rounding alone makes
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Difference:
    """Of average precision, the second model's less the first's; NaN where there is nothing to find."""

    value: float
    low: float  # of the interval that holds the true one 95 times of 100
    high: float
    p: float  # how often alike models would differ as much


@dataclass(frozen=True)
class Comparison:
    """Two models on the same images."""

    mean: Difference  # of mAP
    per_class: tuple[Difference, ...]


def compare(
    first: Judged, second: Judged, resamples: int = 1000, seed: int = 0, progress: Progress | None = None
) -> Comparison:
    """Interval and test of each class's AP and of mAP, from `resamples` choices of images each; repeatable by `seed`.

    progress: hears of the choices done, and of all.
    """
    images, generator = len(first.positives), np.random.default_rng(seed)
    whole = np.ones((1, images), dtype=np.int32)
    observed = _differences(second.average_precision(whole), first.average_precision(whole))[0]
    both, drawn, swapped = pool(first, second), [], []
    for start in range(0, resamples, CHUNK):
        many = min(CHUNK, resamples - start)
        weights = generator.multinomial(images, np.full(images, 1 / images), many).astype(np.int32)
        drawn.append(_differences(second.average_precision(weights), first.average_precision(weights)))
        swapped.append(_swaps(both, generator.integers(0, 2, (many, images), dtype=np.int32)))
        if progress is not None:
            progress(start + many, resamples)
    return _comparison(observed, np.concatenate(drawn), np.concatenate(swapped))


def _swaps(both: Judged, kept: NDArray[np.int32]) -> Floats:
    """(R, B) 1 where each model keeps its findings, 0 where the two swap → (R, 1 + C)."""
    other = 1 - kept
    one, two = np.concatenate([kept, other], 1), np.concatenate([other, kept], 1)
    return _differences(both.average_precision(two), both.average_precision(one))


def _differences(second: Floats, first: Floats) -> Floats:
    """(R, C) AP of each → (R, 1 + C): of mAP, then of each class."""
    known = ~np.isnan(first)
    means = [np.where(known, of, 0).sum(1) / np.maximum(known.sum(1), 1) for of in (second, first)]
    mean = np.where(known.any(1), means[0] - means[1], np.nan)
    return np.column_stack([mean, second - first])


def _comparison(observed: Floats, drawn: Floats, swapped: Floats) -> Comparison:
    """(1 + C,), (R, 1 + C), (R, 1 + C)"""
    each = [_difference(*columns) for columns in zip(observed.tolist(), drawn.T, swapped.T, strict=True)]
    return Comparison(each[0], tuple(each[1:]))


def _difference(value: float, drawn: Floats, swapped: Floats) -> Difference:
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(drawn):
        return Difference(value, np.nan, np.nan, np.nan)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    as_far = int((np.abs(swapped) >= abs(value) - TIE).sum())
    return Difference(value, low, high, (1 + as_far) / (1 + len(swapped)))
