"""SSD against its paper: counts, hand-written anchors, scalar oracles of matching, loss and detection, sizes, names."""

from functools import partial
from itertools import pairwise
from math import sqrt

import pytest
import torch

import vedette
from papers.shared import match_one_by_one, multibox_loss_one_by_one, overlap, some_targets, target
from papers.tiny import ssd as tiny
from vedette.papers.ssd import COCO_SIZES, SSD, VOC_SIZES, Predictions
from vedette.parts.matching import match
from vedette.zoo import build


def random_predictions(model: SSD, batch: int, spread: float = 1.0) -> Predictions:
    count, classes = len(model.anchors), model.config.num_classes
    logits, deltas = torch.randn(batch, count, classes + 1), torch.randn(batch, count, 4) * spread
    return Predictions(logits.requires_grad_(), deltas.requires_grad_(), model.anchors, (64, 64))


# ------------------------------------------------------------------------------------------------- anchors

MAPS = {300: (38, 19, 10, 5, 3, 1), 512: (64, 32, 16, 8, 4, 2, 1)}
PER_CELL = {300: (4, 6, 6, 6, 4, 4), 512: (4, 6, 6, 6, 6, 4, 4)}
STEPS = {300: (8, 16, 32, 64, 100, 300), 512: (8, 16, 32, 64, 128, 256, 512)}


@pytest.mark.parametrize(
    ("made", "size", "count"),
    [
        (partial(build, "ssd300-vgg16"), 300, 8732),
        (partial(build, "ssd512-vgg16"), 512, 24564),
        (lambda: build("ssd300-timm/resnet10t"), 300, 8732),
        (lambda: build("ssd512-timm/resnet10t"), 512, 24564),
    ],
    ids=["300", "512", "300 on timm", "512 on timm"],
)
def test_maps_and_number_of_anchors(made: type[SSD], size: int, count: int) -> None:
    model = made()
    assert model.grids(size, size) == tuple((side, side) for side in MAPS[size])
    assert model.anchors.shape == (count, 4)
    cells = [conv.out_channels // 4 for conv in model.head.deltas]
    assert tuple(cells) == PER_CELL[size]
    assert sum(side * side * k for side, k in zip(MAPS[size], cells, strict=True)) == count


def cell(cx: float, cy: float, size: float, following: float, ratios: tuple[float, ...]) -> list[list[float]]:
    """A cell's anchors, one by one."""
    shapes = [(size, size), (sqrt(size * following), sqrt(size * following))]
    for ratio in ratios:
        shapes += [(size * sqrt(ratio), size / sqrt(ratio)), (size / sqrt(ratio), size * sqrt(ratio))]
    return [[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2] for w, h in shapes]


@pytest.mark.parametrize("size", [300, 512])
def test_all_anchors_equal_the_loop(size: int) -> None:
    expected = []
    for level, side in enumerate(MAPS[size]):
        ratios: tuple[float, ...] = (2.0,) if PER_CELL[size][level] == 4 else (2.0, 3.0)
        sizes, step = VOC_SIZES[size], STEPS[size][level]
        for row in range(side):
            for column in range(side):
                middle = (column + 0.5) * step, (row + 0.5) * step
                expected += cell(*middle, sizes[level], sizes[level + 1], ratios)
    with torch.device("meta"):
        model = {300: partial(build, "ssd300-vgg16"), 512: partial(build, "ssd512-vgg16")}[size]()
    grids = [(side, side) for side in MAPS[size]]
    torch.testing.assert_close(model.build_anchors(size, size, grids).boxes, torch.tensor(expected))


def test_first_and_last_anchors_of_each_level_by_hand() -> None:
    anchors = build("ssd300-vgg16").anchors
    first = {
        0: [-11, -11, 19, 19],  # 30 around (4, 4)
        5776: [-22, -22, 38, 38],  # 60 around (8, 8)
        7942: [-39.5, -39.5, 71.5, 71.5],  # 111 around (16, 16)
        8542: [-49, -49, 113, 113],  # 162 around (32, 32)
        8692: [-56.5, -56.5, 156.5, 156.5],  # 213 around (50, 50)
        8728: [18, 18, 282, 282],  # 264 around (150, 150)
    }
    for row, box in first.items():
        assert anchors[row].tolist() == pytest.approx(box, abs=1e-4)
    half = sqrt(0.5)
    last = {
        5775: (300, 15 * half, 30 * half),  # ratio 1/2: 21.2 wide, 42.4 high around (300, 300)
        7941: (296, 30 / sqrt(3), 30 * sqrt(3)),  # ratio 1/3: 34.6 wide, 103.9 high
        8541: (304, 55.5 / sqrt(3), 55.5 * sqrt(3)),
        8691: (288, 81 / sqrt(3), 81 * sqrt(3)),
        8727: (250, 106.5 * half, 213 * half),
        8731: (150, 132 * half, 264 * half),
    }
    for row, (center, wide, high) in last.items():
        box = [center - wide, center - high, center + wide, center + high]
        assert anchors[row].tolist() == pytest.approx(box, abs=1e-4)
    second = (sqrt(30 * 60) / 2, sqrt(264 * 315) / 2)  # the larger squares
    assert anchors[1].tolist() == pytest.approx([4 - second[0], 4 - second[0], 4 + second[0], 4 + second[0]])
    assert anchors[8729].tolist() == pytest.approx([150 - second[1], 150 - second[1], 150 + second[1], 150 + second[1]])


def test_coco_has_smaller_anchors() -> None:
    with torch.device("meta"):
        assert build("ssd300-vgg16", num_classes=80).config.anchor_sizes == COCO_SIZES[300]
        assert build("ssd512-vgg16", num_classes=80).config.anchor_sizes == COCO_SIZES[512]
        assert build("ssd300-vgg16", num_classes=7).config.anchor_sizes == VOC_SIZES[300]
        assert build("ssd300-vgg16", num_classes=7, anchor_sizes=COCO_SIZES[300]).config.anchor_sizes == COCO_SIZES[300]
    for size, sizes in ((300, COCO_SIZES[300]), (512, COCO_SIZES[512]), (300, VOC_SIZES[300]), (512, VOC_SIZES[512])):
        growth = {round((b - a) / size, 2) for a, b in pairwise(sizes[1:])}
        assert len(growth) == 1  # from the second level on they grow evenly


@pytest.mark.parametrize("kind", [True, "size"])
def test_clipped_anchors(kind: bool | str) -> None:
    free, clipped = build("ssd300-vgg16").anchors, build("ssd300-vgg16", clip_anchors=kind).anchors
    middle, size = (clipped[:, :2] + clipped[:, 2:]) / 2, clipped[:, 2:] - clipped[:, :2]
    expected = (free[:, :2] + free[:, 2:]) / 2
    assert (expected > 300).any()  # 304: the tenth cell of 32 pixels
    torch.testing.assert_close(middle, expected.clamp(max=300) if kind is True else expected)
    torch.testing.assert_close(size, (free[:, 2:] - free[:, :2]).clamp(max=300))


# ------------------------------------------------------------------------------------------------- network


def test_vgg_maps_and_the_l2_norm_of_the_first() -> None:
    model = build("ssd300-vgg16").eval()
    with torch.no_grad():
        maps = model.features(torch.randn(1, 3, 300, 300))
    shapes = [(512, 38, 38), (1024, 19, 19), (512, 10, 10), (256, 5, 5), (256, 3, 3), (256, 1, 1)]
    assert [tuple(m.shape[1:]) for m in maps] == shapes
    torch.testing.assert_close(maps[0].norm(dim=1), torch.full((1, 38, 38), 20.0))
    assert len(model.l2_norms) == 1
    assert model.l2_norms[0].scale.shape == (512,)


def test_predictions_come_in_the_order_of_the_anchors() -> None:
    model = tiny().eval()
    images = torch.randn(1, 3, 64, 128)  # not the size that it was made for
    logits, deltas, anchors, size = model(images)
    assert logits.shape == (1, 128 * 4 + 32 * 6 + 8 * 6 + 2 * 4, 4)
    assert deltas.shape == (1, *anchors.shape)
    assert size == (64, 128)
    third = model.head.deltas[1](model.features(images)[1])[0, 8:12, 2, 5]  # third anchor of row 2, column 5
    row = 128 * 4 + (2 * 8 + 5) * 6 + 2
    torch.testing.assert_close(deltas[0, row], third)
    wide = (20 * sqrt(2) / 2, 20 / sqrt(2) / 2)
    expected = [5.5 * 16 - wide[0], 2.5 * 16 - wide[1], 5.5 * 16 + wide[0], 2.5 * 16 + wide[1]]
    assert anchors[row].tolist() == pytest.approx(expected)


def test_levels_of_unpadded_layers_spread_over_images_of_another_size() -> None:
    with torch.device("meta"):
        model = build("ssd300-vgg16")
    anchors = model.build_anchors(320, 600, [(40, 75), (20, 37), (10, 19), (5, 10), (3, 8), (1, 6)]).boxes
    middles = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert middles[0].tolist() == [4, 4]  # halved maps keep their steps
    last_but_one = middles[-24 - 96 : -24]
    assert last_but_one[0].tolist() == pytest.approx([600 / 8 / 2, 320 / 3 / 2])
    assert last_but_one[-1].tolist() == pytest.approx([600 - 600 / 8 / 2, 320 - 320 / 3 / 2])
    assert middles[-1].tolist() == pytest.approx([550, 160])


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (40, 168), (100, 33), (32, 32)])
def test_sizes_that_it_was_not_made_for(height: int, width: int, batch: int) -> None:
    model = tiny(norm=True)
    predictions = model(torch.randn(batch, 3, height, width))
    assert predictions.logits.shape == (batch, len(predictions.anchors), 4)
    assert predictions.deltas.shape == (batch, len(predictions.anchors), 4)
    targets = [target((2.0, 3.0, 30.0, 31.0, 1))] * batch
    losses = model.loss(predictions, targets)
    assert all(loss.isfinite() for loss in losses.values())
    assert len(model.detect(predictions, 0.01)) == batch


@pytest.mark.parametrize(("height", "width"), [(300, 300), (320, 416), (256, 200), (64, 64)])
def test_the_papers_network_takes_other_sizes(height: int, width: int) -> None:
    model = build("ssd300-vgg16")
    grids = model.grids(height, width)
    with torch.no_grad():
        predictions = model(torch.zeros(1, 3, height, width))
    assert predictions.anchors.equal(model.build_anchors(height, width, grids).boxes)
    assert predictions.logits.shape == (1, len(predictions.anchors), 21)


# ------------------------------------------------------------------------------------------------- loss


def test_every_box_has_an_anchor_of_its_own() -> None:
    model = tiny()
    truth = some_targets()[0]
    everything = torch.ones(1, 4, dtype=torch.bool)
    matched = match(model.anchors, truth.boxes[None], everything, truth.ignore[None], 0.5)[0].tolist()
    assert matched == match_one_by_one(model.anchors.tolist(), truth.boxes.tolist(), truth.ignore.tolist())
    assert {0, 1, 2} <= set(matched)
    assert -2 in matched


def test_loss_equals_the_scalar_oracle() -> None:
    model = tiny()
    predictions = random_predictions(model, 3)
    losses = model.loss(predictions, some_targets())
    classes, nothing = [(t.labels + 1).tolist() for t in some_targets()], torch.zeros(3, len(model.anchors))
    anchors = model.anchors.expand(3, -1, 4)
    expected = multibox_loss_one_by_one(*predictions[:2], anchors, some_targets(), classes, nothing)
    assert losses["class"].item() == pytest.approx(expected[0], rel=1e-4)
    assert losses["box"].item() == pytest.approx(expected[1], rel=1e-4)


def test_the_hardest_negatives_alone_are_mined_three_for_each_positive() -> None:
    model = tiny()
    predictions = random_predictions(model, 1)
    truth = target((3.0, 5.0, 40.0, 42.0, 1))
    (grad,) = torch.autograd.grad(model.loss(predictions, [truth])["class"], [predictions.logits])
    taught = (grad[0].abs().sum(1) > 0).tolist()
    matched = match_one_by_one(model.anchors.tolist(), truth.boxes.tolist(), [False])
    positives = sum(g >= 0 for g in matched)
    background = predictions.logits[0].log_softmax(-1)[:, 0]
    mined = {i for i, learns in enumerate(taught) if learns and matched[i] < 0}
    hardest = [i for i in background.argsort().tolist() if matched[i] < 0][: 3 * positives]
    assert mined == set(hardest)
    assert all(learns for learns, g in zip(taught, matched, strict=True) if g >= 0)


@pytest.mark.parametrize("norm", [False, True])
def test_every_parameter_learns(norm: bool) -> None:
    model = tiny(norm=norm, l2_norm=() if norm else (20.0,), negatives_per_positive=1000.0)
    squares = ((12, 10), (24, 20), (48, 32), (32, 60))  # centre and side, one for each level
    a_level_each = target(*[(c - s / 2, c - s / 2, c + s / 2, c + s / 2, 1) for c, s in squares])
    sum(model.loss(model(torch.randn(2, 3, 64, 64)), [a_level_each, target()]).values()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_an_image_without_objects_teaches_background() -> None:
    model = tiny()
    assert model.loss(model(torch.randn(1, 3, 64, 64)), [target()])["class"] > 0
    silent = tiny(min_negatives=0)
    assert silent.loss(silent(torch.randn(1, 3, 64, 64)), [target()])["class"] == 0


def test_wild_predictions_stay_finite() -> None:
    model = tiny()
    predictions = random_predictions(model, 3, spread=400.0)
    losses = model.loss(predictions, some_targets())
    grads = torch.autograd.grad(sum(losses.values()), [predictions.logits, predictions.deltas])
    assert all(x.isfinite().all() for x in (*losses.values(), *grads))
    assert all(found.boxes.isfinite().all() for found in model.detect(predictions, 0.01))


# ------------------------------------------------------------------------------------------------- detect


def detect_one_by_one(model: SSD, predictions: Predictions, floor: float) -> list[tuple[float, int, int]]:
    """(score, label, anchor) of one image: the rules in loops."""
    c = model.config
    boxes = model.coder.decode(predictions.deltas[0], predictions.anchors).detach()
    if c.clip_boxes:
        boxes = boxes.clamp(0, 64)
    scores = predictions.logits[0].detach().softmax(-1)
    found: list[tuple[float, int, int]] = []
    for label in range(c.num_classes):
        rows = [(float(s), i) for i, s in enumerate(scores[:, label + 1]) if s > floor]
        kept: list[tuple[float, int]] = []
        for score, i in sorted(rows, reverse=True)[: c.candidates]:
            if all(overlap(boxes[i].tolist(), boxes[k].tolist()) <= c.nms_iou for _, k in kept):
                kept.append((score, i))
        found += [(score, label, i) for score, i in kept]
    return sorted(found, reverse=True)[: c.keep]


@pytest.mark.parametrize("settings", [{}, {"candidates": 30}, {"keep": 20}, {"clip_boxes": True}])
def test_detect_equals_the_scalar_oracle(settings: dict[str, int]) -> None:
    model = tiny(**settings)
    predictions = random_predictions(model, 1)
    found = model.detect(predictions, score=0.05)[0]
    expected = detect_one_by_one(model, predictions, 0.05)
    assert found.labels.tolist() == [label for _, label, _ in expected]
    assert found.source.tolist() == [anchor for _, _, anchor in expected]
    torch.testing.assert_close(found.scores, torch.tensor([score for score, _, _ in expected]))
    outside = ((found.boxes < 0) | (found.boxes > 64)).any()
    assert bool(outside) != model.config.clip_boxes


def test_soft_nms_on_request() -> None:
    predictions = random_predictions(tiny(), 1)
    hard, soft = (tiny(nms=method, keep=2000).detect(predictions, 0.3)[0] for method in ("hard", "linear"))
    assert len(soft) > len(hard)
    assert (soft.scores > 0.3).all()


# ------------------------------------------------------------------------------------------------- as a whole


@pytest.mark.slow
def test_forward_compiles_as_one_graph_at_any_size() -> None:
    model = tiny().eval()
    for size in (64, 96):
        images = torch.randn(1, 3, size, size)
        whole = torch.compile(model, fullgraph=True, backend="eager")(images)
        torch.testing.assert_close(whole.anchors, model(images).anchors)


def test_a_backbone_that_cannot_take_its_size_is_refused() -> None:
    with pytest.raises(ValueError, match="ssd300-timm/swin_tiny_patch4_window7_224: Input height"):
        vedette.build("ssd300-timm/swin_tiny_patch4_window7_224")
