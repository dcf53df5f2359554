"""What fonts have which letters: fonts made up here, and Pillow's own; none needs to be installed."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFont

from vedette.pages import fonts
from vedette.pages.boxes import draw_boxes
from vedette.pages.fonts import FontError, Fonts, find_fonts, font_folders, legible, load, system_fonts

ASCII = "abcdefghijklmnopqrstuvwxyz0123456789 .()"
MadeUp = Callable[[dict[str | None, str]], None]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Nothing that one test learnt of fonts is known in another."""
    caches = (fonts._has, fonts._legible, fonts._fonts_behind, fonts._system_files)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """Fonts by file, with the letters that each has."""

    def make(letters: dict[str | None, str]) -> None:
        def drawn(source: str | None, letter: str) -> tuple[tuple[int, int], bytes]:
            return (1, 1), letter.encode() if letter in letters[source] else b"box"

        monkeypatch.setattr(fonts, "_drawn", drawn)

    return make


@pytest.fixture
def pillows(tmp_path: Path) -> Path:
    """Pillow's own font as a file."""
    path = ImageFont.load_default(16).path
    assert isinstance(path, BytesIO)
    (tmp_path / "own.ttf").write_bytes(path.getvalue())
    return tmp_path / "own.ttf"


def test_pillows_own_font_has_ascii_and_boxes_for_the_rest() -> None:
    assert Fonts().has("azAZ09 .,!()-…")
    for letter in "猫αЖعא🐱é\ud800\U0010ffff":
        assert not Fonts().has(letter)


def test_names_without_letters_are_told_apart_by_their_number() -> None:
    assert legible(("猫", "cat", "狗", "γάτα"), Fonts()) == ("class 0", "cat", "class 2", "class 3")
    numbered = ("猫", "class 0", "class 2", "狗")  # one has by name what another gets for want of letters
    assert legible(numbered, Fonts()) == ("class 0", "class 0 (class 1)", "class 2", "class 3")


def test_two_chinese_names_are_drawn_differently() -> None:
    """As two empty boxes they were not."""
    picture = Image.new("RGB", (200, 100))
    names = legible(("猫", "狗"), Fonts())
    drawn = [draw_boxes(picture, [[10, 50, 90, 90]], [f"{name} 0.90"], [0], Fonts()) for name in names]
    assert ImageChops.difference(*drawn).getbbox() is not None


@pytest.mark.parametrize(
    ("classes", "shown"),
    [
        (("café", "Čeština"), ("cafe", "Cestina")),
        (("café", "cafe"), ("cafe (class 0)", "cafe")),  # not the same of two
        (("cat", "cat"), ("cat", "cat")),
        (("cat 猫", "cat"), ("cat (class 0)", "cat")),
        (("猫!", ""), ("class 0", "class 1")),
        (("a\nb", "a b"), ("a b (class 0)", "a b")),
        (("!", "-"), ("!", "-")),
        (("\U0001f468\u200d\U0001f469 two",), ("two (class 0)",)),
    ],
)
def test_names_are_spelled_with_what_there_is(classes: tuple[str, ...], shown: tuple[str, ...]) -> None:
    assert legible(classes, Fonts()) == shown


def test_the_font_of_each_letter(made_up: MadeUp) -> None:
    made_up({None: ASCII, "greek": "αβγ" + ASCII, "chinese": "猫狗"})
    some = Fonts(["greek", "chinese"])
    assert some.runs("cat 0.9") == [("cat 0.9", None)]
    assert some.runs("αβ 0.9") == [("αβ 0.9", "greek")]  # one font for the whole
    assert some.runs("猫 cat") == [("猫 ", "chinese"), ("cat", None)]
    assert some.runs("猫α狗") == [("猫", "chinese"), ("α", "greek"), ("狗", "chinese")]
    assert some.runs("Ж猫") == [("猫", "chinese")]  # what none has is left out
    assert some.runs("ЖЖ") == []
    assert legible(("αβ", "猫 狗", "Ж"), some) == ("αβ", "猫 狗", "class 2")


def test_a_mark_is_of_its_letters_font(made_up: MadeUp) -> None:
    made_up({None: ASCII, "greek": "α", "marks": "\u0301", "both": "αβ\u0301"})
    some = Fonts(["greek", "marks", "both"])
    assert some.runs("α") == [("α", "greek")]
    assert some.runs("β") == [("β", "both")]
    assert some.runs("aα\u0301") == [("a", None), ("α\u0301", "both")]


def test_words_from_right_to_left_stay_in_one_piece(made_up: MadeUp) -> None:
    made_up({None: ASCII, "hebrew": "אב"})
    assert Fonts(["hebrew"]).runs("אב בא 0.9") == [("אב בא ", "hebrew"), ("0.9", None)]


def test_joiners_that_a_font_does_not_have_are_no_boxes(made_up: MadeUp) -> None:
    made_up({None: ASCII, "joins": "ab\u200d"})
    assert Fonts().runs("a\u200db") == [("ab", None)]
    assert Fonts(["joins"]).runs("aé\u200db") == [("ab", None)]
    made_up({None: "", "joins": "ab\u200d"})
    fonts._has.cache_clear()
    assert Fonts(["joins"]).runs("a\u200db") == [("a\u200db", "joins")]


def test_fonts_are_looked_through_once(made_up: MadeUp, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def drawn(source: str | None, letter: str) -> tuple[tuple[int, int], bytes]:
        asked.append(source)
        return (1, 1), letter.encode() if source is None and letter in ASCII else b"box"

    monkeypatch.setattr(fonts, "_drawn", drawn)
    some = Fonts(["a", "b"])
    assert legible(("猫", "cat"), some) == ("class 0", "cat")
    assert {"a", "b"} <= set(asked)
    asked.clear()
    for _ in range(3):
        assert legible(("猫", "cat"), some) == ("class 0", "cat")
        some.runs("猫 0.90")
    assert not {"a", "b"} & set(asked)


def test_upright_fonts_of_ordinary_weight_come_first(tmp_path: Path) -> None:
    for name in ("b/SomeSans-Bold.ttf", "b/c/SomeSans.otf", "SomeSerif.TTC", "Another.ttf", "LastResort.otf", "x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [Path(file).name for file in find_fonts([tmp_path, tmp_path / "none", tmp_path])]
    assert found == ["SomeSans.otf", "Another.ttf", "SomeSans-Bold.ttf", "SomeSerif.TTC"]


@pytest.mark.parametrize(("system", "folder"), [("linux", "fonts"), ("darwin", "Library/Fonts"), ("win32", "Fonts")])
def test_where_systems_keep_fonts(monkeypatch: pytest.MonkeyPatch, system: str, folder: str) -> None:
    monkeypatch.setattr(fonts.sys, "platform", system)
    assert font_folders()
    assert all(str(place).replace("\\", "/").endswith((folder, ".fonts")) for place in font_folders())


def test_damaged_fonts_have_no_letters(tmp_path: Path) -> None:
    (tmp_path / "a.ttf").write_bytes(b"no font")
    (tmp_path / "b.ttf").touch()
    assert legible(("猫",), Fonts(find_fonts([tmp_path]))) == ("class 0",)


def test_a_named_font_comes_first(monkeypatch: pytest.MonkeyPatch, pillows: Path) -> None:
    monkeypatch.setenv("VEDETTE_FONT", str(pillows))
    assert system_fonts().runs("cat") == [("cat", str(pillows))]
    monkeypatch.setenv("VEDETTE_FONT", "")
    assert system_fonts().runs("cat") == [("cat", None)]


@pytest.mark.parametrize("content", [None, b"", b"no font"])
def test_a_named_font_that_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None) -> None:
    named = tmp_path / "mine.ttf"
    if content is not None:
        named.write_bytes(content)
    monkeypatch.setenv("VEDETTE_FONT", str(named))
    with pytest.raises(FontError) as raised:
        system_fonts()
    assert raised.value.filename == str(named)
    assert str(raised.value.strerror).startswith("VEDETTE_FONT names it, and it is no font")


def test_letters_that_the_system_has_are_drawn_in_them() -> None:
    some = Fonts(find_fonts(font_folders()))
    if not some.has("γ"):
        pytest.skip("no Greek font here")
    assert legible(("γάτα",), some) == ("γάτα",)
    (piece,) = some.runs("γάτα 0.90")
    assert load(piece[1], 20).getmask("γ").size != (0, 0)
    assert piece[1] is not None
