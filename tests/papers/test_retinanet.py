"""RetinaNet: the focal loss by hand, matching and loss against a loop, the prior, and that it learns an image."""

from math import exp, log

import pytest
import torch

from papers.shared import TinyBackbone, encoded, overlap, smooth_l1, some_targets
from papers.tiny import RETINANET, SMALL
from papers.tiny import retinanet as model
from vedette.papers.retinanet import RetinaNet, RetinaNetConfig, focal_loss

ANCHORS = (8 * 8 + 4 * 4 + 2 * 2 + 1 + 1) * 6  # at 64 pixels


def focal(logit: float, wanted: bool, alpha: float, gamma: float) -> float:
    p = 1 / (1 + exp(-logit))
    return -alpha * (1 - p) ** gamma * log(p) if wanted else -(1 - alpha) * p**gamma * log(1 - p)


def test_the_focal_loss_by_hand() -> None:
    # p = 0.9, an easy positive: 0.25 · 0.01 · 0.10536; p = 0.1, a hard one: 0.25 · 0.81 · 2.30259
    logits = torch.tensor([log(9.0), -log(9.0), -log(9.0)])
    losses = focal_loss(logits, torch.tensor([1.0, 1.0, 0.0]), 0.25, 2.0)
    torch.testing.assert_close(losses, torch.tensor([0.00026340, 0.46627348, 0.00079020]), rtol=1e-4, atol=0)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.ones(3), reduction="none")
    torch.testing.assert_close(focal_loss(logits, torch.ones(3), 0.5, 0.0), 0.5 * entropy)


@pytest.mark.parametrize("gamma", [0.0, 0.1, 0.5, 1.0, 2.0, 5.0])  # tab. 1 b
def test_the_focal_loss_has_a_gradient_where_the_answer_is_certain(gamma: float) -> None:
    extreme = torch.tensor([-200.0, 200.0, -200.0, 200.0, 20.0, -20.0], requires_grad=True)
    focal_loss(extreme, torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0, 0.0]), 0.25, gamma).sum().backward()
    assert extreme.grad is not None
    assert bool(extreme.grad.isfinite().all())
    torch.testing.assert_close(extreme.grad[[0, 3]], torch.tensor([-0.25, 0.75]))  # wrong: as cross-entropy's


def test_the_papers_anchors() -> None:
    config = RetinaNetConfig()
    assert [round(sizes[0]) for sizes in config.anchor_sizes] == [32, 64, 128, 256, 512]
    assert config.anchor_sizes[0][2] == pytest.approx(32 * 2 ** (2 / 3))
    detector = model()
    predictions = detector(torch.zeros(1, 3, 64, 64))
    assert predictions.anchors.shape == (ANCHORS, 4)
    assert predictions.levels == (384, 96, 24, 6, 6)


def test_every_anchor_begins_as_an_object_by_the_prior() -> None:
    scores = model()(torch.randn(2, 3, 64, 64)).logits.sigmoid()
    assert 0.009 < float(scores.detach().mean()) < 0.011


@pytest.mark.parametrize("keep_best", [False, True])
def test_the_loss_is_the_loop(keep_best: bool) -> None:
    detector, targets = model(keep_best=keep_best), some_targets()
    predictions = detector(torch.randn(3, 3, 64, 64))
    predictions = predictions._replace(logits=torch.randn(3, ANCHORS, 3), deltas=torch.randn(3, ANCHORS, 4))
    losses = detector.loss(predictions, targets)
    classes, boxes, number = 0.0, 0.0, 0
    anchors = predictions.anchors.tolist()
    for image, gt in enumerate(targets):
        objects = gt.boxes.tolist()
        ignored = gt.ignore.tolist() if gt.ignore is not None else [False] * len(objects)
        real = [g for g in range(len(objects)) if not ignored[g]]
        highest = {g: max(overlap(objects[g], a) for a in anchors) for g in real}
        for i, anchor in enumerate(anchors):
            ious = {g: overlap(objects[g], anchor) for g in real}
            best = max(real, key=lambda g: ious[g], default=None)
            lifted = keep_best and any(abs(ious[g] - highest[g]) < 1e-6 for g in real)
            label = None
            if best is not None and (ious[best] >= 0.5 or lifted):
                number += 1
                label = int(gt.labels[best])
                wanted = encoded(objects[best], anchor, (1.0, 1.0, 1.0, 1.0))
                given = predictions.deltas[image, i].tolist()
                boxes += sum(smooth_l1(a - b, 1 / 9) for a, b in zip(given, wanted, strict=True))
            elif max(ious.values(), default=0.0) >= 0.4 or any(
                overlap(objects[g], anchor) >= 0.5 for g in range(len(objects)) if ignored[g]
            ):
                continue
            for c, logit in enumerate(predictions.logits[image, i].tolist()):
                classes += focal(logit, c == label, 0.25, 2.0)
    assert number >= 2
    assert losses["class"].item() == pytest.approx(classes / number, rel=1e-4)
    assert losses["box"].item() == pytest.approx(boxes / number, rel=1e-4)


def test_detection_takes_the_best_of_each_level() -> None:
    detector = model(candidates=3, nms_iou=1.0).eval()
    predictions = detector(torch.randn(1, 3, 64, 64))
    predictions = predictions._replace(logits=torch.randn(1, ANCHORS, 3))
    found = detector.detect(predictions, score=0.05)[0]
    start, wanted = 0, []
    for count in predictions.levels:
        part = predictions.logits[0, start : start + count].sigmoid().flatten()
        wanted += [(start + int(pair) // 3, int(pair) % 3) for pair in part.topk(3).indices]
        start += count
    assert sorted(zip(found.source.tolist(), found.labels.tolist(), strict=True)) == sorted(wanted)


def test_the_switches() -> None:
    assert model(p6_from="p5").pyramid.p6.in_channels == 64
    assert model(p6_from="c5").pyramid.p6.in_channels == 12
    assert any(isinstance(m, torch.nn.GroupNorm) for m in model(head_norm=True).modules())
    assert not any(isinstance(m, torch.nn.GroupNorm) for m in model().modules())


class EveryOtherCell(torch.nn.Module):
    """Two maps of the backbone's first, made 64 wide, the second half as fine."""

    def __init__(self) -> None:
        super().__init__()
        self.wider = torch.nn.Conv2d(8, 64, 1)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
        fine = self.wider(maps[0])
        return [fine, fine[..., ::2, ::2]]


def test_the_head_stands_on_any_pyramid() -> None:
    config = RetinaNetConfig(**(SMALL | RETINANET | {"anchor_sizes": ((8.0,), (24.0,))}))
    detector = RetinaNet(config, TinyBackbone(), EveryOtherCell(), strides=(8, 16.0))  # type: ignore[arg-type]
    predictions = detector(torch.zeros(1, 3, 64, 64))
    assert predictions.levels == (8 * 8 * 3, 4 * 4 * 3)
    assert predictions.logits.shape == (1, 240, 3)
    assert predictions.anchors[1].tolist() == [0.0, 0.0, 8.0, 8.0]  # the square in the first cell
    assert predictions.anchors[192 + 5 * 3 + 1].tolist() == [12.0, 12.0, 36.0, 36.0]  # row 1, column 1: around (24, 24)
    with pytest.raises(ValueError, match="give sizes for 2 levels"):
        RetinaNet(RetinaNetConfig(**(SMALL | RETINANET)), TinyBackbone(), EveryOtherCell(), strides=(8, 16))  # type: ignore[arg-type]


def test_what_lies_in_the_padding_takes_no_place() -> None:
    detector = model(keep=20).eval()
    images, sizes = torch.randn(1, 3, 64, 64), torch.tensor([[20, 20]])
    predictions = detector(images, sizes)
    predictions = predictions._replace(logits=torch.randn(1, ANCHORS, 3), deltas=torch.zeros(1, ANCHORS, 4))
    found = detector.detect(predictions, score=0.05)[0]
    assert len(found) > 5
    assert bool((found.boxes[:, 2:] > found.boxes[:, :2]).all())
