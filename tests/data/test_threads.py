"""Many things in threads: in order, with errors where they belong, and never locked by a signal."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vedette.data.threads import in_threads

MEASURED = "from vedette.data.extents import measure; work = lambda file: measure([file] * 2000)"
DECODED = """
from vedette.infer.decoded import Given, decode_ahead
work = lambda file: [None for one in decode_ahead([Given(file)] * 2000, lambda image: image, 16, 8)]
"""
INTERRUPTED = """
import signal, sys

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
for attempt in range(400):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-5 + attempt * 5e-6)
        work(sys.argv[1])
    except KeyboardInterrupt:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
print("interrupted 400 times")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no timer that interrupts")
@pytest.mark.parametrize("what", [MEASURED, DECODED], ids=["measured", "decoded"])
def test_a_signal_at_any_moment_ends_it(what: str, tmp_path: Path) -> None:
    """In a pool of `concurrent.futures` one that comes while work is handed out can leave a lock locked: for ever."""
    command = [sys.executable, "-c", f"{what}\n{INTERRUPTED}", str(tmp_path / "absent.jpg")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout == "interrupted 400 times\n", done.stderr


def test_results_come_in_order_from_several_at_once() -> None:
    both = threading.Barrier(2)

    def work(item: int) -> int:
        if item < 2:
            both.wait(10)  # the second begins while the first is at work
            time.sleep(0.02 * (1 - item))  # and ends before it
        return item * item

    assert list(in_threads(work, range(50), 4)) == [item * item for item in range(50)]
    assert list(in_threads(work, [], 4)) == []
    assert list(in_threads(work, [7], 4)) == [49]


def test_an_error_is_raised_and_the_rest_is_left() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return 6 // (3 - item)

    given = in_threads(work, range(1000), 1)
    assert [next(given) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        list(given)
    time.sleep(0.05)
    some = len(begun)
    time.sleep(0.05)
    assert len(begun) == some < 1001


def test_what_nobody_asks_for_is_not_begun() -> None:
    begun: list[int] = []
    given = in_threads(lambda item: (begun.append(item), time.sleep(0.001)), range(10000), 2)
    next(given)
    given.close()
    time.sleep(0.05)
    some = len(begun)
    time.sleep(0.05)
    assert len(begun) == some < 9000
