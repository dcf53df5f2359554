"""What the benchmarks that set two ways beside each other share: they run in turns, and the ratio has quartiles."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch


class Comparison(NamedTuple):
    """Medians in milliseconds, and theirs / ours: first quartile, median, third quartile."""

    ours: float
    theirs: float
    low: float
    ratio: float
    high: float


def in_turns(
    calls: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1, untimed: int = 0
) -> dict[str, list[float]]:
    """Seconds of each call, all of them once a round, so that a busy machine slows all.

    untimed: calls of a turn before the one that counts, which finds its weights in the caches and its threads awake as
    the next of many pictures does.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(warm_up + rounds):
        for name, call in calls.items():
            for _ in range(untimed):
                call()
            _finish()
            start = time.perf_counter()
            call()
            _finish()
            if round_ >= warm_up:
                times[name].append(time.perf_counter() - start)
    return times


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def compare(ours: Sequence[float], theirs: Sequence[float], per: int = 1) -> Comparison:
    """Seconds of both, round by round, for `per` images at once."""
    low, ratio, high = statistics.quantiles([b / a for a, b in zip(ours, theirs, strict=True)], n=4)
    a, b = (1000 * statistics.median(times) / per for times in (ours, theirs))
    return Comparison(a, b, low, ratio, high)
