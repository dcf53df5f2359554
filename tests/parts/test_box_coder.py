"""The box coder: numbers by hand, a loop over single boxes, there and back, wild and degenerate input."""

from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vedette.parts.box_coder import BoxCoder

examples = settings(max_examples=60, deadline=None, database=None, derandomize=True)
Box = list[float]


def slow_encode(box: Box, reference: Box, std: tuple[float, ...]) -> Box:
    width, height = reference[2] - reference[0], reference[3] - reference[1]
    x, y = (box[0] + box[2] - reference[0] - reference[2]) / 2, (box[1] + box[3] - reference[1] - reference[3]) / 2
    plain = [x / width, y / height, log((box[2] - box[0]) / width), log((box[3] - box[1]) / height)]
    return [value / divisor for value, divisor in zip(plain, std, strict=True)]


def slow_decode(deltas: Box, reference: Box, std: tuple[float, ...]) -> Box:
    dx, dy, dw, dh = (value * factor for value, factor in zip(deltas, std, strict=True))
    width, height = reference[2] - reference[0], reference[3] - reference[1]
    x, y = (reference[0] + reference[2]) / 2 + dx * width, (reference[1] + reference[3]) / 2 + dy * height
    width, height = width * exp(dw), height * exp(dh)
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def random_boxes(*shape: int) -> Tensor:
    low = torch.rand(*shape, 2, dtype=torch.float64) * 200 - 50
    return torch.cat([low, low + 5 + torch.rand(*shape, 2, dtype=torch.float64) * 100], -1)


def test_by_hand() -> None:
    reference = torch.tensor([10.0, 20.0, 30.0, 60.0])  # centre 20, 40; size 20, 40
    box = torch.tensor([22.0, 36.0, 32.0, 44.0])  # centre 27, 40; size 10, 8
    expected = torch.tensor([7 / 20 / 0.1, 0.0, log(1 / 2) / 0.2, log(1 / 5) / 0.2])
    torch.testing.assert_close(BoxCoder().encode(box, reference), expected)
    torch.testing.assert_close(BoxCoder().decode(expected, reference), box)
    ones = BoxCoder((1.0, 1.0, 1.0, 1.0))
    torch.testing.assert_close(ones.encode(box, reference), torch.tensor([0.35, 0.0, log(0.5), log(0.2)]))


def test_a_box_on_its_reference_is_zero() -> None:
    boxes = random_boxes(5)
    assert torch.equal(BoxCoder().encode(boxes, boxes), torch.zeros(5, 4, dtype=torch.float64))
    torch.testing.assert_close(BoxCoder().decode(torch.zeros_like(boxes), boxes), boxes)


@pytest.mark.parametrize("std", [(0.1, 0.1, 0.2, 0.2), (1.0, 2.0, 3.0, 4.0)])
def test_equals_the_loop(std: tuple[float, float, float, float]) -> None:
    boxes, references = random_boxes(6), random_boxes(6)
    pairs = list(zip(boxes.tolist(), references.tolist(), strict=True))
    deltas = torch.tensor([slow_encode(*pair, std) for pair in pairs], dtype=torch.float64)
    torch.testing.assert_close(BoxCoder(std).encode(boxes, references), deltas)
    deltas = torch.randn(6, 4, dtype=torch.float64) / torch.tensor(std)
    rows = zip(deltas.tolist(), references.tolist(), strict=True)
    expected = torch.tensor([slow_decode(*row, std) for row in rows], dtype=torch.float64)
    torch.testing.assert_close(BoxCoder(std).decode(deltas, references), expected)


@examples
@given(st.integers(0, 2**31))
def test_there_and_back(seed: int) -> None:
    torch.manual_seed(seed)
    boxes, references, deltas = random_boxes(3, 4), random_boxes(4), torch.randn(3, 4, 4, dtype=torch.float64)
    coder = BoxCoder()
    torch.testing.assert_close(coder.decode(coder.encode(boxes, references), references), boxes)
    torch.testing.assert_close(coder.encode(coder.decode(deltas, references), references), deltas)


@examples
@given(st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_a_shift_of_both_changes_nothing(x: float, y: float) -> None:
    boxes, references, shift = random_boxes(4), random_boxes(4), torch.tensor([x, y, x, y], dtype=torch.float64)
    deltas = BoxCoder().encode(boxes, references)
    torch.testing.assert_close(BoxCoder().encode(boxes + shift, references + shift), deltas)


def test_references_broadcast_over_images() -> None:
    boxes, references = random_boxes(2, 5), random_boxes(5)
    assert torch.equal(BoxCoder().encode(boxes, references), BoxCoder().encode(boxes, references.expand(2, 5, 4)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_decodes_in_float32(dtype: torch.dtype) -> None:
    deltas, references = torch.tensor([[0.5, -0.5, 1.0, -1.0]], dtype=dtype), random_boxes(1).float()
    decoded = BoxCoder().decode(deltas, references)
    assert decoded.dtype == torch.float32
    assert torch.equal(decoded, BoxCoder().decode(deltas.float(), references))


def test_wild_deltas_stay_finite_and_tiny_ones_lose_their_area() -> None:
    reference = torch.tensor([0.0, 0.0, 16.0, 16.0])
    wild = BoxCoder().decode(torch.tensor([0.0, 0.0, 1e6, 1e30]), reference)
    torch.testing.assert_close(wild, torch.tensor([-492.0, -492.0, 508.0, 508.0]))  # grown 1000 / 16 times at most
    nothing = BoxCoder().decode(torch.tensor([0.0, 0.0, -1e6, -1e30]), reference)
    assert nothing.tolist() == [8.0, 8.0, 8.0, 8.0]


def test_no_boxes() -> None:
    assert BoxCoder().encode(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0, 4)
    assert BoxCoder().decode(torch.zeros(2, 0, 4), torch.zeros(0, 4)).shape == (2, 0, 4)


def test_gradients_are_right() -> None:
    boxes, references = random_boxes(3).requires_grad_(), random_boxes(3).requires_grad_()
    deltas = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(BoxCoder().encode, (boxes, references))
    assert torch.autograd.gradcheck(BoxCoder().decode, (deltas, references))
