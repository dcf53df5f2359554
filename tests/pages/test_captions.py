import numpy as np
import pytest
from PIL import Image, ImageDraw

from vedette.pages import captions
from vedette.pages.captions import Plate, write_caption
from vedette.pages.fonts import Fonts

PLATE = (255, 0, 0)


def plate_of(text: str, size: tuple[int, int] = (300, 200)) -> tuple[int, int, int, int] | None:
    """Where the caption of a box in the middle is written; None where it is left out."""
    picture = Image.new("RGB", size)
    middle = Plate(size[0] // 2, size[1] // 2, size[0] // 2 + 1, size[1] // 2 + 1)
    write_caption(ImageDraw.Draw(picture), middle, text, PLATE, [], fonts=Fonts())
    return picture.getbbox()


def set_text(text: str, width: int) -> str:
    """What is written of a caption in a picture so wide."""
    line = captions._fit(text, (width, 200), Fonts())
    assert line is not None
    return "".join(piece for piece, _, _ in line.pieces)


def test_long_names_become_smaller_and_are_then_cut_before_the_score() -> None:
    assert set_text("traffic light 0.90", 300) == "traffic light 0.90"
    cut = set_text("a very long name of many words that say nothing 0.90", 150)
    assert cut.startswith("a very lo")
    assert cut.endswith("… 0.90")
    assert set_text("missed: a very long name that has no score behind", 120).endswith("…")
    assert set_text("W" * 100_000 + " 0.12", 300).endswith("WW… 0.12")


@pytest.mark.parametrize("width", [40, 80, 300, 2000])
@pytest.mark.parametrize("text", ["cat 0.90", "a name of some length 0.90", "W" * 1000 + " 0.90", "i" * 30])
def test_captions_are_inside_with_their_plate(width: int, text: str) -> None:
    line = captions._fit(text, (width, 200), Fonts())
    assert line is not None
    assert line.plate[0] <= width
    left, _, right, _ = plate_of(text, (width, 200)) or (0, 0, 0, 0)
    assert right - left == line.plate[0]


def test_letters_of_long_names_are_half_as_high_at_the_least() -> None:
    def height(text: str) -> int:
        _, top, _, bottom = plate_of(text, (2000, 2000)) or (0, 0, 0, 0)
        return bottom - top

    assert 0.4 * height("cat 0.90") < height("a name " * 40 + "0.90") < 0.6 * height("cat 0.90")


def test_captions_on_one_line() -> None:
    """A line break made the plate twice as high, and the second line lay outside of it."""
    assert plate_of("traffic\nlight 0.90") == plate_of("traffic light 0.90")
    assert plate_of("\u202etraffic light 0.90") == plate_of("traffic light 0.90")


@pytest.mark.parametrize("text", ["", "   ", "\n", "猫"])
def test_nothing_to_write(text: str) -> None:
    assert plate_of(text) is None


def test_where_there_is_no_room_there_is_no_caption() -> None:
    assert plate_of("cat 0.90", (300, 8)) is None
    assert plate_of("cat 0.90", (8, 300)) is None


def test_letters_of_several_fonts_stand_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here of one font in two pieces, which must give what one piece gives, but for the space between two letters."""
    whole, parts = Image.new("RGB", (200, 100)), Image.new("RGB", (200, 100))
    write_caption(ImageDraw.Draw(whole), Plate(50, 50, 60, 60), "cat 0.90", PLATE, [], fonts=Fonts())
    monkeypatch.setattr(Fonts, "runs", lambda self, text: [(text[:4], None), (text[4:], None)])
    write_caption(ImageDraw.Draw(parts), Plate(50, 50, 60, 60), "cat 0.90", PLATE, [], fonts=Fonts())
    differ = (np.array(whole) != np.array(parts)).any(-1)
    assert differ.mean() < 0.003
