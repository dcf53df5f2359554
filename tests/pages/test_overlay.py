from xml.etree import ElementTree

import pytest
from PIL import Image

from vedette.pages.overlay import Canvas, Panel, canvas_of, overlay

PICTURE = Image.new("RGB", (200, 100), "green")
SVG = "{http://www.w3.org/2000/svg}"


def elements(markup: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(f"<g>{markup}</g>"))


def test_boxes_are_drawn_in_the_pictures_place() -> None:
    canvas = Canvas((200, 100), 400)
    under, line = elements(canvas.box((10, 20, 60, 45), "off"))
    for rectangle in (under, line):
        assert [rectangle.get(name) for name in ("x", "y", "width", "height")] == ["20.0", "40.0", "100.0", "50.0"]
    assert line.get("class") == "b off"
    assert float(under.get("stroke-width") or 0) > 2


def test_captions_stay_within_the_picture() -> None:
    canvas = Canvas((200, 100), 400)
    for corner in ((-50, -50), (500, 500), (199, 0)):
        plate, words = elements(canvas.captions([(corner, "a <b> 0.5")]))
        x, wide = (float(plate.get(name) or 0) for name in ("x", "width"))
        assert 0 <= x <= 400 - wide
        assert 0 <= float(plate.get("y") or -1) <= 200 - 22
        assert words.text == "a <b> 0.5"


def test_a_caption_does_not_cover_a_better_one() -> None:
    canvas = Canvas((200, 100), 400)
    best, near, below = ((50, 50), "cat 0.9"), ((60, 52), "cat 0.8"), ((60, 70), "cat 0.7")
    assert [one.text for one in elements(canvas.captions([best, near, below])) if one.text] == ["cat 0.9", "cat 0.7"]


def test_arrows_shorter_than_their_head_are_left_out() -> None:
    canvas = Canvas((200, 100), 400)
    assert canvas.arrow((10, 10), (12, 10)) == ""
    *_, head = elements(canvas.arrow((10, 10), (60, 10)))
    assert (head.get("d") or "").startswith("M120.0 20.0")


def test_points() -> None:
    canvas = Canvas((200, 100), 400)
    assert canvas.dots([]) == canvas.crosses([]) == ""
    assert [one.get("d") for one in elements(canvas.dots([(1, 2), (3, 4)]))] == ["M2 4h.1M6 8h.1"] * 2
    assert [one.get("d") for one in elements(canvas.crosses([(10, 10)]))] == ["M17 17l6 6m0-6l-6 6"] * 2


def test_cells_are_the_fuller_the_nearer_they_are_to_the_most() -> None:
    canvas = Canvas((200, 100), 200)
    cells = elements(canvas.heat([[0.0, 0.25], [0.5, 0.5]], (100, 50), 0.5))
    assert [one.get("fill-opacity") for one in cells] == ["0.42", "0.85"]
    assert cells[0].get("d") == "M100.0 0.0h100.0v50.0h-100.0z"
    assert cells[1].get("d") == "M0.0 50.0h200.0v50.0h-200.0z"  # two cells of one shade
    assert canvas.heat([[0.0]], (200, 100), 0.0) == ""


@pytest.mark.parametrize("panels", [1, 2, 5])
def test_the_whole_is_well_formed_and_holds_a_picture_a_panel(panels: int) -> None:
    drawn = overlay(PICTURE, "a < b", [Panel(f"panel {n}", "<path/>") for n in range(panels)], ["word " * 40])
    root = ElementTree.fromstring(drawn)
    assert len(root.findall(f"{SVG}svg/{SVG}image")) == panels
    assert root.get("aria-label") == "a < b"
    height = float((root.get("viewBox") or "").split()[3])
    assert all(float(one.get("y") or 0) < height for one in root.findall(f"{SVG}text"))
    words = [one.text or "" for one in root.findall(f"{SVG}text")]
    assert max(map(len, words)) <= 66
    assert not [one for one in root.iter() if one.get("id")]


def test_a_high_picture_does_not_fill_the_width() -> None:
    assert canvas_of(Image.new("RGB", (100, 400))).height == 760
