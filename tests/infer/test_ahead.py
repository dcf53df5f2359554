import threading
import time
from collections.abc import Iterator

import pytest

from vedette.infer.ahead import Ahead


def test_all_comes_in_order_and_the_end_is_an_end() -> None:
    ahead = Ahead(iter(range(100)), 3)
    assert list(ahead) == list(range(100))
    assert list(ahead) == []
    assert ahead.dropped == 0


def test_no_more_is_read_than_may_wait() -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    ahead = Ahead(numbers(), 3)
    time.sleep(0.1)
    assert len(read) == 4  # three wait, one waits to
    assert next(ahead) == 0
    time.sleep(0.1)
    assert len(read) == 5
    assert ahead.close()
    assert len(read) < 7


def test_an_error_comes_in_its_place() -> None:
    def numbers() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    ahead = Ahead(numbers(), 3)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="gone"):
        next(ahead)


def test_the_newest_takes_the_place_of_what_nobody_asked_for() -> None:
    go, sent = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        yield from range(10)
        sent.set()
        go.wait(5)
        yield from range(10, 12)

    ahead = Ahead(numbers(), 1, newest=True)
    assert sent.wait(5)
    assert (next(ahead), ahead.dropped) == (9, 9)
    go.set()
    rest = list(ahead)
    assert rest[-1] == 11
    assert len(rest) + ahead.dropped == 11


def test_a_thread_that_waits_for_a_silent_source_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.infer.ahead.GOODBYE", 0.05)
    go = threading.Event()

    def silent() -> Iterator[int]:
        go.wait(5)
        yield 1

    ahead = Ahead(silent(), 1)
    assert not ahead.close()
    go.set()
    ahead.thread.join(5)
    assert ahead.close()
