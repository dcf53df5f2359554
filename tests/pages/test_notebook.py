import base64
from io import BytesIO
from xml.etree import ElementTree

from PIL import Image

from vedette.pages.embed import jpeg_uri, png_of
from vedette.pages.notebook import MOST_ROWS, found_html


def test_a_picture_and_a_row_for_each() -> None:
    html = found_html(Image.new("RGB", (30, 20)), ["<b>", "dog"], [0.91, 0.5], [[1, 2, 3, 4], [5.4, 6, 7, 8]])
    root = ElementTree.fromstring(html.replace("%", "").replace('">', '"/>', 1))
    rows = [[cell.text for cell in row] for row in root.iter("tr")]
    assert rows == [
        ["class", "score", "x1, y1, x2, y2"],
        ["<b>", "0.910", "1, 2, 3, 4"],
        ["dog", "0.500", "5, 6, 7, 8"],
    ]


def test_nothing_and_very_many() -> None:
    assert "Nothing was found." in found_html(None, [], [], [])
    many = found_html(None, ["a"] * 50, [0.5] * 50, [[0, 0, 1, 1]] * 50)
    assert many.count("<tr><td") == MOST_ROWS
    assert "and 30 more" in many


def test_pictures_are_made_small() -> None:
    uri = jpeg_uri(Image.new("RGBA", (400, 200), "red"), 100)
    seen = Image.open(BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    assert (seen.format, seen.size) == ("JPEG", (100, 50))
    assert Image.open(BytesIO(png_of(Image.new("RGB", (7, 5))))).size == (7, 5)
