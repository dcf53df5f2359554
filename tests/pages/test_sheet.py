"""Many pictures on one: each in a cell of its own, whatever their sizes."""

from PIL import Image

from vedette.pages.sheet import GAP, GROUND, LINE, contact_sheet, titled


def test_every_picture_has_its_place() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9), (255, 255, 0)]
    sizes = [(10, 20), (30, 5), (30, 20), (1, 1), (8, 8)]
    pictures = [Image.new("RGB", size, colour) for size, colour in zip(sizes, colours, strict=True)]
    sheet = contact_sheet(pictures)
    assert sheet.size == (3 * (30 + GAP) + GAP, 2 * (20 + GAP) + GAP)
    for number, colour in enumerate(colours):
        assert sheet.getpixel((GAP + number % 3 * (30 + GAP), GAP + number // 3 * (20 + GAP))) == colour
    assert sheet.getpixel((0, 0)) == GROUND
    assert contact_sheet(pictures[:1]).size == (10 + 2 * GAP, 20 + 2 * GAP)
    assert contact_sheet(pictures, columns=1).size == (30 + 2 * GAP, 5 * (20 + GAP) + GAP)
    assert contact_sheet(pictures, columns=400).size == (5 * (30 + GAP) + GAP, 20 + 2 * GAP)  # no empty ones


def test_a_title_stands_below_and_a_long_one_is_cut_at_its_front() -> None:
    picture = Image.new("RGB", (200, 50), "red")
    short, long = titled(picture, "a.jpg"), titled(picture, "a very long path " * 9 + "a.jpg")
    for one in (short, long):
        assert one.size == (200, 50 + LINE)
        assert one.crop((0, 0, 200, 48)).getcolors() == [(200 * 48, (255, 0, 0))]
        assert len(one.crop((0, 52, 200, 50 + LINE)).getcolors()) > 3  # letters
    assert titled(picture, "").crop((0, 50, 200, 50 + LINE)).getcolors() == [(200 * LINE, GROUND)]
