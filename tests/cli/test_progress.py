import sys

import pytest

from vedette.cli import progress
from vedette.cli.progress import Progress


def test_nothing_is_drawn_where_no_person_looks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    with Progress(2, "images") as bar:
        bar.advance()
        bar.say("[bold]a line")
    written = capsys.readouterr()
    assert written.out == "[bold]a line\n"
    assert written.err == ""


@pytest.mark.parametrize(("patience", "drawn"), [(-1.0, True), (60.0, False)])
def test_a_terminal_gets_a_bar_when_it_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, patience: float, drawn: bool
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", patience)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with Progress(4, "images") as bar:
        bar.advance(3)
        assert (bar.bar is not None) == drawn
        if bar.bar is not None:
            bar.bar.refresh()
    written = capsys.readouterr()
    assert ("3/4" in written.err) == drawn
    assert ("images/s" in written.err) == drawn
    assert written.out == ""
