"""Many things in threads, with nothing between them that a signal can leave locked.

A pool of `concurrent.futures` takes a lock for each piece of work that it is given. A Ctrl-C in that moment leaves it
locked, and the program waits for its threads for ever.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """What `work` makes of each item, in their order; `threads` of them at once. What it raises is raised here.

    Where nobody asks for more, or something is raised, what has not been begun is left.
    """
    waiting = deque(range(len(items)))
    done: SimpleQueue[tuple[int, Result | None, BaseException | None]] = SimpleQueue()  # written in C: no lock to lose

    def take() -> None:
        while waiting:
            try:
                at = waiting.popleft()
            except IndexError:  # another thread took the last
                return
            try:
                done.put((at, work(items[at]), None))
            except BaseException as error:
                done.put((at, None, error))

    early: dict[int, Result] = {}
    try:
        for _ in range(min(threads, len(items))):
            Thread(target=take, daemon=True).start()  # a program that ends does not wait for it
        for wanted in range(len(items)):
            while wanted not in early:
                at, result, error = done.get()
                if error is not None:
                    raise error
                early[at] = result  # type: ignore[assignment]
            yield early.pop(wanted)
    finally:
        waiting.clear()
