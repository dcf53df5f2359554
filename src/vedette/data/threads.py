"""Many things in threads, with nothing between them that a signal can leave locked.

A pool of `concurrent.futures` takes a lock for each piece of work that it is given, and `threading.Thread` one when it
starts. A Ctrl-C in that moment leaves it locked, and the program waits for its threads for ever, or ends with an error
of `threading`'s own. What is used here takes no lock of Python's.
"""

from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Piece(Generic[Item, Result]):
    """A piece of work that was handed out."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.done: SimpleQueue[tuple[Result | None, BaseException | None]] = SimpleQueue()

    def do(self, work: Callable[[Item], Result]) -> None:
        """In a thread."""
        try:
            self.done.put((work(self.item), None))
        except BaseException as error:
            self.done.put((None, error))

    def result(self) -> Result:
        """Waited for, once; what the work raised is raised here."""
        result, error = self.done.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]


@contextmanager
def threads_for(work: Callable[[Item], Result], count: int) -> Iterator[Callable[[Item], Piece[Item, Result]]]:
    """Gives what hands an item to one of so many threads; at the end what has not been begun is left."""
    waiting: SimpleQueue[Piece[Item, Result] | None] = SimpleQueue()

    def take() -> None:
        while (piece := waiting.get()) is not None:
            piece.do(work)
            del piece  # its item is not kept while the thread waits

    def hand_out(item: Item) -> Piece[Item, Result]:
        piece = Piece[Item, Result](item)
        waiting.put(piece)
        return piece

    try:
        for _ in range(count):
            start_new_thread(take, ())  # a program that ends does not wait for it
        yield hand_out
    finally:
        with suppress(Empty):
            while True:
                waiting.get_nowait()
        for _ in range(count):
            waiting.put(None)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """What `work` makes of each item, in their order; `threads` of them at once. What it raises is raised here."""
    with threads_for(work, min(threads, len(items))) as hand_out:
        pieces = deque(map(hand_out, items))
        while pieces:
            yield pieces.popleft().result()
