"""The service in a time of its own: passes and decoding take the seconds that a test says; no one waits for them."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
import torch
from PIL import Image

from vedette.infer.detector import Detector
from vedette.serve import batcher
from vedette.structures import Detections

Costs = Callable[[int], float]  # pictures of a pass → seconds


class _NoWaiting(selectors.DefaultSelector):
    """A selector whose timeouts pass at once, and are added up."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """What is ready; else the time goes on to the loop's next call."""
        self.now += timeout or 0.0
        return super().select(0)


class Clock:
    """A loop whose time is reckoned, and threads that take what work says it costs."""

    def __init__(self) -> None:
        self.selector = _NoWaiting()
        self.loop = asyncio.SelectorEventLoop(self.selector)
        self.loop.time = lambda: self.selector.now  # type: ignore[method-assign]
        self.inside: float | None = None  # a thread's time, while its work is called

    def now(self) -> float:
        """Seconds; in a thread's work, those of the thread."""
        return self.selector.now if self.inside is None else self.inside

    def spend(self, seconds: float) -> None:
        """In a thread's work: so much time passes."""
        assert self.inside is not None
        self.inside += seconds

    def run(self, what: Awaitable[Any]) -> None:
        """Until it is done."""
        try:
            self.loop.run_until_complete(what)
        finally:
            self.loop.close()


class Thread:
    """An executor of one thread, whose work is done at once and answered when it would have been."""

    def __init__(self, clock: Clock, before: float = 0.0) -> None:
        self.clock, self.before, self.free = clock, before, 0.0  # before: seconds that each piece of work takes

    def submit(self, call: Callable[..., Any], *given: Any) -> "Future[Any]":
        """The answer, once it is due."""
        future: Future[Any] = Future()
        self.clock.inside = max(self.clock.now(), self.free) + self.before
        try:
            value = call(*given)
        finally:
            self.free, self.clock.inside = self.clock.inside, None
        self.clock.loop.call_at(self.free, future.set_result, value)
        return future

    def shutdown(self) -> None:
        """There is nothing to end."""


def slow(monkeypatch: pytest.MonkeyPatch, clock: Clock, costs: Costs) -> None:
    """Has passes find nothing and take that long."""
    none = torch.empty(0, dtype=torch.int64)
    nothing = Detections(torch.empty(0, 4), torch.empty(0), none, none)

    def look(self: Detector, pictures: Sequence[Image.Image], *how: object) -> list[Detections]:
        clock.spend(costs(len(pictures)))
        return [nothing] * len(pictures)

    monkeypatch.setattr(Detector, "look", look)
    monkeypatch.setattr(batcher, "perf_counter", clock.now)
