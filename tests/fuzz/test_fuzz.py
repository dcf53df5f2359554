"""Five hundred damaged files of each format; `make fuzz` reads twenty thousand."""

from pathlib import Path

import pytest

from fuzz.formats import FORMATS
from fuzz.run import fuzz, rows

MUTANTS = 500


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_no_damaged_file_does_harm(form: str) -> None:
    count = fuzz(form, MUTANTS)
    assert not count.faults
    assert count.read + count.refused == MUTANTS
    assert count.refused > MUTANTS / 2  # damage is done


def test_a_fault_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a worker that dies, hangs or answers otherwise."""
    program = """
import os, sys
for number in range(int(sys.argv[-2]), int(sys.argv[-1])):
    print(number, {0: "read", 1: "raw KeyError: 1"}.get(number) or os._exit(9), flush=True)
"""
    monkeypatch.setattr("fuzz.run.COMMAND", ["-c", program])
    count = fuzz("pth", 4)
    assert (count.read, count.refused) == (1, 0)
    assert count.faults == ["1 raw KeyError: 1", "2 the process ended with 9", "3 the process ended with 9"]


def test_a_log_keeps_the_formats_that_are_not_read_again(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("format mutants\npth 9 1 8 1 0\n3 raw KeyError: 1\nvoc 9 1 8 0 0\n")
    assert rows(log) == {"pth": ["pth 9 1 8 1 0", "3 raw KeyError: 1"], "voc": ["voc 9 1 8 0 0"]}
    assert rows(tmp_path / "none.txt") == {}
