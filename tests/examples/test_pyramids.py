"""The four pyramids: grids and anchors, what each map can know, gradients, the picture's sizes by hand, learning."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.shared import target
from pyramids import (
    ALL_SIZES,
    PYRAMIDS,
    FeatureHierarchy,
    ImagePyramid,
    feature_hierarchy,
    feature_pyramid,
    image_pyramid,
    resized,
    single_map,
)
from vedette.backbones.backbone import IMAGENET, Backbone
from vedette.backbones.timm_pyramid import LITE0, TimmPyramid
from vedette.papers.fpn import FeaturePyramid
from vedette.papers.retinanet import STRIDES, RetinaNet, RetinaPyramid
from vedette.train.optim import parameter_groups
from vedette.train.recipe import Recipe
from vedette.train.step import TrainStep
from vedette.weights.imagenet import load_imagenet
from vedette.weights.package import PACKAGE

WIDTH = 16
LEVELS = {key: STRIDES for key in PYRAMIDS} | {"single-map": (16,)}


class CellMeans(Backbone):
    """A cell of stride 16 is the mean of its pixels."""

    channels, strides, normalization = (3,), (16,), IMAGENET

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (F.avg_pool2d(x, 16),)


def model(key: str, **config: Any) -> RetinaNet:
    torch.manual_seed(0)
    small = {"num_classes": 2, "width": WIDTH, "image_size": 128, "subnet_layers": 1}
    return PYRAMIDS[key]("resnet10t", **(small | config))


def features(detector: RetinaNet, images: Tensor) -> list[Tensor]:
    found: list[Tensor] = detector.pyramid(detector.backbone(images))
    return found


def some_maps() -> list[Tensor]:
    """c3, c4, c5 of a picture of 128 × 160 pixels."""
    return [torch.randn(1, n, 128 // stride, 160 // stride) for n, stride in ((4, 8), (6, 16), (8, 32))]


@pytest.mark.parametrize("key", PYRAMIDS)
def test_a_map_of_one_width_for_every_stride(key: str) -> None:
    maps = features(model(key), torch.randn(1, 3, 128, 160))
    grids = [(-(-128 // stride), -(-160 // stride)) for stride in LEVELS[key]]
    assert [tuple(x.shape) for x in maps] == [(1, WIDTH, *grid) for grid in grids]


@pytest.mark.parametrize("size", [(128, 128), (160, 224), (131, 197)])
@pytest.mark.parametrize("key", PYRAMIDS)
def test_a_prediction_for_every_anchor(key: str, size: tuple[int, int]) -> None:
    predictions = model(key)(torch.randn(1, 3, *size))
    assert predictions.logits.shape == (1, len(predictions.anchors), 2)
    assert predictions.deltas.shape == (1, len(predictions.anchors), 4)
    assert sum(predictions.levels) == len(predictions.anchors)
    assert len(predictions.levels) == len(LEVELS[key])


@pytest.mark.parametrize("key", PYRAMIDS)
def test_anchors_stand_in_the_middle_of_their_cells(key: str) -> None:
    detector = model(key)
    predictions = detector(torch.randn(1, 3, 128, 160))
    per_cell = len(detector.config.anchor_sizes[0]) * 3
    for level, stride in zip(predictions.anchors.split(predictions.levels), LEVELS[key], strict=True):
        columns = -(-160 // stride)
        cells = range(len(level) // per_cell)
        centres = (level[:, :2] + level[:, 2:]) / 2
        expected = [((n % columns + 0.5) * stride, (n // columns + 0.5) * stride) for n in cells]
        torch.testing.assert_close(centres[::per_cell], torch.tensor(expected))
        torch.testing.assert_close(centres[per_cell - 1 :: per_cell], torch.tensor(expected))


@pytest.mark.parametrize("key", PYRAMIDS)
def test_all_have_anchors_of_the_same_shapes(key: str) -> None:
    anchors = model(key)(torch.randn(1, 3, 128, 128)).anchors
    sides = {(round(x2 - x1, 1), round(y2 - y1, 1)) for x1, y1, x2, y2 in anchors.tolist()}
    assert sides == {(round(s / r**0.5, 1), round(s * r**0.5, 1)) for s in ALL_SIZES for r in (0.5, 1.0, 2.0)}
    assert (min(ALL_SIZES), round(max(ALL_SIZES))) == (16, 406)


def test_a_single_map_has_all_sizes_in_each_cell() -> None:
    detector = single_map("resnet10t", num_classes=2, width=WIDTH)
    assert detector.strides == (16,)
    assert detector(torch.randn(1, 3, 128, 160)).levels == (8 * 10 * 45,)


@pytest.mark.parametrize("key", PYRAMIDS)
def test_every_parameter_learns(key: str) -> None:
    detector = PYRAMIDS[key](LITE0, num_classes=2, width=WIDTH)
    losses = detector.loss(detector(torch.randn(1, 3, 256, 256)), [target((20.0, 20.0, 52.0, 60.0, 1))])
    torch.stack(list(losses.values())).sum().backward()
    learning = {name: p for name, p in detector.named_parameters() if p.requires_grad}  # all but folded norms
    assert [name for name, p in learning.items() if p.grad is None or not bool(p.grad.abs().sum() > 0)] == []
    assert all(name in learning for name, _ in detector.named_parameters() if not name.startswith("backbone."))


@pytest.mark.parametrize("key", PYRAMIDS)
def test_gradients_in_bf16_are_numbers(key: str) -> None:
    detector = model(key)
    step = TrainStep(detector.to(memory_format=torch.channels_last), detector.input_spec, bf16=True)  # type: ignore[call-overload]
    losses = step(torch.randint(0, 255, (1, 3, 128, 128), dtype=torch.uint8), [target((20.0, 20.0, 52.0, 60.0, 1))])
    torch.stack(list(losses.values())).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in detector.parameters() if p.grad is not None)


# (a)


def test_the_sizes_of_the_picture_by_hand() -> None:
    pyramid = ImagePyramid(CellMeans(), STRIDES)
    assert pyramid.scales == (2.0, 1.0, 0.5, 0.25, 0.125)
    assert pyramid.channels == (3,) * 5
    picture = torch.zeros(1, 3, 128, 256)
    picture[..., 64:96, 32:64] = 1.0  # x from 32 to 64, y from 64 to 96
    fine, same, half, quarter, eighth = (x[0, 0] for x in pyramid(picture))
    assert (half > 0.1).nonzero().tolist() == [
        [2, 1]
    ]  # x from 16 to 32 and y from 32 to 48 in the half picture: one cell
    assert float(half[2, 1]) == pytest.approx(1.0, abs=0.05)  # the antialiasing filter takes a little at its edge
    assert (same > 0.9).nonzero().tolist() == [[4, 2], [4, 3], [5, 2], [5, 3]]
    assert (fine > 0.9).nonzero().tolist() == [[row, column] for row in range(8, 12) for column in range(4, 8)]
    assert float(quarter[1, 0]) == pytest.approx(1 / 4, abs=0.02)  # one of the four quarters of y 64–128, x 0–64
    assert float(eighth[0, 0]) == pytest.approx(1 / 16, abs=0.02)


def test_a_box_of_a_smaller_picture_is_where_it_is_in_the_picture() -> None:
    detector = image_pyramid("resnet10t", num_classes=2, width=WIDTH)
    predictions = detector(torch.randn(1, 3, 128, 256))
    own = [32.0 * octave for octave in (1, 2 ** (1 / 3), 2 ** (2 / 3))]  # pixels of each size of the picture
    for level, scale in zip(predictions.anchors.split(predictions.levels), detector.backbone.scales, strict=True):  # type: ignore[arg-type]
        inside = level * scale
        torch.testing.assert_close((inside[0, :2] + inside[0, 2:]) / 2, torch.tensor([8.0, 8.0]))
        squares = inside[3:6]  # anchors of a cell: ratio by ratio, size by size
        torch.testing.assert_close(squares[:, 2] - squares[:, 0], torch.tensor(own))
    half = predictions.anchors.split(predictions.levels)[2]
    cell = 2 * 8 + 1  # row 2, column 1 of the half picture's eight columns: around (24, 40) there, (48, 80) here
    assert half[cell * 9 + 3].tolist() == pytest.approx([16.0, 48.0, 80.0, 112.0])


def test_a_point_keeps_its_place_when_the_picture_is_resized() -> None:
    ramp = torch.arange(64.0).add(0.5).expand(1, 3, 64, 64)  # a pixel's value is where its middle is
    for scale in (2.0, 0.5, 0.25):
        middle = resized(ramp, scale)[0, 0, 0, 4:-4]
        torch.testing.assert_close(middle * scale, torch.arange(4.0, 64 * scale - 4).add(0.5))
    assert resized(ramp, 1.0) is ramp


def test_each_size_goes_through_the_same_backbone() -> None:
    detector = image_pyramid("resnet10t", num_classes=2, width=WIDTH).eval()
    images, body = torch.randn(1, 3, 128, 160), detector.backbone.pretrained
    maps = detector.backbone(images)
    assert sum(1 for _ in detector.backbone.parameters()) == sum(1 for _ in body.parameters())
    half = F.interpolate(images, (64, 80), mode="bilinear", antialias=True)
    torch.testing.assert_close(maps[2], body(half)[0])
    torch.testing.assert_close(maps[1], body(images)[0])


# (c) and (d)


def changed_levels(pyramid: nn.Module, changed: int) -> list[bool]:
    """Which of p3 to p7 differ when one of c3 to c5 does."""
    maps = some_maps()
    before = pyramid(maps)
    maps[changed] = maps[changed] + 1.0
    return [not torch.equal(old, new) for old, new in zip(before, pyramid(maps), strict=True)]


def test_a_level_of_the_hierarchy_knows_its_own_map_alone() -> None:
    pyramid = FeatureHierarchy((4, 6, 8), WIDTH)
    assert changed_levels(pyramid, 0) == [True, False, False, False, False]
    assert changed_levels(pyramid, 1) == [False, True, False, False, False]
    assert changed_levels(pyramid, 2) == [False, False, True, True, True]


def test_a_level_of_the_pyramid_knows_the_coarser_maps() -> None:
    pyramid = RetinaPyramid((4, 6, 8), WIDTH, "c5", True)
    assert changed_levels(pyramid, 0) == [True, False, False, False, False]
    assert changed_levels(pyramid, 1) == [True, True, False, False, False]
    assert changed_levels(pyramid, 2) == [True, True, True, True, True]


def test_the_hierarchys_layers_are_the_pyramids_without_the_sums() -> None:
    hierarchy, pyramid = FeatureHierarchy((4, 6, 8), WIDTH), RetinaPyramid((4, 6, 8), WIDTH, "c5", True)
    features: FeaturePyramid = pyramid.pyramid
    assert len(features.laterals) == len(hierarchy.outputs)
    for own, lateral, output in zip(hierarchy.outputs, features.laterals, features.outputs, strict=True):
        assert isinstance(own, nn.Sequential)
        own[0].load_state_dict(lateral.state_dict())
        own[1].load_state_dict(output.state_dict())
    hierarchy.p6.load_state_dict(pyramid.p6.state_dict())
    hierarchy.p7.load_state_dict(pyramid.p7.state_dict())
    maps = some_maps()
    theirs, ours = pyramid(maps), hierarchy(maps)
    assert [torch.equal(a, b) for a, b in zip(theirs, ours, strict=True)] == [False, False, True, True, True]
    maps[2] = torch.zeros_like(maps[2])  # nothing comes down from c5, whose laterals have no bias yet
    maps[1] = torch.zeros_like(maps[1])
    torch.testing.assert_close(pyramid(maps)[0], hierarchy(maps)[0])


def test_c_and_d_have_the_same_parameters() -> None:
    hierarchy, pyramid = (
        make("resnet10t", num_classes=2, width=WIDTH) for make in (feature_hierarchy, feature_pyramid)
    )
    counts = [sorted(tuple(p.shape) for p in one.parameters()) for one in (hierarchy, pyramid)]
    assert counts[0] == counts[1]


# the comparison


@pytest.mark.parametrize("key", PYRAMIDS)
def test_new_layers_learn_at_the_full_rate(key: str) -> None:
    detector = model(key)
    trained = {id(p) for p in detector.backbone.pretrained.parameters()}
    groups = parameter_groups(detector, Recipe(lr=1.0, backbone_lr=0.25))
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert all(rates[id(p)] == (0.25 if id(p) in trained else 1.0) for p in detector.parameters())


@pytest.mark.parametrize("key", PYRAMIDS)
def test_imagenets_weights_reach_the_backbone(key: str) -> None:
    pytest.importorskip(PACKAGE)
    detector, plain = PYRAMIDS[key](LITE0, num_classes=2, width=WIDTH), TimmPyramid(LITE0)
    load_imagenet(detector.backbone)
    load_imagenet(plain)
    wanted = plain.state_dict()
    own = detector.backbone.pretrained.state_dict()
    assert own.keys() <= wanted.keys()
    assert all(torch.equal(value, wanted[name]) for name, value in own.items())


@pytest.mark.slow
@pytest.mark.parametrize("key", PYRAMIDS)
def test_the_loss_falls(key: str) -> None:
    detector = model(key)
    picture = torch.zeros(1, 3, 128, 128)
    picture[:, 0, 16:80, 20:88], picture[:, 1, 90:122, 40:72] = 2.0, 2.0
    wanted = [target((20.0, 16.0, 88.0, 80.0, 0), (40.0, 90.0, 72.0, 122.0, 1))]
    optimizer, totals = torch.optim.Adam(detector.parameters(), 2e-3), []
    for _ in range(25):
        total = torch.stack(list(detector.loss(detector(picture), wanted).values())).sum()
        totals.append(total.item())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert totals[-1] < 0.6 * totals[0]
