"""Small objects are shown enlarged: where they lie, how large, and with the marks that are there."""

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from vedette.glass.close_up import SIDE, close_up, window_around
from vedette.pages.marks import Mark

SMALL = (100.0, 60.0, 112.0, 68.0)  # of 12 pixels


class One:
    """A black picture of 400 × 300 with a white object, annotated in twice its size."""

    def file(self, index: int) -> Path:
        return Path("one.png")

    def size(self, index: int) -> tuple[int, int]:
        return 800, 600

    def image(self, index: int) -> Image.Image:
        picture = Image.new("RGB", (400, 300))
        picture.paste((255, 255, 255), tuple(round(side / 2) for side in SMALL))
        return picture


@pytest.mark.parametrize(
    ("box", "window"),
    [
        (SMALL, (82, 40, 130, 88)),  # four times 12 around (106, 64)
        ((100.0, 60.0, 104.0, 63.0), (86, 46, 118, 78)),  # at least 32 pixels
        ((2.0, 296.0, 14.0, 300.0), (0, 252, 48, 300)),  # within the picture
        ((0.0, 0.0, 49.0, 10.0), (0, 0, 196, 196)),
        ((0.0, 0.0, 50.0, 10.0), None),  # an eighth of 400
    ],
)
def test_the_window_is_four_times_the_object_within_the_picture(
    box: tuple[float, ...], window: tuple[int, ...] | None
) -> None:
    assert window_around(box, (400, 300)) == window


def test_a_thin_picture_is_shown_in_its_whole_height() -> None:
    assert window_around((40.0, 2.0, 60.0, 6.0), (400, 10)) == (10, 0, 90, 10)


def test_an_object_of_12_pixels_fills_a_quarter_of_the_close_up() -> None:
    mark, far = Mark(SMALL, "missed", "", dashed=False), Mark((700.0, 500.0, 790.0, 590.0), "hit", "", dashed=False)
    uri = close_up(One(), 0, SMALL, [mark, far])
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert picture.size == (SIDE, SIDE)
    bright = picture.convert("L").point(lambda value: 255 if value > 100 else 0).getbbox()  # the object and its frame
    assert bright is not None
    assert (bright[2] - bright[0]) / SIDE == pytest.approx(12 / 48, abs=0.02)
    assert (bright[3] - bright[1]) / SIDE == pytest.approx(8 / 48, abs=0.02)
    assert (bright[0] + bright[2]) / 2 / SIDE == pytest.approx(0.5, abs=0.01)


def test_a_large_object_has_none() -> None:
    assert close_up(One(), 0, (100.0, 60.0, 400.0, 300.0), []) == ""
