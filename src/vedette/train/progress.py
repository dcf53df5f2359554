"""What shows how far a training is: its live line of losses, images a second and time left; counters of its stages."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO


class Counter(Protocol):
    """What shows how far a stage is."""

    def reach(self, done: int, total: int) -> None: ...


Watch = Callable[[int, str], AbstractContextManager[Counter]]  # (how many, of what)


class ProgressLine:
    """One line that is written over on a terminal, and a new line every half minute in a log file."""

    def __init__(
        self,
        total_images: int,
        done_images: int = 0,
        stream: TextIO | None = None,
        losses: Mapping[str, float] | None = None,
    ) -> None:
        """losses: the moving averages so far."""
        self.stream = stream if stream is not None else sys.stderr
        self.total, self.done, self.first = total_images, done_images, done_images
        self.started = self.shown = time.monotonic()
        self.paused, self.pause_began = 0.0, 0.0
        self.losses = dict(losses or {})
        self.first_loss: float | None = None  # the sum of the losses of a batch
        self.last_loss = 0.0

    def update(self, images: int, epoch: float, losses: Mapping[str, float]) -> None:
        """Counts `images` more; the losses shown are a moving average."""
        self.done += images
        self.last_loss = sum(losses.values())
        if self.first_loss is None:
            self.first_loss = self.last_loss
        for name, value in losses.items():
            self.losses[name] = 0.98 * self.losses.get(name, value) + 0.02 * value
        live = self.stream.isatty()
        now = time.monotonic()
        if now - self.shown >= (0.2 if live else 30.0):
            self.shown = now
            self.stream.write(f"\r\x1b[K{self.line(epoch)}" if live else f"{self.line(epoch)}\n")
            self.stream.flush()

    def line(self, epoch: float) -> str:
        """The line as text."""
        parts = "  ".join(f"{name} {value:.3f}" for name, value in self.losses.items())
        return f"epoch {epoch:.2f}  {parts}  {self.rate():.1f} images/s  {duration(self.left())} left"

    def rate(self) -> float:
        """Images a second of training since the start of this process."""
        now = self.pause_began or time.monotonic()
        return (self.done - self.first) / max(1e-9, now - self.started - self.paused)

    def left(self) -> float:
        """Seconds to the end, pauses of the length so far among them."""
        each = (time.monotonic() - self.started) / max(1, self.done - self.first)
        return (self.total - self.done) * each

    @contextmanager
    def pause(self) -> Iterator[None]:
        """What happens meanwhile (an evaluation) is not training and does not lower the rate; ends the live line."""
        if self.stream.isatty():
            self.stream.write("\r\x1b[K")
            self.stream.flush()
        self.pause_began = time.monotonic()
        yield
        self.paused += time.monotonic() - self.pause_began
        self.pause_began = 0.0


def duration(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
