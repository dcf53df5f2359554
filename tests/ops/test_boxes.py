"""Boxes: hand-written numbers, overlap against a loop over single boxes, borders and empty boxes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vedette.ops.boxes import area, clip, giou, iou, mirror, to_centers, to_corners

examples = settings(max_examples=60, deadline=None, database=None, derandomize=True)
Box = tuple[float, float, float, float]


def slow_iou(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union > 0 else 0.0


def slow_giou(a: Box, b: Box) -> float:
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return slow_iou(a, b) - (hull - union) / hull


def random_boxes(*shape: int, low: float = -50.0, high: float = 150.0, dtype: torch.dtype = torch.float64) -> Tensor:
    corners = low + (high - low) * torch.rand(*shape, 2, 2, dtype=dtype)
    return torch.cat([corners.amin(-2), corners.amax(-2)], -1)


@st.composite
def some_boxes(draw: st.DrawFn, most: int = 6) -> Tensor:
    coordinate = st.integers(-40, 400).map(float)
    side = st.integers(1, 300).map(float)
    rows = draw(st.lists(st.tuples(coordinate, coordinate, side, side), min_size=1, max_size=most))
    return torch.tensor([(x, y, x + w, y + h) for x, y, w, h in rows], dtype=torch.float64)


def test_corners_and_centers_by_hand() -> None:
    corners = torch.tensor([[10.0, 20.0, 30.0, 60.0], [-4.0, -2.0, 0.0, 0.0]])
    centers = torch.tensor([[20.0, 40.0, 20.0, 40.0], [-2.0, -1.0, 4.0, 2.0]])
    assert torch.equal(to_centers(corners), centers)
    assert torch.equal(to_corners(centers), corners)


@examples
@given(some_boxes())
def test_corners_come_back_from_centers(boxes: Tensor) -> None:
    assert torch.equal(to_corners(to_centers(boxes)), boxes)  # halves of integers are exact
    assert torch.equal(to_corners(to_centers(boxes[None, :, None])), boxes[None, :, None])


def test_clip_by_hand() -> None:
    boxes = torch.tensor([[-5.0, -6.0, 700.0, 500.0], [10.0, 20.0, 30.0, 40.0], [650.0, 490.0, 660.0, 500.0]])
    expected = torch.tensor([[0.0, 0.0, 640.0, 480.0], [10.0, 20.0, 30.0, 40.0], [640.0, 480.0, 640.0, 480.0]])
    assert torch.equal(clip(boxes, 640, 480), expected)
    assert torch.equal(clip(boxes[None, None], 640, 480), expected[None, None])


def test_mirror_by_hand() -> None:
    boxes = torch.tensor([[[10.0, 20, 30, 50]], [[-5, 0, 100, 1]]])
    assert mirror(boxes, 100).tolist() == [[[70, 20, 90, 50]], [[0, 0, 105, 1]]]
    assert torch.equal(mirror(mirror(boxes, 100), 100), boxes)


def test_area_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0.0, 4.0, 3.0], [-4.0, -3.0, 0.0, 0.0], [5.0, 5.0, 5.0, 9.0], [5.0, 5.0, 1.0, 9.0]])
    assert area(boxes).tolist() == [12.0, 12.0, 0.0, 0.0]
    inside_out_twice = torch.tensor([5.0, 5.0, 1.0, 1.0])
    assert area(inside_out_twice).item() == 0.0


def test_iou_by_hand() -> None:
    first = torch.tensor([[0.0, 0.0, 10.0, 10.0], [-10.0, -10.0, 0.0, 0.0]])
    second = torch.tensor(
        [[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [10.0, 0.0, 20.0, 10.0], [2.0, 2.0, 4.0, 4.0]]
    )
    expected = torch.tensor([[1.0, 50 / 150, 0.0, 0.04], [0.0, 0.0, 0.0, 0.0]])
    assert torch.equal(iou(first, second), expected)


def test_giou_by_hand() -> None:
    one = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    others = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 15.0, 15.0], [20.0, 0.0, 30.0, 10.0]])
    expected = torch.tensor([[1.0, 25 / 175 - 50 / 225, -10 / 30]])
    torch.testing.assert_close(giou(one, others), expected, rtol=1e-7, atol=0)
    assert giou(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([[999.0, 999.0, 1000.0, 1000.0]])).item() < -0.9999


@pytest.mark.parametrize(("fast", "slow"), [(iou, slow_iou), (giou, slow_giou)])
def test_overlaps_equal_the_loop(fast: object, slow: object) -> None:
    first, second = random_boxes(3, 7), random_boxes(3, 5)
    images = zip(first.tolist(), second.tolist(), strict=True)
    expected = [[[slow(a, b) for b in image[1]] for a in image[0]] for image in images]
    torch.testing.assert_close(fast(first, second), torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_iou_broadcasts_over_images() -> None:
    anchors, boxes = random_boxes(9), random_boxes(4, 3)
    assert torch.equal(iou(boxes, anchors), iou(boxes, anchors.expand(4, 9, 4)))
    assert iou(boxes, anchors).shape == (4, 3, 9)


@examples
@given(some_boxes(), some_boxes())
def test_overlaps_are_symmetric_and_bounded(first: Tensor, second: Tensor) -> None:
    overlap, general = iou(first, second), giou(first, second)
    assert torch.equal(overlap, iou(second, first).T)
    assert torch.equal(general, giou(second, first).T)
    assert ((overlap >= 0) & (overlap <= 1)).all()
    assert ((general >= -1) & (general <= overlap)).all()
    assert (iou(first, first).diagonal() == 1).all()
    assert (giou(first, first).diagonal() == 1).all()


@examples
@given(some_boxes(), st.integers(-500, 500))
def test_overlaps_do_not_change_under_a_shift(boxes: Tensor, shift: int) -> None:
    assert torch.equal(iou(boxes + shift, boxes + shift), iou(boxes, boxes))
    assert torch.equal(giou(boxes + shift, boxes + shift), giou(boxes, boxes))


@pytest.mark.parametrize("overlap", [iou, giou])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_overlaps_of_boxes_without_area_are_finite(overlap: object, dtype: torch.dtype) -> None:
    boxes = torch.tensor([[5, 5, 5, 5], [0, 0, 10, 10], [0, 0, 0, 10], [9, 9, 1, 1]], dtype=dtype)
    values = overlap(boxes, boxes)
    assert values.dtype == dtype
    assert torch.isfinite(values).all()
    assert iou(boxes, boxes)[0].tolist() == [0, 0, 0, 0]
    assert iou(boxes, boxes)[3].tolist() == [0, 0, 0, 0]  # inside out


@pytest.mark.parametrize("overlap", [iou, giou])
def test_no_boxes(overlap: object) -> None:
    none, some = torch.zeros(0, 4), random_boxes(3, dtype=torch.float32)
    assert overlap(none, some).shape == (0, 3)
    assert overlap(some, none).shape == (3, 0)
    assert overlap(torch.zeros(0, 5, 4), some).shape == (0, 5, 3)
    for function in (to_centers, to_corners, lambda boxes: clip(boxes, 10, 10)):
        assert function(none).shape == (0, 4)
    assert area(none).shape == (0,)


def test_iou_is_exact_far_from_the_origin() -> None:
    near = torch.tensor([[0.0, 0.0, 3.0, 4.0], [1.0, 1.0, 4.0, 5.0]])
    assert torch.equal(iou(near + 8192, near + 8192), iou(near, near))


@pytest.mark.parametrize("overlap", [iou, giou])
def test_overlaps_have_right_gradients(overlap: object) -> None:
    first, second = random_boxes(3).requires_grad_(), random_boxes(2).requires_grad_()
    assert torch.autograd.gradcheck(overlap, (first, second))


@pytest.mark.parametrize("overlap", [iou, giou])
def test_overlaps_leave_their_inputs_alone(overlap: object) -> None:
    boxes = random_boxes(4)
    before = boxes.clone()
    overlap(boxes, boxes)
    assert torch.equal(boxes, before)
