import pytest

from vedette.pages import letters
from vedette.pages.letters import clean, clusters, in_order, plain


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cat", "cat"),
        ("line\nbreak\ttab\r\nnull\0", "line break tab null"),
        ("  two   spaces ", "two spaces"),
        ("\x1b[31mred", "[31mred"),
        ("\u202egnorw\u202c \u200fright\u2069", "gnorw right"),  # directions
        ("a\u2028b\u2029c", "a b c"),
        ("\u2764\ufe0f", "\u2764"),  # as a coloured picture
        ("cafe\u0301", "caf\u00e9"),
        ("x" + "\u0301" * 30 + "y", "x\u0301\u0301\u0301\u0301y"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # a joiner that Persian needs
        ("", ""),
        ("\ufeff \u200b", ""),
    ],
)
def test_a_name_is_one_line_of_what_is_seen(text: str, line: str) -> None:
    assert clean(text) == line


def test_letters_keep_their_marks_and_what_is_joined_to_them() -> None:
    assert clusters("ax\u0301\u0302b") == ["a", "x\u0301\u0302", "b"]
    assert clusters("\u0939\u093f\u0928\u094d\u0926\u0940") == ["\u0939\u093f", "\u0928\u094d", "\u0926\u0940"]
    assert clusters("\U0001f468\u200d\U0001f469!") == ["\U0001f468\u200d\U0001f469", "!"]
    assert clusters("\u0301a") == ["\u0301", "a"]
    assert clusters("") == []


def test_plain_letters() -> None:
    assert plain("Ti\u1ebfng \u010de\u0161tina") == "Tieng cestina"
    assert plain("\u732b") == "\u732b"


@pytest.mark.parametrize(
    ("text", "ordered"),
    [
        ("cat 0.90", "cat 0.90"),
        ("\u05d0\u05d1\u05d2 0.90", "\u05d2\u05d1\u05d0 0.90"),
        ("\u05d0\u05d1 \u05d2\u05d3 0.90", "\u05d3\u05d2 \u05d1\u05d0 0.90"),
        ("cat \u05d0\u05b7\u05d1 dog", "cat \u05d1\u05d0\u05b7 dog"),  # a mark stays behind its letter
        ("\u05d0\u05d1", "\u05d1\u05d0"),
    ],
)
def test_letters_read_from_the_right_are_turned_where_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch, text: str, ordered: str
) -> None:
    monkeypatch.setattr(letters, "_orders_itself", lambda: False)
    assert in_order(text) == ordered
    monkeypatch.setattr(letters, "_orders_itself", lambda: True)
    assert in_order(text) == text
