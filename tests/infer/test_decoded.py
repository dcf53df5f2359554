from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vedette.errors import InputError
from vedette.infer import decoded
from vedette.infer.decoded import Given, decode_ahead, in_windows, look_ahead, size_of
from vedette.infer.multiscale import Passes, plan_passes
from vedette.infer.pictures import ImageLike, as_picture
from vedette.structures import Detections, InputSpec

SIDES = [(30, 20), (20, 30), (60, 40), (20, 30), (20, 40), (30, 20), (40, 20), (30, 20), (20, 30)]
PADDED = InputSpec(size=20, resize="short side", divisor=4)


def pictures(sides: list[tuple[int, int]]) -> list[ImageLike]:
    return [Image.new("RGB", size) for size in sides]


def places(windows: Any) -> list[list[int]]:
    return [[one.place for one in window] for window in windows]


def nothing_in(picture: Image.Image) -> Detections:
    empty = torch.zeros(0)
    return Detections(torch.zeros(0, 4), empty, empty.long(), empty.long(), image=picture)


def test_where_squares_are_looked_at_the_order_stays() -> None:
    passes = plan_passes(InputSpec(size=20), batch_size=4)
    assert places(in_windows(pictures(SIDES), passes)) == [[0, 1, 2, 3], [0, 1, 2, 3], [0]]


def test_a_window_puts_like_shapes_side_by_side() -> None:
    """Width, then height, of the input: 20 × 30 thrice, 20 × 40, then 30 × 20 four times (60 × 40 is one), 40 × 20."""
    passes = plan_passes(PADDED, batch_size=3)
    assert places(in_windows(pictures(SIDES), passes)) == [[1, 3, 8, 4, 0, 2, 5, 7, 6]]
    assert [len(window) for window in in_windows(pictures(SIDES * 3), passes)] == [12, 12, 3]


def test_a_window_holds_no_more_pixels_than_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "MOST_PIXELS", 2400 + 600)
    passes = plan_passes(PADDED, batch_size=3)
    assert [len(window) for window in in_windows(pictures(SIDES), passes)] == [2, 2, 4, 1]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 50])
@pytest.mark.parametrize("spec", [PADDED, InputSpec(size=20)])
def test_results_come_in_the_order_given_whatever_is_looked_at_together(batch_size: int, spec: InputSpec) -> None:
    given: list[ImageLike] = [*pictures(SIDES), "none.jpg", *pictures(SIDES[::-1])]
    seen: list[int] = []

    def decode(image: ImageLike) -> Image.Image | InputError:
        return InputError("no such file") if isinstance(image, str) else as_picture(image)

    def look(batch: list[Image.Image]) -> list[Detections]:
        seen.append(len(batch))
        return [nothing_in(one) for one in batch]

    found = [one for some in look_ahead(given, decode, look, plan_passes(spec, batch_size=batch_size)) for one in some]
    sizes = [one.image.size for one in found if isinstance(one, Detections) and one.image is not None]
    assert sizes == SIDES + SIDES[::-1]
    assert [isinstance(one, InputError) for one in found] == [False] * 9 + [True] + [False] * 9
    assert max(seen) <= batch_size
    assert sum(seen) == 18


def test_a_batch_of_like_shapes_has_less_padding() -> None:
    """Nine pictures in threes: upright, then flat, where the order given mixes them."""
    shapes: list[set[tuple[int, int]]] = []

    def look(batch: list[Image.Image]) -> list[Detections]:
        shapes.append({(one.width > one.height, one.width < one.height) for one in batch})
        return [nothing_in(one) for one in batch]

    sides = [(30, 20), (20, 30)] * 6
    list(look_ahead(pictures(sides), as_picture, look, plan_passes(PADDED, batch_size=3)))
    assert [len(kinds) for kinds in shapes] == [1, 1, 1, 1]


def test_the_next_pictures_are_decoded_while_one_is_used() -> None:
    started = {number: Event() for number in range(6)}

    def decode(number: Any) -> Image.Image:
        started[number].set()
        return Image.new("RGB", (1, 1))

    stream = decode_ahead([Given(number) for number in started], decode, ahead=2)  # type: ignore[arg-type]
    next(stream)
    events = list(started.values())
    assert all(event.wait(10) for event in events[:3])
    assert not any(event.is_set() for event in events[3:])
    assert len(list(stream)) == 5


def test_large_pictures_wait_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two have ten pixels more than may wait together; what cannot be read waits beside any."""
    monkeypatch.setattr(decoded, "MOST_PIXELS", 2 * 60 * 60 - 10)
    sides, begun = (60, 60, 60, 0, 60), list[int]()

    def decode(number: Any) -> Image.Image:
        begun.append(number)
        return Image.new("RGB", (1, 1))

    given = [Given(number, 0, side, side) for number, side in enumerate(sides)]  # type: ignore[arg-type]
    stream = decode_ahead(given, decode, ahead=5)
    for count in (1, 2):
        next(stream)
        assert begun == [*range(count)]
    next(stream)
    assert 4 not in begun
    assert len(list(stream)) == 2
    assert begun == [*range(5)]


def test_sizes_without_decoding(tmp_path: Path) -> None:
    file, turned, broken = tmp_path / "a.png", tmp_path / "b.jpg", tmp_path / "c.jpg"
    Image.new("RGB", (7, 5)).save(file)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (7, 5)).save(turned, exif=exif)
    broken.write_text("no picture")
    assert [size_of(one) for one in (file, str(turned), broken, tmp_path)] == [(7, 5), (5, 7), (0, 0), (0, 0)]
    assert size_of(Image.new("L", (7, 5))) == (7, 5)
    assert size_of(np.zeros((5, 7, 3), np.uint8)) == size_of(np.zeros((5, 7), np.uint8)) == (7, 5)
    assert size_of(torch.zeros(3, 5, 7)) == size_of(torch.zeros(5, 7)) == (7, 5)
    assert size_of(torch.zeros(())) == (0, 0)


def test_a_window_of_passes_without_padding_is_a_batch() -> None:
    passes = Passes((InputSpec(size=20),), (False,), False, 2)
    assert [len(window) for window in in_windows(["none.jpg"] * 5, passes)] == [2, 2, 1]
