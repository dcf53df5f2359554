"""M2Det against its paper: counts, anchors by hand, every block written plainly, its switches, and the whole."""

from math import exp, log, sqrt

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import vedette
from papers.shared import overlap, target
from papers.tiny import m2det as tiny
from vedette import zoo
from vedette.papers.m2det import SFAM, TUM, FFMv1, FFMv2, M2Det, M2DetConfig, map_sizes
from vedette.papers.ssd import Predictions
from vedette.zoo import build


def as_trained(model: nn.Module) -> nn.Module:
    """In eval, with batch norm statistics and weights as after training."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features) * 0.2)
            module.running_var.copy_(torch.rand(module.num_features) + 0.5)
            module.weight.data.copy_(torch.rand(module.num_features) + 0.5)
            module.bias.data.copy_(torch.randn(module.num_features) * 0.2)
    return model.eval()


def random_predictions(model: M2Det, batch: int) -> Predictions:
    count, classes = len(model.anchors), model.config.num_classes
    return Predictions(torch.randn(batch, count, classes + 1) * 2, torch.randn(batch, count, 4) * 0.5, model.anchors)


# ------------------------------------------------------------------------------------------------- anchors

SIZES = {320: 0.08, 512: 0.06, 800: 0.04}
STEPS = {320: (8, 16, 32, 64, 107, 320), 512: (8, 16, 32, 64, 128, 256), 800: (8, 16, 32, 62, 115, 160)}
CELLS = {320: (40, 20, 10, 5, 3, 1), 512: (64, 32, 16, 8, 4, 2), 800: (100, 50, 25, 13, 7, 5)}
COUNTS = {320: 12810, 512: 32760, 800: 80208}


def anchors_at(size: int) -> Tensor:
    return tiny(image_size=size, sizes=(SIZES[size], 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)).anchors


@pytest.mark.parametrize("size", COUNTS)
def test_anchors_one_by_one(size: int) -> None:
    fractions = (SIZES[size], 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
    expected = []
    for level, (step, cells) in enumerate(zip(STEPS[size], CELLS[size], strict=True)):
        s, larger = fractions[level] * size, fractions[level + 1] * size
        for row in range(cells):
            for column in range(cells):
                x, y = (column + 0.5) * step, (row + 0.5) * step
                for w, h in (
                    (s, s),
                    (sqrt(s * larger), sqrt(s * larger)),
                    (s * sqrt(2), s / sqrt(2)),
                    (s / sqrt(2), s * sqrt(2)),
                    (s * sqrt(3), s / sqrt(3)),
                    (s / sqrt(3), s * sqrt(3)),
                ):
                    expected.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    assert len(expected) == COUNTS[size]
    torch.testing.assert_close(anchors_at(size), torch.tensor(expected))


def test_first_and_last_anchors_of_each_level_by_hand() -> None:
    """At 320: a square first, the high box of ratio 1/3 last; its sides are size / 1.732 and size × 1.732."""
    rows = {
        0: [-8.8, -8.8, 16.8, 16.8],  # 25.6 around 4
        9599: [308.6098, 293.8297, 323.3902, 338.1703],  # around 316
        9600: [-16.0, -16.0, 32.0, 32.0],  # 48 around 8
        11999: [298.1436, 270.4308, 325.8564, 353.5692],  # around 312
        12000: [-36.8, -36.8, 68.8, 68.8],  # 105.6 around 16
        12599: [273.5159, 212.5477, 334.4841, 395.4523],  # around 304
        12600: [-49.6, -49.6, 113.6, 113.6],  # 163.2 around 32
        12749: [240.8881, 146.6645, 335.1119, 429.3355],  # around 288
        12750: [-56.9, -56.9, 163.9, 163.9],  # 220.8 around 53.5
        12803: [203.7603, 76.2809, 331.2397, 458.7191],  # around 267.5
        12804: [20.8, 20.8, 299.2, 299.2],  # 278.4 around 160
        12809: [79.6328, -81.1015, 240.3672, 401.1015],
    }
    anchors = anchors_at(320)
    torch.testing.assert_close(anchors[list(rows)], torch.tensor(list(rows.values())), atol=1e-3, rtol=0)


def test_anchors_of_another_input_keep_their_pixels_and_cover_it() -> None:
    model = tiny()
    anchors = model(torch.zeros(1, 3, 96, 160)).anchors
    assert len(anchors) == 6 * (12 * 20 + 6 * 10 + 4 * 8)
    size = anchors[:, 2:] - anchors[:, :2]
    torch.testing.assert_close(size[0], torch.tensor([12.8, 12.8]))  # 0.2 of 64, as at 64
    torch.testing.assert_close(size[-6], torch.tensor([0.7 * 64, 0.7 * 64]))
    center = (anchors[-1, :2] + anchors[-1, 2:]) / 2
    assert center.tolist() == pytest.approx([7.5 * 20, 3.5 * 24])  # 8 cells in 160, 4 in 96


def test_clipped_anchors_are_no_larger_than_the_image_and_keep_their_centres() -> None:
    free, clipped = (tiny(clip_anchors=clip).anchors for clip in (False, True))
    torch.testing.assert_close((clipped[:, :2] + clipped[:, 2:]) / 2, (free[:, :2] + free[:, 2:]) / 2)
    torch.testing.assert_close(clipped[:, 2:] - clipped[:, :2], (free[:, 2:] - free[:, :2]).clamp(max=64))
    assert (free[:, 2:] - free[:, :2]).max() > 64


# ------------------------------------------------------------------------------------------------- blocks


def plain(block: nn.Module, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolution, batch norm with the running statistics, ReLU: from the parameters alone."""
    conv, norm = block[0], block[1]  # type: ignore[index]
    x = F.conv2d(x, conv.weight, stride=stride, padding=padding)
    mean, var, weight, bias = (t[:, None, None] for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias))
    return ((x - mean) / (var + 1e-5).sqrt() * weight + bias).clamp(min=0)


def stretched(x: Tensor, height: int, width: int) -> Tensor:
    """Nearest neighbour, a cell at a time."""
    out = x.new_empty(*x.shape[:2], height, width)
    for i in range(height):
        for j in range(width):
            out[:, :, i, j] = x[:, :, i * x.shape[2] // height, j * x.shape[3] // width]
    return out


def test_ffmv1_puts_the_shallow_half_first_and_doubles_the_deep_one() -> None:
    ffm = as_trained(FFMv1((3, 5), (4, 6)))
    shallow, deep = torch.randn(2, 3, 8, 6), torch.randn(2, 5, 4, 3)
    expected = torch.cat([plain(ffm.shallow, shallow, padding=1), stretched(plain(ffm.deep, deep), 8, 6)], 1)
    torch.testing.assert_close(ffm(shallow, deep), expected)


def test_ffmv2_puts_the_base_feature_first() -> None:
    ffm = as_trained(FFMv2(7, 4))
    base, largest = torch.randn(2, 7, 5, 5), torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(ffm(base, largest), torch.cat([plain(ffm.thin, base), largest], 1))
    torch.testing.assert_close(ffm(base, None), plain(ffm.thin, base))


def test_tum_equals_a_plain_one() -> None:
    tum = as_trained(TUM(5, 6, scales=6))
    x = torch.randn(2, 5, 40, 34)
    down = [x]
    for i in range(4):
        down.append(plain(tum.encoder[i], down[-1], stride=2, padding=1))
    top = plain(tum.top, plain(tum.encoder[4], down[4]))
    up, expected = top, [top]
    for i in (4, 3, 2, 1, 0):
        up = plain(tum.laterals[i], down[i], padding=1) + stretched(up, *down[i].shape[2:])
        expected.append(plain(tum.smooth[i], up))  # what goes on upwards is not smoothed
    found = tum(x)
    assert [m.shape[2:] for m in found] == [(40, 34), (20, 17), (10, 9), (5, 5), (3, 3), (1, 1)]
    assert [m.shape[2:] for m in found] == list(zip(map_sizes(320, 6), (34, 17, 9, 5, 3, 1), strict=True))
    for ours, plainly in zip(found, reversed(expected), strict=True):
        torch.testing.assert_close(ours, plainly)


def test_each_tum_sees_the_base_feature_and_the_largest_map_before() -> None:
    model = as_trained(tiny(levels=3))
    base = torch.randn(2, 20, 8, 8)
    one = model.tums[0](plain(model.ffm2[0].thin, base))
    two = model.tums[1](torch.cat([plain(model.ffm2[1].thin, base), one[0]], 1))
    three = model.tums[2](torch.cat([plain(model.ffm2[2].thin, base), two[0]], 1))
    for scale, found in enumerate(model.multi_level(base)):
        expected = torch.cat([one[scale], two[scale], three[scale]], 1)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_gradients_do_not_grow_with_every_tum_on_their_way_back() -> None:
    """Six in a row, a batch of four: over a hundred times from the last to the first if all laterals began alike."""
    model = tiny(levels=6, sizes=(0.08, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05), image_size=320)
    largest = model.multi_level(torch.rand(4, 20, 40, 40))[0][:, -model.config.width :]
    (largest * torch.randn_like(largest)).sum().backward()
    first, last = (model.tums[level].laterals[0][0].weight.grad.norm() for level in (0, -1))
    assert first < 8 * last
    gains = [lateral[1].weight[0].item() for lateral in model.tums[0].laterals]
    assert gains == [32, 16, 8, 4, 2]


def test_sfam_equals_squeeze_and_excitation_a_channel_at_a_time() -> None:
    sfam = SFAM(6, 2, squeeze=3, share=False)
    pyramid = [torch.randn(2, 6, 4, 3), torch.randn(2, 6, 2, 2)]
    for attention, x, found in zip(sfam.attention, pyramid, sfam(pyramid), strict=True):
        w1, b1, w2, b2 = (p.squeeze().tolist() for p in attention.parameters())
        assert (len(w1), len(w2)) == (2, 6)
        for image in range(2):
            means = [float(x[image, c].mean()) for c in range(6)]
            hidden = []
            for k in range(2):
                hidden.append(max(0.0, b1[k] + sum(w1[k][c] * means[c] for c in range(6))))
            for c in range(6):
                gate = 1 / (1 + exp(-b2[c] - sum(w2[c][k] * hidden[k] for k in range(2))))
                torch.testing.assert_close(found[image, c], x[image, c] * gate)


def test_forward_is_figure_2() -> None:
    model = as_trained(tiny())
    images = torch.randn(2, 3, 64, 96)
    conv4_3, _, fc7 = model.backbone(images)
    pyramid = model.sfam(model.multi_level(model.ffm1(conv4_3, fc7)))
    logits, deltas, anchors = model(images)[:3]
    assert logits.shape == (2, 6 * (96 + 24 + 8), 4)
    assert deltas.shape == (2, len(anchors), 4) == (2, *anchors.shape)
    cell = model.head.logits[1](pyramid[1])[0, 8:12, 2, 3]  # third anchor of row 2, column 3 at stride 16
    torch.testing.assert_close(logits[0, 6 * 96 + 6 * (2 * 6 + 3) + 2], cell)


# ------------------------------------------------------------------------------------------------- parameters


def conv_norm(incoming: int, outgoing: int, kernel: int) -> int:
    return incoming * outgoing * kernel * kernel + 2 * outgoing


def test_parameters_of_the_largest_model() -> None:
    """800, VGG, COCO: 136.5 million by the figures; the paper says 147 (docs/papers/m2det.md)."""
    vgg = sum(
        n * m * 9 + m
        for n, m in [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512)]
        + [(512, 512)] * 5
        + [(512, 1024)]
    ) + (1024 * 1024 + 1024)
    base = conv_norm(512, 256, 3) + conv_norm(1024, 512, 1)
    thin = 8 * conv_norm(768, 128, 1)
    tum = 8 * (4 * 2 * conv_norm(256, 256, 3) + 6 * conv_norm(256, 256, 1))
    tum += 2 * (conv_norm(128, 256, 3) + 7 * conv_norm(384, 256, 3))
    sfam = 6 * (2048 * 128 + 128 + 128 * 2048 + 2048)
    heads = 6 * (2048 * 9 + 1) * 6 * (81 + 4)
    with torch.device("meta"):
        model = build("m2det320-vgg16", image_size=800, num_classes=80)
    assert len(model.anchors) == 80208
    assert sum(p.numel() for p in model.parameters()) == vgg + base + thin + tum + sfam + heads == 136_477_748


@pytest.mark.parametrize(
    ("setting", "part"), [({"levels": 3}, "tums"), ({"width": 32}, "tums"), ({"sfam": False}, "sfam")]
)
def test_the_ablations_parameters(setting: dict[str, int], part: str) -> None:
    before, after = (
        sum(p.numel() for name, p in m.named_parameters() if name.startswith(part)) for m in (tiny(), tiny(**setting))
    )
    assert after == 0 if part == "sfam" else after > before > 0


# ------------------------------------------------------------------------------------------------- switches


def test_shared_layers_are_one_for_all_levels_and_scales_and_nothing_else_changes() -> None:
    shared, separate = as_trained(tiny(levels=3, share_layers=True)), tiny(levels=3).eval()
    assert [len(shared.ffm2), len(shared.sfam.attention)] == [1, 1]
    assert [len(separate.ffm2), len(separate.sfam.attention)] == [3, 3]
    state = shared.state_dict()
    copies = {}
    for name in separate.state_dict():
        part = name.split(".")
        if part[0] == "ffm2":
            part[1] = "0"
        if part[0] == "sfam":
            part[2] = "0"
        copies[name] = state[".".join(part)]
    separate.load_state_dict(copies)
    images = torch.randn(1, 3, 64, 64)
    for a, b in zip(shared(images)[:3], separate(images)[:3], strict=True):
        torch.testing.assert_close(a, b)


def test_without_sfam_the_heads_read_the_levels_side_by_side() -> None:
    model, without = as_trained(tiny()), tiny(sfam=False).eval()
    state = {name: t for name, t in model.state_dict().items() if not name.startswith("sfam")}
    without.load_state_dict(state)  # and no other tensor is missing or too many
    images = torch.randn(1, 3, 64, 64)
    conv4_3, _, fc7 = model.backbone(images)
    expected = model.head(model.multi_level(model.ffm1(conv4_3, fc7)))
    torch.testing.assert_close(without(images).logits, expected.logits)
    assert (without(images).logits - model(images).logits).abs().max() > 1e-3


def test_the_norm_is_on_the_finest_map_alone() -> None:
    model, normed = as_trained(tiny()), as_trained(tiny(norm_finest=True))
    assert normed.load_state_dict(model.state_dict(), strict=False).missing_keys == [
        f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var")
    ]
    images = torch.randn(1, 3, 64, 64)
    before, after = model(images).logits, normed(images).logits
    assert (before - after)[:, :384].abs().amin((0, 2)).max() > 0
    torch.testing.assert_close(before[:, 384:], after[:, 384:])


def test_the_maps_that_are_fused_are_a_choice() -> None:
    model = tiny(fused=(0, 1))
    assert model.ffm1.deep[0].in_channels == 10
    with pytest.raises(ValueError, match=r"fused is \(1, 2\): give maps at strides 8 and 16"):
        tiny(fused=(1, 2))


# ------------------------------------------------------------------------------------------------- loss


def test_loss_by_hand() -> None:
    """All scores alike: ln 4 for the positive and its three negatives; every delta half a unit off: 4 × 0.5² / 2."""
    model = tiny(match_iou=1.0)
    count = len(model.anchors)
    predictions = Predictions(torch.zeros(2, count, 4), torch.full((2, count, 4), 0.5), model.anchors)
    box = model.anchors[150].tolist()
    losses = model.loss(predictions, [target((*box, 1))] * 2)  # type: ignore[arg-type]
    assert losses["class"].item() == pytest.approx(4 * log(4), rel=1e-5)
    assert losses["box"].item() == pytest.approx(0.5, rel=1e-4)


def test_an_image_without_objects_teaches_background() -> None:
    model = tiny(min_negatives=5)
    predictions = Predictions(
        torch.zeros(1, len(model.anchors), 4), torch.zeros(1, len(model.anchors), 4), model.anchors
    )
    assert model.loss(predictions, [target()])["class"].item() == pytest.approx(5 * log(4), rel=1e-5)


def test_the_configs_numbers_reach_the_loss() -> None:
    predictions, targets = random_predictions(tiny(), 1), [target((3.0, 5.0, 40.0, 42.0, 1))]
    usual = tiny().loss(predictions, targets)
    assert tiny(negatives_per_positive=1.0).loss(predictions, targets)["class"] < usual["class"]
    assert tiny(match_iou=0.3).loss(predictions, targets)["box"] != usual["box"]
    assert tiny(box_std=(0.2, 0.2, 0.2, 0.2)).loss(predictions, targets)["box"] != usual["box"]


def test_every_parameter_learns() -> None:
    model = tiny(negatives_per_positive=1000.0, norm_finest=True, fused=(0, 2))
    a_scale_each = target((10.0, 10.0, 23.0, 23.0, 1), (34.0, 30.0, 60.0, 60.0, 0), (0.0, 0.0, 40.0, 40.0, 2))
    sum(model.loss(model(torch.randn(2, 3, 64, 64)), [a_scale_each, target()]).values()).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize(("height", "width"), [(48, 48), (96, 160)])
def test_losses_are_finite_on_other_inputs(height: int, width: int) -> None:
    model = tiny()  # 48 pixels: the coarsest map has a single cell
    many = target(*[(i % 60.0, i % 50.0, i % 60.0 + 4, i % 50.0 + 3, i % 3) for i in range(300)])
    rows = [target(), target((0.0, 0.0, 64.0, 64.0, 0)), target((30.0, 30.0, 32.0, 32.0, 2)), many]
    predictions = model(torch.randn(4, 3, height, width))
    cells = [h * w for h, w in zip(map_sizes(height, 3), map_sizes(width, 3), strict=True)]
    assert predictions.logits.shape == (4, 6 * sum(cells), 4)
    losses = model.loss(predictions, rows)
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_sides_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="sides that are multiples of 16 from 48 on, not 72×64"):
        tiny()(torch.zeros(1, 3, 72, 64))
    with pytest.raises(ValueError, match="multiples of 16 from 48 on, not 64×32"):
        tiny()(torch.zeros(1, 3, 64, 32))
    with pytest.raises(ValueError, match="multiples of 16 from 272 on"):
        M2DetConfig(image_size=256)


# ------------------------------------------------------------------------------------------------- detect


def detect_one_by_one(model: M2Det, predictions: Predictions, floor: float) -> list[tuple[float, int, int]]:
    """(score, label, anchor) of one image: linear Soft-NMS in loops, class by class."""
    c = model.config
    scores = predictions.logits[0].softmax(-1)
    boxes = model.coder.decode(predictions.deltas[0], predictions.anchors).tolist()
    found = []
    for label in range(c.num_classes):
        left = [(float(s), i) for i, s in enumerate(scores[:, label + 1].tolist()) if s > floor]
        left = sorted(left, reverse=True)[: c.candidates]
        while left:
            best = max(left)
            left.remove(best)
            if best[0] > floor:
                found.append((best[0], label, best[1]))
            weakened = []
            for score, i in left:
                iou = overlap(boxes[best[1]], boxes[i])
                weakened.append((score * (1 - iou) if iou >= c.nms_iou else score, i))
            left = weakened
    return sorted(found, reverse=True)[: c.keep]


@pytest.mark.parametrize("setting", [{}, {"candidates": 5}, {"keep": 20}, {"nms_iou": 0.2}])
def test_detect_equals_the_scalar_oracle(setting: dict[str, float]) -> None:
    model = tiny(**setting)
    predictions = random_predictions(model, 1)
    found = model.detect(predictions, score=0.05)[0]
    expected = detect_one_by_one(model, predictions, 0.05)
    assert found.labels.tolist() == [label for _, label, _ in expected]
    assert found.source.tolist() == [anchor for _, _, anchor in expected]
    torch.testing.assert_close(found.scores, torch.tensor([score for score, _, _ in expected]))


def test_overlapping_boxes_are_weakened_not_dropped() -> None:
    """Two boxes of 40×40, one shifted by 8: IoU 1280 / 1920, so 0.6 becomes 0.6 / 3."""
    model = tiny()
    logits = torch.full((1, len(model.anchors), 4), -20.0)
    logits[..., 0] = 20.0
    deltas = torch.zeros(1, len(model.anchors), 4)
    for anchor, left, score in ((10, 10.0, 0.9), (20, 18.0, 0.6)):
        deltas[0, anchor] = model.coder.encode(torch.tensor([left, 10.0, left + 40, 50.0]), model.anchors[anchor])
        logits[0, anchor] = torch.tensor([1 - score, score, 1e-9, 1e-9]).log()
    predictions = Predictions(logits, deltas, model.anchors)
    assert model.detect(predictions)[0].scores.tolist() == pytest.approx([0.9, 0.2])
    assert model.detect(predictions, score=0.3)[0].source.tolist() == [10]
    hard = tiny(nms="hard")
    assert hard.detect(predictions)[0].source.tolist() == [10]


def test_the_floor_is_five_percent() -> None:
    model = tiny()
    logits = torch.full((1, len(model.anchors), 4), -20.0)
    logits[..., 0] = 20.0
    logits[0, 3] = torch.tensor([0.96, 0.04, 1e-9, 1e-9]).log()
    logits[0, 300] = torch.tensor([0.94, 0.06, 1e-9, 1e-9]).log()
    predictions = Predictions(logits, torch.zeros(1, len(model.anchors), 4), model.anchors)
    assert model.detect(predictions)[0].source.tolist() == [300]
    assert model.detect(predictions, score=0.01)[0].source.tolist() == [300, 3]


# ------------------------------------------------------------------------------------------------- as a whole


@pytest.mark.parametrize("name", [name for name in zoo.names() if name.startswith("m2det")])
def test_every_name_is_the_papers_size(name: str) -> None:
    size = int(name[5:8])
    with torch.device("meta"):
        model = vedette.build(name, num_classes=80)
        features = model.backbone(torch.zeros(1, 3, 64, 64))
    assert (model.config.image_size, model.config.sizes[0], len(model.anchors)) == (size, SIZES[size], COUNTS[size])
    shallow, deep = model.config.fused
    assert (features[shallow].shape[2:], features[deep].shape[2:]) == ((8, 8), (4, 4))
    slim = name.endswith("lite0")
    assert (model.config.levels, model.config.width, model.config.sfam) == ((4, 128, True) if slim else (8, 256, True))


def test_the_names() -> None:
    sizes = {"vgg16": (320, 512, 800), "resnet101": (320, 512), "lite0": (320, 512)}
    expected = {f"m2det{size}-{backbone}" for backbone, there in sizes.items() for size in there}
    assert {name for name in zoo.names() if name.startswith("m2det")} == expected
    with torch.device("meta"):
        for size in SIZES:
            assert len(vedette.build(f"m2det{size}-timm/resnet10t").anchors) == COUNTS[size]


def test_resnet_fuses_res3_and_res5() -> None:
    with torch.device("meta"):
        model = build("m2det320-resnet101")
        model_of_both_last = build("m2det320-resnet101", fused=(1, 2))
    assert model.ffm1.shallow[0].in_channels == 512
    assert model_of_both_last.ffm1.shallow[0].in_channels == 1024
