"""New layers: where each number of a map goes, distinct layers, how they start, a norm that survives one value."""

from math import sqrt

import pytest
import torch
from torch import nn

from vedette.parts.anchors import grid_anchors
from vedette.parts.layers import BatchNorm, L2Norm, MultiboxHead, initialize, per_anchor


def test_per_anchor_by_hand() -> None:
    """Channel k · size + s of cell (i, j) is number s of anchor (i · W + j) · K + k."""
    batch, count, size, height, width = 2, 3, 4, 2, 5
    maps = torch.arange(batch * count * size * height * width).view(batch, count * size, height, width)
    rows = per_anchor(maps, size)
    assert rows.shape == (batch, height * width * count, size)
    for b, k, s, i, j in ((0, 0, 0, 0, 0), (0, 2, 1, 0, 1), (1, 1, 3, 1, 4), (1, 2, 3, 1, 0)):
        assert rows[b, (i * width + j) * count + k, s] == maps[b, k * size + s, i, j]


@pytest.mark.parametrize("shape", [(0, 8, 3, 3), (2, 8, 0, 3), (2, 8, 3, 0)])
def test_per_anchor_of_nothing(shape: tuple[int, ...]) -> None:
    batch, _, height, width = shape
    assert per_anchor(torch.zeros(shape), 4).shape == (batch, height * width * 2, 4)


def test_a_head_by_hand() -> None:
    """1×1 maps and weights that write their own index show level, anchor and number in their places."""
    head = MultiboxHead([1, 1], [2, 3], 2)
    for level in range(2):
        for conv, base in ((head.logits[level], 100 * level), (head.deltas[level], 1000 + 100 * level)):
            torch.nn.init.zeros_(conv.weight)
            conv.bias.data = torch.arange(float(conv.out_channels)) + base
    logits, deltas = head([torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 1)])
    first, second = [[0, 1], [2, 3]], [[100, 101], [102, 103], [104, 105]]
    assert logits[0].tolist() == first + first + second
    assert deltas[0, :2].tolist() == [[1000, 1001, 1002, 1003], [1004, 1005, 1006, 1007]]
    assert deltas[0, 4:].tolist() == [[1100 + 4 * k + s for s in range(4)] for k in range(3)]


def test_anchors_and_predictions_come_in_one_order() -> None:
    """A weight that copies a map of x positions gives each anchor the x of its own cell."""
    head = MultiboxHead([1], [2], 1)
    torch.nn.init.zeros_(head.logits[0].weight)
    torch.nn.init.zeros_(head.logits[0].bias)
    head.logits[0].weight.data[:, :, 1, 1] = 1
    anchors = grid_anchors(torch.tensor([[4.0, 4.0], [8.0, 2.0]]), 3, 5, 8)
    x, y = (anchors[:, :2] + anchors[:, 2:]).div(2).unbind(1)
    columns, rows = (torch.arange(5.0) + 0.5) * 8, (torch.arange(3.0) + 0.5) * 8
    assert torch.equal(head([columns.expand(1, 1, 3, 5)]).logits[0, :, 0], x)
    assert torch.equal(head([rows[:, None].expand(1, 1, 3, 5)]).logits[0, :, 0], y)


def test_every_level_has_layers_of_its_own() -> None:
    head = MultiboxHead([4, 6], [2, 3], 5)
    assert [(c.in_channels, c.out_channels) for c in (*head.logits, *head.deltas)] == [
        (4, 10),
        (6, 15),
        (4, 8),
        (6, 12),
    ]
    assert len({p.data_ptr() for p in head.parameters()}) == 8


def test_a_batch_gives_what_single_images_give() -> None:
    head, maps = MultiboxHead([4, 6], [2, 3], 5), [torch.randn(2, 4, 4, 4), torch.randn(2, 6, 2, 2)]
    together = head(maps)
    assert together.logits.shape == (2, 4 * 4 * 2 + 2 * 2 * 3, 5)
    for image in range(2):
        for both, one in zip(together, head([m[image : image + 1] for m in maps]), strict=True):
            torch.testing.assert_close(both[image : image + 1], one)


def test_levels_must_fit() -> None:
    with pytest.raises(ValueError, match="zip"):
        MultiboxHead([4, 6], [2], 5)
    with pytest.raises(ValueError, match="zip"):
        MultiboxHead([4, 6], [2, 2], 5)([torch.zeros(1, 4, 2, 2)])


def new_layers() -> list[nn.Module]:
    up = nn.ConvTranspose2d(64, 32, 2, stride=2)
    return [nn.Sequential(nn.Conv2d(64, 128, 3), nn.ReLU()), up, nn.Conv2d(64, 64, 1, bias=False)]


def test_xavier_is_uniform_within_its_bounds() -> None:
    modules = new_layers()
    initialize(modules, "xavier")
    weight = modules[0][0].weight
    bound = sqrt(6 / (9 * 64 + 9 * 128))
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / sqrt(3), rel=0.02)


def test_gaussian_has_a_standard_deviation_of_a_hundredth() -> None:
    modules = new_layers()
    initialize(modules, "gaussian")
    for weight in (modules[0][0].weight, modules[1].weight, modules[2].weight):
        assert weight.std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("kind", ["xavier", "gaussian"])
def test_biases_start_at_zero(kind: str) -> None:
    modules = new_layers()
    initialize(modules, kind)  # type: ignore[arg-type]
    assert not torch.cat([modules[0][0].bias, modules[1].bias]).any()


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (1, 3, 2, 1), (2, 3, 4, 4)])
def test_is_batch_norm_where_there_are_statistics(shape: tuple[int, ...]) -> None:
    ours, theirs, x = BatchNorm(3), nn.BatchNorm2d(3), torch.randn(shape)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_one_value_a_channel_uses_the_running_statistics() -> None:
    norm, x = BatchNorm(3), torch.randn(1, 3, 1, 1)
    norm.running_mean[:], norm.running_var[:] = torch.randn(3), torch.rand(3) + 0.5
    norm.weight.data, norm.bias.data = torch.randn(3), torch.randn(3)
    before = norm.running_mean.clone()
    shown = norm(x)
    assert torch.equal(norm.running_mean, before)
    assert torch.equal(shown, norm.eval()(x))
    shown.sum().backward()
    assert torch.isfinite(norm.weight.grad).all()


def test_norm_of_no_images() -> None:
    assert BatchNorm(3)(torch.zeros(0, 3, 2, 2)).shape == (0, 3, 2, 2)


def test_l2_norm_by_hand() -> None:
    norm = L2Norm(2, 10.0)
    norm.scale.data[1] = 20.0
    x = torch.tensor([[3.0, 0.0], [4.0, 0.0]]).view(1, 2, 1, 2)  # cells (3, 4) and (0, 0)
    assert norm(x).flatten().tolist() == pytest.approx([6.0, 0.0, 16.0, 0.0])
    assert L2Norm(512, 8.0).scale.tolist() == [8.0] * 512


def test_l2_norm_has_unit_length_over_channels_and_right_gradients() -> None:
    x = torch.randn(2, 6, 3, 4)
    torch.testing.assert_close(L2Norm(6, 1.0)(x).norm(dim=1), torch.ones(2, 3, 4))
    x = torch.zeros(1, 6, 2, 2, requires_grad=True)
    L2Norm(6, 20.0)(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_l2_norm_does_not_overflow_in_half_precision() -> None:
    x = torch.full((1, 512, 1, 1), 30000.0, dtype=torch.float16)  # the length is 7e5
    torch.testing.assert_close(
        L2Norm(512, 20.0).half()(x).float(), torch.full((1, 512, 1, 1), 20 / 512**0.5), rtol=1e-2, atol=0
    )
