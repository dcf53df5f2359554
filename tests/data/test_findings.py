"""Findings as lines on a terminal."""

from vedette.data.findings import Finding, notes_of, shown


def test_a_long_text_keeps_its_ends() -> None:
    assert shown("abcdefghij", 6) == "abcd… (4 more letters) …ij"
    assert shown("abcdef", 6) == "abcdef"


def test_a_line_is_one_line() -> None:
    assert shown("a\nb\udcff") == "a\\nb\\udcff"


def test_file_and_fault_are_shortened_each() -> None:
    finding = Finding("degenerate box", "f" * 5000 + ".jpg", "line 2: " + "n" * 5000 + " at (1, 1, 1, 2)")
    assert len(str(finding)) < 1300
    assert ".jpg: line 2: nnn" in str(finding)
    assert str(finding).endswith(" at (1, 1, 1, 2)")
    assert len(notes_of([finding])[0]) < 1400
