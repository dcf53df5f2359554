"""SIGTERM and SIGINT while a training runs: kept until its step is done and saved, or raised at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """What asks to stop, from `with` on until its end; in other threads than the first, nothing is heard.

    A second signal does not wait for anything.
    """

    def __init__(self) -> None:
        self.asked: int | None = None  # which signal
        self.keeping = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What comes meanwhile is only noted, for `stop`."""
        self.keeping = True
        try:
            yield
        finally:
            self.keeping = False

    def stop(self) -> None:
        """Ends the program as the signal asked: exit code 143 after SIGTERM, KeyboardInterrupt after SIGINT."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + (self.asked or signal.SIGTERM))

    def _hear(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked is not None, number
        if again or not self.keeping:
            self.stop()
