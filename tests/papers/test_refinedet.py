"""RefineDet against its paper: counts, hand-written anchors, scalar oracles of loss and detection, the three ideas."""

from dataclasses import replace
from math import log, sqrt
from typing import Any

import pytest
import torch

from papers.shared import TinyBackbone, match_one_by_one, multibox_loss_one_by_one, overlap, some_targets, target
from papers.tiny import refinedet as tiny
from vedette.papers.refinedet import Predictions, RefineDet
from vedette.structures import HeadOutput
from vedette.zoo import build


def random_predictions(model: RefineDet, batch: int, spread: float = 1.0) -> Predictions:
    count, classes = len(model.anchors), model.config.num_classes
    arm = HeadOutput(torch.randn(batch, count, 2) * 3, torch.randn(batch, count, 4) * spread)
    odm = HeadOutput(torch.randn(batch, count, classes + 1), torch.randn(batch, count, 4) * spread)
    for tensor in (*arm, *odm):
        tensor.requires_grad_()
    return Predictions(arm, odm, model.anchors)


# ------------------------------------------------------------------------------------------------- anchors


@pytest.mark.parametrize(("size", "count"), [(320, 6375), (512, 16320)])
def test_number_of_anchors(size: int, count: int) -> None:
    with torch.device("meta"):
        model = build("refinedet320-vgg16", image_size=size)
    assert model.anchors.shape == (count, 4)


def test_first_and_last_anchors_of_each_level_by_hand() -> None:
    anchors = tiny(image_size=320).anchors
    half = sqrt(0.5)
    starts, ends = [0, 4800, 6000, 6300], [4799, 5999, 6299, 6374]
    for start, end, stride in zip(starts, ends, (8, 16, 32, 64), strict=True):
        side, first, last = 4 * stride, stride / 2, 320 - stride / 2
        wide, high = side / half / 2, side * half / 2  # ratio 1/2: twice as wide as high
        torch.testing.assert_close(
            anchors[start], torch.tensor([first - wide, first - high, first + wide, first + high])
        )
        square = torch.tensor([first - side / 2, first - side / 2, first + side / 2, first + side / 2])
        torch.testing.assert_close(anchors[start + 1], square)
        torch.testing.assert_close(anchors[end], torch.tensor([last - high, last - wide, last + high, last + wide]))


def test_anchors_run_along_rows() -> None:
    anchors = tiny(image_size=320).anchors
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    torch.testing.assert_close(centers[3], torch.tensor([12.0, 4.0]))  # the second cell of the first row
    torch.testing.assert_close(centers[40 * 3], torch.tensor([4.0, 12.0]))  # the first cell of the second row


def test_clipped_anchors_are_no_larger_than_the_image_and_keep_their_centres() -> None:
    free, clipped = (tiny(image_size=128, clip_anchors=clip).anchors for clip in (False, True))
    torch.testing.assert_close((clipped[:, :2] + clipped[:, 2:]) / 2, (free[:, :2] + free[:, 2:]) / 2)
    torch.testing.assert_close(clipped[:, 2:] - clipped[:, :2], (free[:, 2:] - free[:, :2]).clamp(max=128))
    assert (free[:, 2:] - free[:, :2]).max() > 128


# ------------------------------------------------------------------------------------------------- forward


def test_shapes_and_order_of_predictions() -> None:
    model = tiny().eval()
    images = torch.randn(2, 3, 64, 128)
    arm, odm, anchors = model(images)
    assert arm.logits.shape == (2, 510, 2)
    assert arm.deltas.shape == odm.deltas.shape == (2, 510, 4)
    assert odm.logits.shape == (2, 510, 4)
    assert anchors.shape == (510, 4)
    maps = model.features(images)
    cell = model.arm.deltas[1](maps[1])[0, 4:8, 2, 5]  # second anchor of row 2, column 5 at stride 16
    torch.testing.assert_close(arm.deltas[0, 8 * 16 * 3 + (2 * 8 + 5) * 3 + 1], cell)


def test_sides_that_are_no_multiple_of_64_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 64, not 100×128"):
        tiny()(torch.zeros(1, 3, 100, 128))


def test_vgg_maps_lie_at_strides_8_to_64() -> None:
    with torch.device("meta"):
        model = build("refinedet320-vgg16")
        maps = model.features(torch.zeros(1, 3, 320, 320))
    assert [tuple(m.shape[1:]) for m in maps] == [(512, 40, 40), (512, 20, 20), (1024, 10, 10), (512, 5, 5)]
    assert [norm.scale[0].is_meta for norm in model.l2_norms] == [True, True]


def test_l2_norms_start_at_10_and_8() -> None:
    model = tiny(l2_norm=(10.0, 8.0)).eval()
    images = torch.randn(1, 3, 64, 64)
    lengths = [m.norm(dim=1) for m in model.features(images)[:2]]
    torch.testing.assert_close(lengths[0], torch.full_like(lengths[0], 10.0))
    torch.testing.assert_close(lengths[1], torch.full_like(lengths[1], 8.0))


def test_coarser_levels_reach_the_finer_ones_through_the_tcbs() -> None:
    model = tiny().eval()
    features = model.features(torch.randn(1, 3, 64, 64))
    before = model.transfer(features)
    features[3] = features[3] + 1
    after = model.transfer(features)
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    features[0] = features[0] + 1
    assert torch.equal(model.transfer(features)[1], after[1])  # and never the other way


# ------------------------------------------------------------------------------------------------- loss


@pytest.mark.parametrize("switches", [{}, {"cascade": False}, {"filter_negatives": False}])
def test_loss_equals_the_scalar_oracle(switches: dict[str, bool]) -> None:
    model = tiny(**switches)
    predictions = random_predictions(model, 3, spread=0.5)
    arm, odm, anchors = predictions
    targets = some_targets()
    losses = model.loss(predictions, targets)

    plain = anchors.expand(3, -1, 4)
    refined = model.coder.decode(arm.deltas.detach(), anchors) if switches.get("cascade", True) else plain
    easy = arm.logits.softmax(-1)[..., 0] > 0.99
    nothing = torch.zeros_like(easy)
    objects = [[1] * len(t.labels) for t in targets]
    classes = [(t.labels + 1).tolist() for t in targets]
    expected = multibox_loss_one_by_one(arm.logits, arm.deltas, plain, targets, objects, nothing)
    assert losses["arm_class"].item() == pytest.approx(expected[0], rel=1e-4)
    assert losses["arm_box"].item() == pytest.approx(expected[1], rel=1e-4)
    skip = easy if switches.get("filter_negatives", True) else nothing
    assert easy.any()
    expected = multibox_loss_one_by_one(odm.logits, odm.deltas, refined, targets, classes, skip)
    assert losses["odm_class"].item() == pytest.approx(expected[0], rel=1e-4)
    assert losses["odm_box"].item() == pytest.approx(expected[1], rel=1e-4)


def test_no_gradient_of_the_odm_reaches_the_arm() -> None:
    model = tiny()
    predictions = random_predictions(model, 3)
    losses = model.loss(predictions, some_targets())
    assert predictions.arm is not None
    grads = torch.autograd.grad(losses["odm_class"] + losses["odm_box"], predictions.arm, allow_unused=True)
    assert grads == (None, None)


def test_easy_anchors_are_never_mined_but_stay_positive() -> None:
    model = tiny()
    predictions = random_predictions(model, 1, spread=0.0)
    targets = [target((16.0, 16.0, 48.0, 48.0, 1))]
    with torch.no_grad():
        predictions.arm.logits.copy_(torch.tensor([10.0, -10.0]))  # sure of background everywhere
    losses = model.loss(predictions, targets)
    (grad,) = torch.autograd.grad(losses["odm_class"], [predictions.odm.logits])
    taught = grad[0].abs().sum(1) > 0
    matched = match_one_by_one(model.anchors.tolist(), targets[0].boxes.tolist(), [False])
    assert taught.tolist() == [g >= 0 for g in matched]  # every positive, no negative at all


def test_every_parameter_learns() -> None:
    model = tiny(norm=True, l2_norm=(10.0, 8.0), image_size=256, negatives_per_positive=1000.0)
    a_level_each = target(*[(10.0, 10.0, 10.0 + side, 10.0 + side, 1) for side in (32, 64, 128, 240)])
    sum(model.loss(model(torch.randn(2, 3, 256, 256)), [a_level_each, target()]).values()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_an_image_without_objects_teaches_background() -> None:
    model = tiny()
    assert model.loss(model(torch.randn(1, 3, 64, 64)), [target()])["odm_class"] > 0
    silent = tiny(min_negatives=0)
    assert silent.loss(silent(torch.randn(1, 3, 64, 64)), [target()])["odm_class"] == 0


def test_wild_predictions_stay_finite() -> None:
    """Deltas far out shrink refined anchors to nothing: neither loss nor gradient may notice."""
    model = tiny()
    predictions = random_predictions(model, 3, spread=400.0)
    losses = model.loss(predictions, some_targets())
    grads = torch.autograd.grad(sum(losses.values()), [*predictions.arm, *predictions.odm])
    assert all(x.isfinite().all() for x in (*losses.values(), *grads))


# ------------------------------------------------------------------------------------------------- detect


def detect_one_by_one(model: RefineDet, predictions: Predictions, floor: float) -> list[tuple[float, int, int]]:
    """(score, label, anchor) of one image: the rules in loops."""
    arm, odm = (HeadOutput(step.logits.detach(), step.deltas.detach()) for step in predictions[:2])
    anchors = predictions.anchors
    c = model.config
    easy = (
        arm.logits.softmax(-1)[0, :, 0] > c.theta if c.filter_negatives else torch.zeros(len(anchors), dtype=torch.bool)
    )
    start = model.coder.decode(arm.deltas[0], anchors) if c.cascade else anchors
    boxes = model.coder.decode(odm.deltas[0], start).tolist()
    scores = odm.logits[0].softmax(-1)
    rows = [
        (float(scores[i, label + 1]), label, i)
        for i in range(len(anchors))
        for label in range(c.num_classes)
        if not easy[i] and scores[i, label + 1] > floor
    ]
    rows = sorted(rows, reverse=True)[: c.candidates]
    kept: list[tuple[float, int, int]] = []
    for score, label, i in rows:
        if all(k[1] != label or overlap(boxes[i], boxes[k[2]]) <= c.nms_iou for k in kept):
            kept.append((score, label, i))
    return kept[: c.keep]


@pytest.mark.parametrize(
    "switches", [{}, {"cascade": False}, {"filter_negatives": False}, {"candidates": 50, "keep": 20}]
)
def test_detect_equals_the_scalar_oracle(switches: dict[str, bool]) -> None:
    model = tiny(**switches)
    predictions = random_predictions(model, 1)
    found = model.detect(predictions, score=0.05)[0]
    expected = detect_one_by_one(model, predictions, 0.05)
    assert found.labels.tolist() == [label for _, label, _ in expected]
    assert found.source.tolist() == [anchor for _, _, anchor in expected]
    torch.testing.assert_close(found.scores, torch.tensor([score for score, _, _ in expected]))
    assert (found.scores.diff() <= 0).all()


def test_easy_anchors_find_nothing() -> None:
    model = tiny()
    predictions = random_predictions(model, 1)
    easy = predictions.arm.logits.softmax(-1)[0, :, 0] > 0.99
    assert easy.any()
    assert not easy[model.detect(predictions, 0.01)[0].source].any()
    unfiltered = RefineDet(replace(model.config, filter_negatives=False), TinyBackbone(last_stride=32))
    assert easy[unfiltered.detect(predictions, 0.01)[0].source].any()


# ------------------------------------------------------------------------------------------------- switches


def test_with_all_switches_off_there_is_one_head_as_in_ssd() -> None:
    model = tiny(filter_negatives=False, cascade=False, tcb=False).eval()
    predictions = model(torch.randn(1, 3, 64, 64))
    assert predictions.arm is None
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"backbone", "extra", "odm"}
    assert set(model.loss(predictions, [target((8.0, 8.0, 40.0, 40.0, 1))])) == {"odm_class", "odm_box"}
    assert len(model.detect(predictions, 0.01)) == 1


def test_without_tcbs_the_odm_reads_the_arm_maps() -> None:
    model = tiny(tcb=False).eval()
    images = torch.randn(1, 3, 64, 64)
    expected = model.odm(model.features(images))
    torch.testing.assert_close(model(images).odm.logits, expected.logits)


# ------------------------------------------------------------------------------------------------- as a whole


@pytest.mark.parametrize("name", ["ssd300-timm/resnet10t", "refinedet320-timm/resnet10t"])
def test_on_timm_maps_are_normalised_and_all_classes_begin_alike(name: str) -> None:
    """N counts positives, each has three negatives: 4 ln (C + 1), and 4 ln 2 of the ARM."""
    torch.manual_seed(0)
    detector: Any = build(name, num_classes=7)
    images = 3 * torch.randn(2, 3, detector.config.image_size, detector.config.image_size)
    for maps in detector.features(images)[:3]:
        assert float(maps.detach().square().mean().sqrt()) == pytest.approx(0.88, rel=1e-3)
    truth = [target((40.0, 40.0, 200.0, 260.0, 1)), target((90.0, 20.0, 120.0, 90.0, 6), (10.0, 10.0, 90.0, 60.0, 0))]
    losses = detector.loss(detector(images), truth)
    classes = {"class": 8, "odm_class": 8, "arm_class": 2}
    for key, count in classes.items():
        if key in losses:
            assert float(losses[key].detach()) == pytest.approx(4 * log(count), rel=1e-3)
    assert len(losses) in (2, 4)


def test_resnets_heads_are_xavier_and_its_other_new_layers_gaussian() -> None:
    detector = build("refinedet320-resnet101", num_classes=20)
    for head in (detector.arm, detector.odm):
        for layer in (*head.logits, *head.deltas):
            fan = 9 * (layer.in_channels + layer.out_channels)
            assert float(layer.weight.detach().std()) == pytest.approx((2 / fan) ** 0.5, rel=0.05)
    for block in detector.tcbs:
        assert float(block.conv1[0].weight.detach().std()) == pytest.approx(0.01, rel=0.05)
