"""Anchors: shapes and grids by hand, the order, and the grid against a loop."""

from math import sqrt

import pytest
import torch

from vedette.parts.anchors import (
    KEPT_SIZES,
    AnchorCache,
    Anchors,
    grid_anchors,
    limit_anchors,
    multibox_shapes,
    pyramid_anchors,
    ratio_shapes,
    region_anchors,
    region_shapes,
    stack_levels,
)


def test_shapes_by_hand() -> None:
    shapes = ratio_shapes(32, (0.5, 1.0, 2.0, 4.0))
    expected = torch.tensor([[32 * sqrt(2), 32 / sqrt(2)], [32.0, 32.0], [32 / sqrt(2), 32 * sqrt(2)], [16.0, 64.0]])
    torch.testing.assert_close(shapes, expected)
    torch.testing.assert_close(shapes.prod(1), torch.full((4,), 32.0**2))


def test_multibox_shapes_by_hand() -> None:
    four = [[30.0, 30.0], [sqrt(1800), sqrt(1800)], [30 * sqrt(2), 30 / sqrt(2)], [30 / sqrt(2), 30 * sqrt(2)]]
    torch.testing.assert_close(multibox_shapes(30, 60, (2.0,)), torch.tensor(four))
    six = [*four, [30 * sqrt(3), 30 / sqrt(3)], [30 / sqrt(3), 30 * sqrt(3)]]
    torch.testing.assert_close(multibox_shapes(30, 60, (2.0, 3.0)), torch.tensor(six))
    assert multibox_shapes(16, 64, ()).tolist() == [[16, 16], [32, 32]]


def test_a_grid_by_hand() -> None:
    anchors = grid_anchors(torch.tensor([[8.0, 8.0], [16.0, 4.0]]), rows=2, columns=3, stride=8)
    assert anchors.shape == (12, 4)
    assert anchors[:4].tolist() == [[0, 0, 8, 8], [-4, 2, 12, 6], [8, 0, 16, 8], [4, 2, 20, 6]]  # along the row
    assert anchors[6:8].tolist() == [[0, 8, 8, 16], [-4, 10, 12, 14]]  # the second row


def test_a_grid_of_oblong_cells_by_hand() -> None:
    anchors = grid_anchors(torch.tensor([[2.0, 2.0]]), rows=2, columns=2, stride=(10.0, 4.0))
    assert anchors.tolist() == [[1, 4, 3, 6], [5, 4, 7, 6], [1, 14, 3, 16], [5, 14, 7, 16]]


def test_a_grid_equals_the_loop() -> None:
    shapes, step = torch.tensor([[30.0, 42.0], [60.0, 21.0], [7.0, 9.0]]), 107.0
    expected = [
        [(j + 0.5) * step - w / 2, (i + 0.5) * step - h / 2, (j + 0.5) * step + w / 2, (i + 0.5) * step + h / 2]
        for i in range(4)
        for j in range(5)
        for w, h in shapes.tolist()
    ]
    torch.testing.assert_close(grid_anchors(shapes, 4, 5, step), torch.tensor(expected))


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0)])
def test_no_cells(rows: int, columns: int) -> None:
    assert grid_anchors(torch.ones(2, 2), rows, columns, 8).shape == (0, 4)


def test_limited_anchors_by_hand() -> None:
    anchors = torch.tensor([[-10.0, -20, 30, 20], [80, 40, 140, 60], [10, 10, 20, 20]])  # centres (10, 0), (110, 50)
    assert limit_anchors(anchors, 100, 30).tolist() == [[-10, -15, 30, 15], [70, 20, 130, 40], [10, 10, 20, 20]]
    sizes_alone = limit_anchors(anchors, 100, 30, centers=False)
    assert sizes_alone.tolist() == [[-10, -15, 30, 15], [80, 40, 140, 60], [10, 10, 20, 20]]


def test_anchors_of_ports() -> None:
    shapes = region_shapes((32.0,), (0.5, 1.0, 2.0))
    corner = region_anchors(shapes, 2, 3, 16, (40, 50), "corner")
    torch.testing.assert_close(corner[1], torch.tensor([-16.0, -16.0, 16.0, 16.0]))
    rounded = region_anchors(shapes, 2, 3, 16, (40, 50), "torchvision")
    assert rounded[0].tolist() == [-23.0, -11.0, 23.0, 11.0]  # 22.6 and 11.3
    assert rounded[-1].tolist() == [32.0 - 11, 20.0 - 23, 32.0 + 11, 20.0 + 23]  # steps 50 // 3 and 40 // 2


def test_a_pyramid_lays_each_levels_sizes_on_its_own_grid() -> None:
    anchors = pyramid_anchors(((8.0,), (32.0,)), (1.0, 4.0), (8, 16), ((2, 3), (1, 2)), (16, 24), "centre")
    fine, coarse = anchors.boxes.split(anchors.counts)
    assert fine[:3].tolist() == [[0, 0, 8, 8], [2, -4, 6, 12], [8, 0, 16, 8]]
    assert coarse.tolist() == [[-8, -8, 24, 24], [0, -24, 16, 40], [8, -8, 40, 24], [16, -24, 32, 40]]


def test_where_an_anchor_is() -> None:
    """Two levels of 2 × 3 and 1 × 2 cells, two and three shapes a cell: a count from the first to the last."""
    levels = [torch.zeros(12, 4), torch.zeros(6, 4)]
    anchors = stack_levels(levels, ((2, 3), (1, 2)))
    assert anchors.counts == (12, 6)
    found = [tuple(int(value) for value in anchors.where(torch.tensor(index))) for index in range(18)]
    fine = [(0, row, column, shape) for row in range(2) for column in range(3) for shape in range(2)]
    assert found == fine + [(1, 0, column, shape) for column in range(2) for shape in range(3)]


def test_anchors_are_made_once_a_size_and_few_are_kept() -> None:
    made = []

    def build(height: int, width: int, grids: tuple[tuple[int, int], ...]) -> Anchors:
        made.append((height, width))
        return stack_levels([torch.rand(4, 4)], grids)

    cache, device = AnchorCache(build), torch.device("cpu")
    first = cache.at(32, 64, ((2, 2),), device)
    assert cache.at(32, 64, ((2, 2),), device) is first
    assert made == [(32, 64)]
    for side in range(KEPT_SIZES):
        cache.at(side, side, ((2, 2),), device)
    assert len(cache.kept) == KEPT_SIZES
    assert cache.at(32, 64, ((2, 2),), device) is not first  # the oldest went
