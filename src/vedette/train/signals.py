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

    Ctrl-C after another signal does not wait for anything. What the process ignores stays ignored.
    """

    def __init__(self) -> None:
        self.asked: int | None = None  # which signal
        self.keeping = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.getsignal(number) for number in SIGNALS}
            self.before = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
            for number in self.before:
                signal.signal(number, self._hear)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    @contextmanager
    def kept(self, keeping: bool = True) -> Iterator[None]:
        """What comes meanwhile is only noted, for `stop`; or not so, within such a time."""
        before, self.keeping = self.keeping, keeping
        try:
            yield
        finally:
            self.keeping = before

    def stop(self) -> None:
        """Ends the program as the signal asked: exit code 143 after SIGTERM, KeyboardInterrupt after SIGINT."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + (self.asked or signal.SIGTERM))

    def _hear(self, number: int, frame: FrameType | None) -> None:
        again = self.asked is not None and number == signal.SIGINT  # two SIGTERMs may be one that was passed on
        self.asked = number if again else self.asked or number
        if again or not self.keeping:
            self.stop()
