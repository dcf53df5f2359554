"""SSD's augmentation: its odds and bounds over many draws, and that boxes stay on their pixels."""

import math

import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torchvision import tv_tensors

from vedette.data import transforms
from vedette.data.transforms import (
    CROP_MODES,
    PhotometricDistort,
    SSDAugment,
    draw_crop,
    draw_zoom_out,
    eval_transform,
    fill_colour,
    map_boxes,
    scale_levels,
    shift_colours,
    train_transform,
    try_crops,
    visible_part,
)
from vedette.structures import InputSpec

DRAWS = 10_000
BLACK = (0, 0, 0)
OBJECTS = torch.tensor([[30.0, 20.0, 130.0, 120.0], [150.0, 90.0, 190.0, 140.0]])  # in an image of 200 x 150


def within_chance(count: int, draws: int, probability: float) -> bool:
    """Five standard deviations of the binomial distribution."""
    return abs(count - draws * probability) < 5 * math.sqrt(draws * probability * (1 - probability))


def sample_target(boxes: Tensor, size: tuple[int, int], ignore: list[bool] | None = None) -> dict[str, Tensor]:
    return {
        "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size[::-1]),
        "labels": torch.arange(len(boxes)),
        "ignore": torch.tensor(ignore or [False] * len(boxes), dtype=torch.bool),
    }


def overlap(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inner = max(0.0, width) * max(0.0, height)
    return inner / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner)


def holds_a_centre(window: tuple[float, ...], boxes: Tensor) -> bool:
    centres = [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in boxes.tolist()]
    return any(window[0] <= x <= window[2] and window[1] <= y <= window[3] for x, y in centres)


def test_zoom_out_comes_half_the_time_with_the_image_anywhere_on_it() -> None:
    canvases = torch.tensor([draw_zoom_out(200, 150) for _ in range(DRAWS)], dtype=torch.float64)
    zoomed = canvases[(canvases != torch.tensor([0, 0, 200, 150])).any(1)]
    assert within_chance(len(zoomed), DRAWS, 0.5)
    ratios = (zoomed[:, 2:] - zoomed[:, :2]) / torch.tensor([200, 150])
    torch.testing.assert_close(ratios[:, 0], ratios[:, 1])
    assert 1 <= ratios.min() < 1.01
    assert 3.99 < ratios.max() <= 4 + 1e-9
    assert abs(ratios.mean() - 2.5) < 0.07
    assert (zoomed[:, :2] <= 0).all()
    assert (zoomed[:, 2:] >= torch.tensor([200, 150]) - 1e-9).all()
    places = -zoomed[:, :2] / ((ratios - 1) * torch.tensor([200, 150]))
    assert (abs(places.mean(0) - 0.5) < 0.03).all()


def test_zoom_out_can_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, ...]] = []
    monkeypatch.setattr(transforms, "draw_crop", lambda boxes, canvas: asked.append(canvas) or canvas)
    transform = train_transform(InputSpec(size=16), max_zoom_out=2.0)
    for _ in range(400):
        transform(Image.new("RGB", (8, 8)), sample_target(torch.zeros(0, 4), (8, 8)))
    assert 15.5 < max(canvas[2] - canvas[0] for canvas in asked) <= 16 + 1e-9


def test_the_seven_modes_have_equal_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []
    monkeypatch.setattr(transforms, "try_crops", lambda boxes, canvas, least: tried.append(least) or (1, 1, 2, 2))
    windows = [draw_crop(OBJECTS, (0, 0, 200, 150)) for _ in range(DRAWS)]
    assert within_chance(windows.count((0, 0, 200, 150)), DRAWS, 1 / 7)
    assert CROP_MODES[0] is None
    assert CROP_MODES[1:] == (0.1, 0.3, 0.5, 0.7, 0.9, 0.0)
    assert all(within_chance(tried.count(least), DRAWS, 1 / 7) for least in CROP_MODES[1:])


def test_crops_lie_in_the_canvas_and_hold_an_object() -> None:
    narrowest, flattest, tallest = 1.0, 1.0, 1.0
    for _ in range(DRAWS):
        canvas = draw_zoom_out(200, 150)
        window = draw_crop(OBJECTS, canvas)
        assert all(near >= edge - 1e-3 for near, edge in zip(window[:2], canvas[:2], strict=True))
        assert all(far <= edge + 1e-3 for far, edge in zip(window[2:], canvas[2:], strict=True))
        assert holds_a_centre(window, OBJECTS)
        width, height = window[2] - window[0], window[3] - window[1]
        narrowest = min(narrowest, width / (canvas[2] - canvas[0]), height / (canvas[3] - canvas[1]))
        flattest, tallest = max(flattest, width / height), max(tallest, height / width)
    assert 0.3 - 1e-4 <= narrowest < 0.31
    assert 1.9 < flattest <= 2 + 1e-4
    assert 1.9 < tallest <= 2 + 1e-4


@pytest.mark.parametrize("least", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_minimum_iou_holds_for_one_object_and_need_not_for_all(least: float) -> None:
    windows = [try_crops(OBJECTS, (0.0, 0.0, 200.0, 150.0), least) for _ in range(1000)]
    found = [[overlap(list(window), box) for box in OBJECTS.tolist()] for window in windows if window is not None]
    assert len(found) > 2
    assert all(max(pair) >= least - 1e-5 for pair in found)
    assert any(min(pair) < least for pair in found)


def test_an_object_too_small_for_a_constraint_leaves_the_other_modes() -> None:
    speck = torch.tensor([[10.0, 10.0, 12.0, 12.0]])
    assert all(try_crops(speck, (0.0, 0.0, 200.0, 150.0), 0.1) is None for _ in range(20))
    assert all(holds_a_centre(draw_crop(speck, (0.0, 0.0, 200.0, 150.0)), speck) for _ in range(100))


def test_without_objects_half_the_windows_are_the_whole_image() -> None:
    whole = (0.0, 0.0, 200.0, 150.0)
    assert all(try_crops(torch.zeros(0, 4), whole, least) is None for least in (0.1, 0.3, 0.5, 0.7, 0.9))
    windows = [draw_crop(torch.zeros(0, 4), whole) for _ in range(2000)]
    assert within_chance(windows.count(whole), 2000, 0.5)


def test_boxes_are_scaled_clipped_and_flipped() -> None:
    boxes = torch.tensor([[30.0, 15.0, 70.0, 25.0]])
    window = (20.0, 10.0, 60.0, 30.0)  # 40 x 20: 2 and 4 times as large at 80 x 80
    square, wider = (80, 80), (-10.0, -5.0, 70.0, 35.0)
    assert map_boxes(boxes, window=window, size=square, flip=False).tolist() == [[20.0, 20.0, 80.0, 60.0]]
    assert map_boxes(boxes, window=window, size=square, flip=True).tolist() == [[0.0, 20.0, 60.0, 60.0]]
    assert map_boxes(boxes, window=wider, size=square, flip=True).tolist() == [[0.0, 40.0, 40.0, 60.0]]
    assert map_boxes(boxes, window=window, size=(40, 60), flip=False).tolist() == [[10.0, 15.0, 40.0, 45.0]]
    assert map_boxes(boxes, window=window, size=(40, 60), flip=True).tolist() == [[0.0, 15.0, 30.0, 45.0]]


def test_the_visible_part_falls_on_whole_pixels() -> None:
    assert visible_part((100, 50), (-50.0, -25.0, 150.0, 75.0), 80) == ((20, 20, 60, 60), (0.0, 0.0, 100.0, 50.0))
    place, source = visible_part((100, 50), (-1.0, 0.0, 99.0, 50.0), 10) or ((), ())
    assert place == (1, 0, 10, 10)  # pixel 0 shows image for 0.9 of its width: left to the fill
    assert source == pytest.approx((9.0, 0.0, 99.0, 50.0))
    assert visible_part((100, 50), (120.0, 0.0, 200.0, 50.0), 10) is None
    assert visible_part((100, 50), (99.0, 0.0, 199.0, 50.0), 10) is None


def test_objects_go_with_their_centre_and_slivers_too() -> None:
    boxes = torch.tensor([[0.0, 0, 60, 40], [0, 0, 90, 40], [60, 10, 60.3, 40], [100, 10, 200, 90.0]])
    augment = SSDAugment(100, BLACK, distort=nn.Identity())
    augment_window = (40.0, 0.0, 140.0, 100.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transforms, "draw_crop", lambda boxes, canvas: augment_window)
        patch.setattr(torch, "rand", torch.ones)  # no zoom-out, no flip
        target = sample_target(boxes, (200, 100), [False, True, False, False])
        _, found = augment(Image.new("RGB", (200, 100)), target)
    assert found["boxes"].tolist() == [[0, 0, 50, 40]]
    assert found["boxes"].canvas_size == (100, 100)
    assert found["labels"].tolist() == [1]
    assert found["ignore"].tolist() == [True]
    assert target["boxes"].tolist() == boxes.tolist()


def test_ignored_boxes_do_not_choose_the_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []
    monkeypatch.setattr(transforms, "draw_crop", lambda boxes, canvas: asked.append(boxes) or canvas)
    SSDAugment(32, BLACK)(Image.new("RGB", (200, 150)), sample_target(OBJECTS, (200, 150), [True, False]))
    assert asked[0].tolist() == OBJECTS[1:].tolist()


def test_half_the_images_are_flipped_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        transforms, "draw_zoom_out", lambda width, height, largest: (0.0, 0.0, float(width), float(height))
    )
    monkeypatch.setattr(transforms, "draw_crop", lambda boxes, canvas: canvas)
    image = Image.new("RGB", (4, 4))
    image.putpixel((0, 1), (255, 0, 0))
    augment, flipped = SSDAugment(4, BLACK, distort=nn.Identity()), 0
    for _ in range(2000):
        picture, found = augment(image, sample_target(torch.tensor([[0.0, 1, 1, 2]]), (4, 4)))
        column = int(found["boxes"][0, 0])
        assert found["boxes"].tolist() == [[column, 1, column + 1, 2]]
        assert picture.getpixel((column, 1)) == (255, 0, 0)
        assert column in (0, 3)
        flipped += column == 3
    assert within_chance(flipped, 2000, 0.5)


@pytest.mark.parametrize("resample", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_boxes_stay_on_their_pixels(resample: Image.Resampling) -> None:
    """Rectangles in red, green and blue: what is found of a colour is the box with its label, within a pixel."""
    boxes = torch.tensor([[10.0, 20, 70, 110], [90, 5, 180, 60], [110, 80, 200, 150]])
    image = Image.new("RGB", (200, 150))
    for channel, box in enumerate(boxes.int().tolist()):
        colour = [255 * (channel == at) for at in range(3)]
        ImageDraw.Draw(image).rectangle([box[0], box[1], box[2] - 1, box[3] - 1], fill=tuple(colour))
    augment, seen = SSDAugment(160, BLACK, resample, distort=nn.Identity()), 0
    for _ in range(300):
        picture, found = augment(image, sample_target(boxes, (200, 150), [False, False, True]))
        pixels = transforms.v2.functional.pil_to_tensor(picture)
        assert found["ignore"].tolist() == [label == 2 for label in found["labels"].tolist()]
        for box, label in zip(found["boxes"].tolist(), found["labels"].tolist(), strict=True):
            rows, columns = (pixels[label] > 127).nonzero().unbind(1)
            extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert [int(edge) for edge in extent] == pytest.approx(box, abs=1.01)
            seen += 1
    assert seen > 400


def test_images_without_objects_pass() -> None:
    transform = train_transform(InputSpec(size=64))
    for _ in range(50):
        pixels, found = transform(Image.new("RGB", (60, 40)), sample_target(torch.zeros(0, 4), (60, 40)))
        assert pixels.shape == (3, 64, 64)
        assert found["boxes"].shape == (0, 4)
        assert found["labels"].dtype == torch.int64
        assert found["ignore"].dtype == torch.bool


def test_what_lies_beyond_the_image_is_filled_with_the_mean() -> None:
    augment = SSDAugment(100, (124, 117, 104), distort=nn.Identity())
    picture = augment.picture(Image.new("RGB", (100, 100), (255, 255, 255)), (-50.0, -50.0, 150.0, 150.0), flip=True)
    assert picture.getpixel((24, 24)) == picture.getpixel((75, 75)) == (124, 117, 104)
    assert picture.getpixel((25, 25)) == picture.getpixel((74, 74)) == (255, 255, 255)
    beside = augment.picture(Image.new("RGB", (100, 100)), (-200.0, 0.0, -100.0, 100.0), flip=False)
    assert beside.getcolors() == [(10_000, (124, 117, 104))]


def test_the_fill_is_the_mean_in_rgb() -> None:
    assert fill_colour(InputSpec(size=300, mean=(104, 117, 123), channels="bgr")) == (123, 117, 104)
    assert fill_colour(InputSpec(size=300, range=1.0, mean=(0.485, 0.456, 0.406))) == (124, 116, 104)
    assert fill_colour(InputSpec(size=300)) == (127, 127, 127)


def test_levels_are_added_to_then_multiplied() -> None:
    pixel = Image.new("RGB", (1, 1), (100, 250, 3))
    assert scale_levels(pixel, 1.0, 0.0) is pixel
    assert scale_levels(pixel, 1.5, -10.0).getpixel((0, 0)) == (135, 255, 0)
    assert scale_levels(pixel, 0.6, 30.0).getpixel((0, 0)) == (78, 153, 20)  # 280 is cut to 255 before


def test_saturation_and_hue_change_in_hsv() -> None:
    colour = Image.new("RGB", (1, 1), (200, 100, 100))
    assert shift_colours(colour, 1.0, 0.0) is colour
    assert shift_colours(colour, 0.5, 0.0).getpixel((0, 0)) == pytest.approx((200, 150, 150), abs=2)
    assert shift_colours(colour, 1.5, 0.0).getpixel((0, 0)) == pytest.approx((200, 50, 50), abs=2)
    assert shift_colours(colour, 1.0, 120.0).getpixel((0, 0)) == pytest.approx((100, 200, 100), abs=3)
    assert shift_colours(colour, 1.0, -120.0).getpixel((0, 0)) == pytest.approx((100, 100, 200), abs=3)
    assert shift_colours(Image.new("RGB", (1, 1), (90, 90, 90)), 1.5, 18.0).getpixel((0, 0)) == (90, 90, 90)


def test_each_distortion_comes_half_the_time_in_its_range() -> None:
    draws = [PhotometricDistort().make_params([]) for _ in range(4000)]
    for name, unchanged, low, high in [
        ("brightness", 0.0, -32.0, 32.0),
        ("contrast", 1.0, 0.5, 1.5),
        ("saturation", 1.0, 0.5, 1.5),
        ("hue", 0.0, -36.0, 36.0),
    ]:
        values = [draw[name] for draw in draws if draw[name] != unchanged]
        assert within_chance(len(values), 4000, 0.5)
        assert low <= min(values) < low + (high - low) / 50
        assert high - (high - low) / 50 < max(values) <= high
    assert within_chance(sum(draw["contrast_first"] for draw in draws), 4000, 0.5)


def test_contrast_comes_before_or_after_the_colours() -> None:
    pixel = Image.new("RGB", (1, 1), (240, 120, 120))
    params = {"brightness": 0.0, "contrast": 1.5, "saturation": 1.5, "hue": 0.0}
    first = PhotometricDistort().transform(pixel, {**params, "contrast_first": True})  # (255, 180, 180), then 1.5
    last = PhotometricDistort().transform(pixel, {**params, "contrast_first": False})  # (240, 60, 60), then 1.5
    assert first.getpixel((0, 0)) == pytest.approx((255, 142, 142), abs=3)
    assert last.getpixel((0, 0)) == pytest.approx((255, 90, 90), abs=3)


def test_one_seed_gives_one_result() -> None:
    transform = train_transform(InputSpec(size=48))
    image = Image.radial_gradient("L").resize((200, 150)).convert("RGB")
    results = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        results.append(transform(image, sample_target(OBJECTS, (200, 150))))
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1]["boxes"].tolist() == results[1][1]["boxes"].tolist()
    assert not torch.equal(results[0][0], results[2][0])


def test_evaluation_warps_the_whole_image() -> None:
    image = Image.new("RGB", (40, 20), (10, 20, 30))
    boxes = torch.tensor([[4.0, 2, 20, 20], [7, 7, 7, 9]])
    pixels, found = eval_transform(InputSpec(size=80))(image, sample_target(boxes, (40, 20), [True, False]))
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (3, 80, 80)
    assert pixels.flatten(1).unique(dim=1).tolist() == [[10], [20], [30]]
    assert found["boxes"].tolist() == [[8, 8, 40, 80]]  # the other has no area
    assert found["ignore"].tolist() == [True]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_training_and_evaluation_resize_alike(interpolation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "PhotometricDistort", nn.Identity)
    monkeypatch.setattr(transforms, "draw_crop", lambda boxes, canvas: (0.0, 0.0, 60.0, 40.0))
    image, spec = Image.effect_noise((60, 40), 90).convert("RGB"), InputSpec(size=48, interpolation=interpolation)
    target = sample_target(torch.zeros(0, 4), (60, 40))
    expected, _ = eval_transform(spec)(image, target)
    found = [train_transform(spec)(image, target)[0] for _ in range(20)]
    assert all(torch.equal(pixels, expected) or torch.equal(pixels, expected.flip(2)) for pixels in found)
    assert any(torch.equal(pixels, expected) for pixels in found)


SHORT = InputSpec(size=100, resize="short side", max_side=200, divisor=32)


def test_the_short_side_keeps_the_shape_and_each_axis_has_its_scale() -> None:
    """333 x 250 becomes 133 x 100: 133 / 333 of the width, 0.4 of the height; 900 x 100 meets the longest side."""
    boxes = torch.tensor([[33.3, 25, 333, 250], [7, 7, 7, 9]])
    pixels, found = eval_transform(SHORT)(Image.new("RGB", (333, 250)), sample_target(boxes, (333, 250), [True, False]))
    assert pixels.shape == (3, 100, 133)
    torch.testing.assert_close(found["boxes"].as_subclass(Tensor), torch.tensor([[13.3, 10, 133, 100]]))
    assert found["boxes"].canvas_size == (100, 133)
    assert found["ignore"].tolist() == [True]
    long = sample_target(torch.tensor([[9.0, 0, 90, 100]]), (900, 100))
    pixels, found = eval_transform(SHORT)(Image.new("RGB", (900, 100)), long)
    assert pixels.shape == (3, 22, 200)
    torch.testing.assert_close(found["boxes"].as_subclass(Tensor), torch.tensor([[2.0, 0, 20, 22]]))


def test_a_short_side_is_trained_on_with_a_flip_alone() -> None:
    image = Image.effect_noise((60, 40), 90).convert("RGB")
    spec, flipped = InputSpec(size=20, resize="short side"), 0
    target = sample_target(torch.tensor([[6.0, 4, 24, 40], [0, 0, 1, 1]]), (60, 40))
    target["proposals"] = torch.tensor([[6.0, 4, 24, 40], [5, 5, 5, 9]])
    plain, expected = eval_transform(spec)(image, target)
    assert expected["boxes"].tolist() == [[3, 2, 12, 20], [0, 0, 0.5, 0.5]]  # half a pixel is an object still
    assert expected["proposals"].tolist() == [[3, 2, 12, 20], [2.5, 2.5, 2.5, 4.5]]  # each keeps its row
    for _ in range(1000):
        pixels, found = train_transform(spec)(image, target)
        mirrored = not torch.equal(pixels, plain)
        assert torch.equal(pixels, plain.flip(2) if mirrored else plain)
        boxes = [[18, 2, 27, 20], [29.5, 0, 30, 0.5]] if mirrored else [[3, 2, 12, 20], [0, 0, 0.5, 0.5]]
        proposals = [[18, 2, 27, 20], [27.5, 2.5, 27.5, 4.5]] if mirrored else expected["proposals"].tolist()
        assert (found["boxes"].tolist(), found["proposals"].tolist()) == (boxes, proposals)
        flipped += mirrored
    assert within_chance(flipped, 1000, 0.5)


def test_proposals_follow_a_crop_and_keep_their_rows() -> None:
    augment, window = SSDAugment(100, BLACK, distort=nn.Identity()), (40.0, 0.0, 140.0, 100.0)
    target = sample_target(torch.zeros(0, 4), (200, 100))
    target["proposals"] = torch.tensor([[150.0, 0, 200, 40], [0, 0, 90, 40], [60, 10, 70, 40]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transforms, "draw_crop", lambda boxes, canvas: window)
        patch.setattr(torch, "rand", torch.ones)  # no zoom-out, no flip
        _, found = augment(Image.new("RGB", (200, 100)), target)
    assert found["proposals"].tolist() == [[100, 0, 100, 40], [0, 0, 50, 40], [20, 10, 30, 40]]
