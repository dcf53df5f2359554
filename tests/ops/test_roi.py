"""Pooling of regions: hand-worked numbers, scalar loops, regions at the border and smaller than a cell."""

from math import ceil, floor, inf, nan

import pytest
import torch
import torchvision
from torch import Tensor

from vedette.ops.roi import numbered, roi_align, roi_max_pool


def slow_max_pool(feature: Tensor, box: list[float], size: int, scale: float) -> Tensor:
    """One region of (C, H, W): corners to whole cells, parts from floor to ceil, 0 where a part has no cell."""
    left, top, right, bottom = (floor(x * scale + 0.5) for x in box)  # half away from zero, as C rounds
    width, height = max(right - left + 1, 1), max(bottom - top + 1, 1)
    out = torch.zeros(len(feature), size, size)
    for i in range(size):
        for j in range(size):
            rows = range(floor(i * height / size) + top, ceil((i + 1) * height / size) + top)
            columns = range(floor(j * width / size) + left, ceil((j + 1) * width / size) + left)
            cells = [
                feature[:, y, x]
                for y in rows
                for x in columns
                if 0 <= y < feature.shape[1] and 0 <= x < feature.shape[2]
            ]
            if cells:
                out[:, i, j] = torch.stack(cells).amax(0)
    return out


def slow_align(feature: Tensor, box: list[float], size: int, scale: float, samples: int, aligned: bool) -> Tensor:
    """One region of (C, H, W): the mean of samples × samples points a part, each interpolated between four cells."""
    half = 0.5 if aligned else 0.0
    left, top, right, bottom = (x * scale - half for x in box)
    width, height = right - left, bottom - top
    if not aligned:
        width, height = max(width, 1.0), max(height, 1.0)
    out = torch.zeros(len(feature), size, size)
    for i in range(size):
        for j in range(size):
            for m in range(samples):
                for n in range(samples):
                    y = top + (i + (m + 0.5) / samples) * height / size
                    x = left + (j + (n + 0.5) / samples) * width / size
                    out[:, i, j] += interpolated(feature, y, x) / samples**2
    return out


def interpolated(feature: Tensor, y: float, x: float) -> Tensor:
    rows, columns = feature.shape[1:]
    if not (-1 <= y <= rows and -1 <= x <= columns):
        return torch.zeros(len(feature))
    y, x = max(y, 0.0), max(x, 0.0)
    low_y, low_x = min(floor(y), rows - 1), min(floor(x), columns - 1)
    high_y, high_x = min(low_y + 1, rows - 1), min(low_x + 1, columns - 1)
    dy, dx = (y - low_y if low_y < rows - 1 else 0.0), (x - low_x if low_x < columns - 1 else 0.0)
    upper = feature[:, low_y, low_x] * (1 - dx) + feature[:, low_y, high_x] * dx
    lower = feature[:, high_y, low_x] * (1 - dx) + feature[:, high_y, high_x] * dx
    return upper * (1 - dy) + lower * dy


REGIONS = [
    [0.0, 0.0, 160.0, 128.0],  # the whole image, whose last corner lies beyond the last cell
    [17.0, 33.0, 90.0, 100.0],
    [40.0, 40.0, 42.0, 41.0],  # smaller than a cell
    [150.0, 120.0, 170.0, 140.0],  # out of the image on two sides
    [8.0, 8.0, 24.0, 24.0],  # corners half a cell from its border
]


def test_max_pooling_by_hand() -> None:
    feature = torch.arange(16.0).view(1, 1, 4, 4)
    rois = torch.tensor([[0.0, 0.0, 0.0, 48.0, 48.0]])  # cells 0 to 3
    assert roi_max_pool(feature, rois, 2, 1 / 16).tolist() == [[[[5.0, 7.0], [13.0, 15.0]]]]
    rois = torch.tensor([[0.0, 16.0, 16.0, 16.0, 16.0]])  # one cell
    assert roi_max_pool(feature, rois, 2, 1 / 16).tolist() == [[[[5.0, 5.0], [5.0, 5.0]]]]


def test_align_by_hand() -> None:
    feature = torch.arange(16.0).view(1, 1, 4, 4)  # 4 y + x
    rois = torch.tensor([[0.0, 0.0, 0.0, 32.0, 32.0]])  # two cells a side: points at 0.25, 0.75, 1.25, 1.75
    assert roi_align(feature, rois, 2, 1 / 16).tolist() == [[[[2.5, 3.5], [6.5, 7.5]]]]
    assert roi_align(feature, rois, 1, 1 / 16, samples=1).item() == 5.0


@pytest.mark.parametrize("size", [1, 3, 7])
def test_max_pooling_is_the_loop(size: int) -> None:
    feature = torch.randn(2, 3, 8, 10, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([REGIONS, REGIONS[::-1]])
    pooled = roi_max_pool(feature, numbered(boxes), size, 1 / 16)
    wanted = [
        slow_max_pool(x, box, size, 1 / 16) for x, rows in zip(feature, boxes.tolist(), strict=True) for box in rows
    ]
    assert torch.equal(pooled, torch.stack(wanted))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [1, 2])
def test_align_is_the_loop(samples: int, aligned: bool) -> None:
    feature = torch.randn(2, 3, 8, 10, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([REGIONS, REGIONS[::-1]])
    pooled = roi_align(feature, numbered(boxes), 3, 1 / 16, samples=samples, aligned=aligned)
    wanted = [
        slow_align(x, box, 3, 1 / 16, samples, aligned)
        for x, rows in zip(feature, boxes.tolist(), strict=True)
        for box in rows
    ]
    torch.testing.assert_close(pooled, torch.stack(wanted), atol=1e-5, rtol=0)


@pytest.mark.parametrize("aligned", [False, True])
def test_align_and_its_gradient_are_torchvisions(aligned: bool) -> None:
    """Regions of all sizes, in and out of the image; the gradient must reach every cell that was seen."""
    low = torch.rand(60, 2) * torch.tensor([200.0, 160.0]) - 20
    rois = torch.cat([torch.randint(3, (60, 1)).float(), low, low + 120 * torch.rand(60, 2) ** 3], 1)
    upstream = torch.randn(60, 5, 7, 7)
    results = []
    for pool in (roi_align, torchvision.ops.roi_align):
        feature = torch.randn(3, 5, 8, 10, generator=torch.Generator().manual_seed(0)).requires_grad_()
        more = {"samples": 2} if pool is roi_align else {"sampling_ratio": 2}
        pooled = pool(feature, rois, 7, 1 / 16, aligned=aligned, **more)
        (pooled * upstream).sum().backward()
        results.append((pooled.detach(), feature.grad))
    (ours, gradient), (theirs, wanted) = results
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    torch.testing.assert_close(gradient, wanted, atol=1e-4, rtol=0)
    assert gradient.abs().sum() > 0


def test_align_of_regions_without_a_place_is_nothing() -> None:
    feature = torch.ones(1, 2, 8, 8)
    rois = torch.tensor([[0.0, nan, nan, nan, nan], [0.0, -inf, -inf, inf, inf], [0.0, 900.0, 900.0, 1000.0, 1000.0]])
    assert roi_align(feature, rois, 3, 1 / 16).abs().sum() == 0


def test_no_regions_and_half_precision() -> None:
    feature = torch.randn(1, 4, 8, 8).bfloat16()
    nothing = numbered(torch.zeros(1, 0, 4))
    assert roi_align(feature, nothing, 7, 1 / 16).shape == (0, 4, 7, 7)
    assert roi_align(feature, nothing, 7, 1 / 16, samples=0).shape == (0, 4, 7, 7)
    assert roi_max_pool(feature, numbered(torch.tensor([[REGIONS[1]]])), 7, 1 / 16).dtype == torch.bfloat16
