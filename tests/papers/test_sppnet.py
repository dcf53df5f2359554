"""SPPNet: the way of a box to the map, the pyramid, the scales; what it shares with R-CNN is tested there."""

from math import ceil, floor
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from papers import tiny
from vedette.papers.rcnn import BACKGROUND, NEITHER, label_proposals
from vedette.papers.sppnet import (
    SPPNet,
    SPPNetConfig,
    nearest_scale,
    pool_pyramid,
    project,
    rescale,
)
from vedette.structures import Target, pad_targets
from vedette.zoo import build


@pytest.fixture(scope="module")
def model() -> SPPNet:
    return tiny.sppnet(num_classes=2).eval()


def boxes_in(width: float, height: float, count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=generator) * torch.tensor([width, height])
    return torch.cat([corners.amin(1), corners.amax(1) + 0.5], 1)


# Mapping a window to the map (app. A)


def test_project_by_hand() -> None:
    boxes = torch.tensor(
        [
            [0.0, 0.0, 64.0, 48.0],  # ⌊0⌋ + 1 = 1, ⌈4⌉ − 1 = 3, ⌈3⌉ − 1 = 2: a centre on the side is outside
            [1.0, 15.0, 65.0, 33.0],  # ⌊1/16⌋ + 1 = 1 … ⌈65/16⌉ − 1 = 4; 1 … 2
            [-1.0, 17.0, 15.0, 31.0],  # ⌊−1/16⌋ + 1 = 0 … 0; between rows 1 and 2: 24 / 16 = 1.5, the even one
            [17.0, 3.0, 20.0, 4.0],  # between two cells in both: the nearest, 1 and 0
            [150.0, 150.0, 400.0, 400.0],  # beyond the map: its last cell
        ]
    )
    wanted = [[1, 1, 3, 2], [1, 1, 4, 2], [0, 2, 0, 2], [1, 0, 1, 0], [9, 7, 9, 7]]
    assert project(boxes, 16, 0.0, (8, 10)).tolist() == wanted
    assert project(boxes + 15, 16, 15.0, (8, 10)).tolist() == wanted


@given(st.lists(st.floats(-20, 300, width=32), min_size=4, max_size=4), st.sampled_from([0.0, 7.5, 15.0]))
def test_the_cells_are_those_with_their_centres_inside(sides: list[float], offset: float) -> None:
    x1, x2 = sorted(sides[:2])
    y1, y2 = sorted(sides[2:])
    found = project(torch.tensor([[x1, y1, x2, y2]]), 16, offset, (12, 15))[0].tolist()
    for low, high, first, last, count in ((x1, x2, *found[::2], 15), (y1, y2, *found[1::2], 12)):
        inside = [cell for cell in range(count) if low < offset + 16 * cell < high]
        if inside:
            assert (first, last) == (inside[0], inside[-1])
        else:
            assert first == last
            assert 0 <= first < count


# The pyramid (sec. 2.2)


def slow_pyramid(feature: Tensor, cells: list[int], levels: tuple[int, ...]) -> Tensor:
    """Bin by bin, cell by cell."""
    x1, y1, x2, y2 = cells
    width, height = x2 - x1 + 1, y2 - y1 + 1
    values = []
    for n in levels:
        for c in range(len(feature)):
            for i in range(n):
                for j in range(n):
                    best = -float("inf")
                    for y in range(y1 + floor(i * height / n), y1 + ceil((i + 1) * height / n)):
                        for x in range(x1 + floor(j * width / n), x1 + ceil((j + 1) * width / n)):
                            best = max(best, float(feature[c, y, x]))
                    values.append(best)
    return torch.tensor(values)


@pytest.mark.parametrize("levels", [(1, 2, 3, 6), (1,), (2, 4), (3,)])
def test_the_slow_loop_pools_the_same(levels: tuple[int, ...]) -> None:
    feature = torch.randn(2, 3, 17, 23)
    cells = [[0, 0, 22, 16], [4, 3, 4, 3], [5, 2, 9, 13], [7, 16, 21, 16], [1, 1, 6, 7], [3, 3, 4, 4], [0, 0, 12, 10]]
    whose = [0, 1, 0, 1, 1, 0, 1]
    found = pool_pyramid(feature, torch.tensor(cells).float(), torch.tensor(whose), levels)
    assert found.shape == (7, 3 * sum(n * n for n in levels))
    for row, (window, image) in enumerate(zip(cells, whose, strict=True)):
        assert torch.equal(found[row], slow_pyramid(feature[image], window, levels))


def test_no_windows_pool_to_none() -> None:
    none = pool_pyramid(torch.randn(1, 3, 4, 4), torch.zeros(0, 4), torch.zeros(0).long(), (1, 2))
    assert none.shape == (0, 15)


# Scales (sec. 4.1)


def test_the_nearest_scale_by_hand() -> None:
    # At 480 of 1200 a side of 560 becomes 224 exactly; one of 224 is so at 1200; one of 300 is 216 at 864, 300 at 1200.
    factors = [scale / 1200 for scale in (480, 576, 688, 864, 1200)]
    sides = torch.tensor([560.0, 224.0, 300.0, 2000.0, 5.0, 0.0])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], 1)
    assert nearest_scale(boxes, factors, 224).tolist() == [0, 4, 3, 0, 4, 0]
    oblong = torch.tensor([[10.0, 10.0, 10 + 112 / 0.72, 10 + 448 / 0.72]])  # its area counts, not its sides
    assert nearest_scale(oblong, factors, 224).tolist() == [3]
    assert nearest_scale(torch.zeros(0, 4), factors, 224).shape == (0,)


def test_rescale_keeps_places() -> None:
    ramp = torch.arange(100.0).view(1, 1, 1, 100).expand(1, 3, 60, 100)
    seen = rescale(ramp, 0.5)
    assert seen.shape == (1, 3, 32, 64)  # 30 × 50, up to multiples of 32
    assert torch.allclose(seen[0, 0, 5, 10:40], torch.arange(10.0, 40.0) * 2 + 0.5, atol=0.1)
    assert not bool(seen[..., 30:, :].any())
    assert not bool(seen[..., 50:].any())
    assert torch.equal(rescale(ramp[..., :32, :96], 1.0), ramp[..., :32, :96])
    third = rescale(ramp, 1 / 3)  # 20 × 33.3 pixels: a cell is three pixels wide all the same
    assert torch.allclose(third[0, 0, 5, 5:28], torch.arange(5.0, 28.0) * 3 + 1, atol=0.1)
    assert rescale(ramp[..., :2, :2], 0.1).shape == (1, 3, 32, 32)


# The detector


def slow_features(model: SPPNet, image: Tensor, box: Tensor) -> Tensor:
    """pool5 of one box, its own scale's map made for it alone."""
    scales, window = model.config.scales, model.config.window
    area = float((box[2] - box[0]) * (box[3] - box[1]))
    scale = min(scales, key=lambda s: abs(area * (s / scales[-1]) ** 2 - window**2))
    factor = scale / scales[-1]
    (feature,) = model.backbone(rescale(image[None], factor))
    cells = project(box[None] * factor, 16, model.config.offset, feature.shape[-2:])[0]
    return slow_pyramid(feature[0], [int(x) for x in cells], model.config.levels)


def test_features_are_those_of_each_box_alone(model: SPPNet) -> None:
    images, boxes = torch.randn(2, 3, 96, 128), boxes_in(128, 96, 9)
    whose = torch.tensor([0, 1, 0, 0, 1, 1, 0, 1, 0])
    with torch.no_grad():
        looks = model.features(images, boxes, whose, torch.tensor([[96, 128]] * 2))
        for row, image in enumerate(whose.tolist()):
            assert torch.allclose(looks.pool5[row], slow_features(model, images[image], boxes[row]), atol=1e-4)
        fc7 = torch.relu(model.fc7(torch.relu(model.fc6(looks.pool5))))
    assert torch.allclose(looks.fc7, fc7, atol=1e-5)
    assert len(set(nearest_scale(boxes, [64 / 96, 1.0], 32).tolist())) == 2  # both scales are seen


def test_the_convolutions_look_once_a_scale_however_many_boxes(model: SPPNet) -> None:
    sizes: list[int] = []
    handle = model.backbone.register_forward_pre_hook(lambda module, x: sizes.append(x[0].shape[2]))
    images = torch.randn(2, 3, 96, 96)
    small, large = torch.tensor([[0.0, 0.0, 20.0, 20.0]]), torch.tensor([[0.0, 0.0, 90.0, 90.0]])
    model(images, proposals=[small.repeat(300, 1), small.repeat(700, 1)])
    model(images, proposals=[torch.cat([small, large]), large])
    model(images, proposals=[torch.zeros(0, 4)] * 2)
    handle.remove()
    assert sizes == [96, 64, 96]


def test_the_padding_of_the_images_changes_no_box_that_is_far_from_it(model: SPPNet) -> None:
    """At the smaller scale too: a batch of other sides is made smaller by the same factor."""
    torch.manual_seed(0)
    image = F.interpolate(torch.randn(1, 3, 24, 20), size=(96, 80), mode="bicubic")
    padded = F.pad(image, (0, 71, 0, 53))
    boxes = [torch.tensor([[0.0, 0.0, 20.0, 18.0], [0.0, 0.0, 40.0, 40.0], [4.0, 6.0, 50.0, 40.0]])]
    scales = nearest_scale(boxes[0], [64 / 96, 1.0], model.config.window)
    assert len(set(scales.tolist())) == 2
    alone, inside = model(image, proposals=boxes), model(padded, torch.tensor([[96, 80]]), boxes)
    torch.testing.assert_close(inside.logits, alone.logits, atol=2e-3, rtol=0)


def test_the_convolutions_stay_and_all_else_learns(model: SPPNet) -> None:
    target = Target(torch.tensor([[8.0, 8.0, 40.0, 40.0]]), torch.tensor([1]))
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [9.0, 4.0, 90.0, 60.0]])
    model(torch.randn(1, 3, 64, 96), proposals=[boxes])
    model.loss(model(torch.randn(1, 3, 64, 96), proposals=[boxes]), [target])["class"].backward()
    learning = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    assert learning == {"fc6", "fc7", "head"}


def test_background_is_near_an_object() -> None:
    truth = pad_targets([Target(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([0]))], torch.device("cpu"))
    boxes = torch.tensor([[[0.0, 0.0, 10.0, 5.0], [0.0, 0.0, 10.0, 1.0], [0.0, 0.0, 10.0, 0.9], [5.0, 5.0, 6.0, 6.0]]])
    there = torch.tensor([[True, True, True, False]])
    assert label_proposals(boxes, there, truth, 0.5, 0.1).tolist() == [[1, BACKGROUND, NEITHER, NEITHER]]
    assert label_proposals(boxes, there, truth, 0.5).tolist() == [[1, BACKGROUND, BACKGROUND, NEITHER]]
    assert SPPNetConfig().background_iou == 0.1


@pytest.mark.parametrize(
    ("height", "width", "boxes"),
    [
        (32, 32, torch.tensor([[3.0, 3.0, 4.0, 4.0]])),
        (32, 250, torch.zeros(0, 4)),
        (96, 64, torch.tensor([[0.0, 0.0, 64.0, 96.0], [63.5, 95.5, 64.0, 96.0], [5.0, 5.0, 5.0, 5.0]])),
    ],
)
def test_little_or_nothing_is_ordinary(model: SPPNet, height: int, width: int, boxes: Tensor) -> None:
    found = model(torch.randn(1, 3, height, width), proposals=[boxes])
    none = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    tiny = Target(torch.tensor([[3.0, 3.0, 4.0, 4.0]]), torch.tensor([0]))
    for target in (none, tiny):
        assert bool(model.loss(found, [target])["class"].isfinite())
    (seen,) = model.detect(found, score=0.0)
    assert bool((seen.boxes[:, 2:] > seen.boxes[:, :2]).all())


def test_the_papers_numbers() -> None:
    with torch.device("meta"):
        model = build("sppnet-zf5")
    assert model.config.bins == 50
    assert model.fc6.in_features == model.regressor.in_features == 12_800
    assert (model.fc6.out_features, model.fc7.out_features) == (4096, 4096)
    assert (model.input_spec.size, model.input_spec.max_side) == (1200, 2000)
    assert (model.config.positives, model.config.negatives, model.config.nms_iou) == (32, 96, 0.3)


def test_lite0_s_centres_are_where_its_offset_says() -> None:
    """The pixels that a cell sees lie evenly around 16 x + 15: layers of stride 2 are padded right and below alone."""
    model: Any = build("sppnet-lite0", num_classes=2)
    body = model.backbone
    for module in list(body.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU6):
                setattr(module, name, nn.Identity())
    image = torch.zeros(1, 3, 736, 736, requires_grad=True)
    body(image)[0][0, :, 22, 22].sum().backward()
    assert image.grad is not None
    rows = (image.grad.abs().sum((0, 1, 3)) > 0).nonzero().flatten()
    assert (int(rows[0]) + int(rows[-1])) / 2 == 16 * 22 + model.config.offset
