"""An iterator that is read in a thread, while whoever uses it works on what came before."""

from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
GOODBYE = 1.0  # seconds that the thread has to end; one that waits for a silent stream is left alone


class Ahead(Generic[T]):
    """What `items` gives, up to `count` of them got before they are asked for; an error comes where it was raised.

    newest: what nobody asked for in time makes room for the newer, and is counted in `dropped`.
    """

    def __init__(self, items: Iterator[T], count: int, newest: bool = False) -> None:
        self.items, self.count, self.newest = items, count, newest
        self.waiting: deque[T] = deque()
        self.dropped = 0
        self.changed = Condition()
        self.ended, self.stopped = False, False
        self.error: BaseException | None = None
        self.thread = Thread(target=self._read, daemon=True)
        self.thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self.changed:
            while not (self.waiting or self.ended):
                self.changed.wait()
            if self.waiting:
                self.changed.notify_all()
                return self.waiting.popleft()
        if self.error is not None:
            raise self.error
        raise StopIteration

    def close(self) -> bool:
        """Stops reading, and forgets what waits; whether the thread is done with what it reads."""
        with self.changed:
            self.stopped = True
            self.waiting.clear()
            self.changed.notify_all()
        self.thread.join(GOODBYE)
        return not self.thread.is_alive()

    def _read(self) -> None:
        try:
            for item in self.items:
                if not self._put(item):
                    break
        except BaseException as error:  # raised again where it is waited for
            self.error = error
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def _put(self, item: T) -> bool:
        """Whether there is more to read."""
        with self.changed:
            while len(self.waiting) >= self.count and not self.stopped:
                if self.newest:
                    self.waiting.popleft()
                    self.dropped += 1
                else:
                    self.changed.wait()
            if not self.stopped:
                self.waiting.append(item)
                self.changed.notify_all()
            return not self.stopped
