import numpy as np
import pytest
from PIL import Image, ImageChops

from vedette.pages.boxes import PALETTE, colour_of, draw_boxes, line_width
from vedette.pages.captions import Plate, place, text_colour


def changed(before: Image.Image, after: Image.Image) -> tuple[int, int, int, int] | None:
    return ImageChops.difference(before.convert("RGB"), after).getbbox()


def test_the_given_picture_stays_as_it_is() -> None:
    picture = Image.new("L", (100, 80), 128)
    before = picture.copy()
    drawn = draw_boxes(picture, [[10, 10, 60, 60]], ["cat 0.90"], [3])
    assert picture.tobytes() == before.tobytes()
    assert (drawn.mode, drawn.size) == ("RGB", picture.size)


def test_nothing_to_draw() -> None:
    picture = Image.new("RGB", (50, 40), "green")
    assert changed(picture, draw_boxes(picture, [], [], [])) is None


def test_the_line_lies_on_the_box() -> None:
    picture = Image.new("RGB", (100, 100), "gray")
    drawn = draw_boxes(picture, [[20, 30, 70, 80]], [""], [1])
    assert line_width(picture.size) == 1
    for corner in ((20, 30), (69, 30), (20, 79), (69, 79)):
        assert drawn.getpixel(corner) == colour_of(1)
    assert drawn.getpixel((45, 55)) == picture.getpixel((45, 55))
    assert changed(picture, drawn.crop((0, 0, 100, 100)))[2:] == (70, 80)


def test_boxes_beyond_the_picture_are_seen_at_its_border() -> None:
    drawn = draw_boxes(Image.new("RGB", (100, 100)), [[-50, -50, 500, 500]], [""], [0])
    assert drawn.getpixel((0, 50)) == drawn.getpixel((99, 50)) == drawn.getpixel((50, 99)) == colour_of(0)


def test_the_best_box_is_on_top() -> None:
    drawn = draw_boxes(Image.new("RGB", (100, 100)), [[10, 10, 60, 60], [10, 10, 60, 60]], ["", ""], [0, 1])
    assert drawn.getpixel((10, 59)) == colour_of(0)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 5000), (5000, 1), (12, 12)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    drawn = draw_boxes(Image.new("RGB", size), [[0, 0, *size]], ["refrigerator 0.99"], [0])
    assert drawn.size == size
    assert drawn.getpixel((0, 0)) == colour_of(0)


@pytest.mark.parametrize("box", [[0, 0, 30, 30], [270, 170, 300, 200], [0, 0, 300, 200], [290, 100, 299, 105]])
def test_the_whole_caption_is_inside(box: list[float]) -> None:
    """A caption moved by the border shows as many pixels as one in the middle."""

    def letters(rectangle: list[float]) -> int:
        drawn = np.array(draw_boxes(Image.new("RGB", (300, 200), "white"), [rectangle], ["sofa 0.50"], [1]))
        return int((drawn == colour_of(1)).all(-1).sum()) - int(
            (np.array(draw_boxes(Image.new("RGB", (300, 200), "white"), [rectangle], [" "], [1])) == colour_of(1))
            .all(-1)
            .sum()
        )

    assert letters(box) > 0.6 * letters([100, 100, 130, 130])


def test_lines_and_letters_grow_with_the_picture() -> None:
    assert line_width((300, 300)) < line_width((1200, 1200)) < line_width((4000, 3000))
    heights = []
    for side in (400, 1600):
        picture = Image.new("RGB", (side, side))
        drawn = draw_boxes(picture, [[0, side / 2, 1, side / 2 + 1]], ["cat"], [0])
        _, top, _, bottom = changed(picture, drawn)
        heights.append(bottom - top)
    assert heights[1] > 2.5 * heights[0]


def test_plates_avoid_one_another() -> None:
    rectangle, size = Plate(50, 50, 120, 120), (300, 300)
    taken: list[Plate] = []
    for _ in range(4):
        taken.append(place(size, rectangle, (40, 12), taken))
    assert taken[0] == (50, 38, 90, 50)  # above the box
    overlaps = [a.overlap(b) for i, a in enumerate(taken) for b in taken[:i]]
    assert sum(overlaps) == 0


def test_captions_of_one_place_are_both_seen() -> None:
    box, size = [80, 80, 150, 150], (300, 300)

    def coloured(labels: list[int]) -> list[int]:
        drawn = np.array(draw_boxes(Image.new("RGB", size), [box] * len(labels), ["bird 0.50"] * len(labels), labels))
        return [int((drawn == colour_of(label)).all(-1).sum()) for label in labels]

    line = 4 * 70 * line_width(size)
    first, second = coloured([0, 1])  # the first box lies on the second; neither caption on the other
    assert first > 1.3 * line
    assert second > 0.8 * (coloured([1])[0] - line)


def test_plates_stay_inside() -> None:
    for box in (Plate(0, 0, 5, 5), Plate(95, 95, 99, 99), Plate(0, 0, 99, 99)):
        left, top, right, bottom = place((100, 100), box, (60, 14), [])
        assert left >= 0
        assert top >= 0
        assert right <= 100
        assert bottom <= 100


def test_colours_are_distinct_and_their_text_is_readable() -> None:
    def luminance(colour: tuple[int, ...]) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    assert len(set(PALETTE)) == len(PALETTE)
    for colour in PALETTE:
        dark, light = sorted((luminance(colour), luminance(text_colour(colour))))
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA
    assert colour_of(len(PALETTE)) == colour_of(0)


def test_a_dashed_box_is_not_closed() -> None:
    picture = Image.new("RGB", (100, 100), "white")
    colour = PALETTE[1]
    rows = [
        [drawn.getpixel((x, 20)) == colour for x in range(20, 80)]
        for dashed in (None, [False], [True])
        for drawn in [draw_boxes(picture, [[20, 20, 80, 80]], [""], [1], dashed=dashed)]
    ]
    assert all(rows[0])
    assert rows[0] == rows[1]
    assert 0.3 < sum(rows[2]) / 60 < 0.7
