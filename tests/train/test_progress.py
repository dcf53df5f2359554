"""The live line."""

import io

import pytest

from vedette.train.progress import ProgressLine, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3661, "1:01:01")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_line_tells_losses_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    screen = Terminal()
    progress = ProgressLine(total_images=100, done_images=20, stream=screen)
    now[0] += 2.0
    progress.update(10, 0.3, {"odm_class": 2.5})
    assert screen.getvalue() == "\r\x1b[Kepoch 0.30  odm_class 2.500  5.0 images/s  0:14 left"


def test_a_log_file_gets_a_line_every_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    log = io.StringIO()
    progress = ProgressLine(1000, stream=log)
    for _ in range(70):
        now[0] += 1.0
        progress.update(1, 0.1, {})
    assert log.getvalue().count("\n") == 2


def test_a_pause_counts_for_the_time_left_but_not_for_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    progress = ProgressLine(total_images=200, stream=io.StringIO())
    now[0] += 10.0
    progress.update(100, 1.0, {})
    with progress.pause():
        now[0] += 5.0
    assert progress.rate() == 10.0
    assert progress.left() == 15.0  # another ten of training and five of evaluation
