"""Faster R-CNN: anchors by hand, RPN labels and loss against loops, proposals against a loop, and that it learns."""

from typing import Any

import pytest
import torch

from papers.shared import cross_entropy, encoded, overlap, smooth_l1, some_targets, target
from papers.tiny import faster_rcnn as model
from vedette.papers.faster_rcnn import FasterRCNNConfig
from vedette.parts.anchors import region_anchors, region_shapes
from vedette.structures import HeadOutput, pad_targets
from vedette.zoo import build


def test_the_papers_anchors() -> None:
    shapes = region_shapes((128.0, 256.0, 512.0), (0.5, 1.0, 2.0))
    assert shapes.shape == (9, 2)  # k = 9
    torch.testing.assert_close(shapes.prod(1).sqrt().view(3, 3), torch.tensor([[128.0, 256.0, 512.0]] * 3))
    torch.testing.assert_close((shapes[:, 1] / shapes[:, 0]).view(3, 3)[:, 0], torch.tensor([0.5, 1.0, 2.0]))
    anchors = region_anchors(shapes, 38, 63, 16, (608, 1008), "centre")
    assert anchors.shape == (38 * 63 * 9, 4)  # about 20000 at 1000×600
    side = 128 / 2**0.5
    torch.testing.assert_close(anchors[0], torch.tensor([8 - side, 8 - side / 2, 8 + side, 8 + side / 2]))
    torch.testing.assert_close(anchors[9], anchors[0] + torch.tensor([16.0, 0.0, 16.0, 0.0]))
    torch.testing.assert_close(anchors[-5], torch.tensor([1000.0 - 128, 600 - 128, 1000 + 128, 600 + 128]))
    inside = ((anchors >= 0) & (anchors <= torch.tensor([1000.0, 600.0, 1000.0, 600.0]))).all(1)
    assert 5000 < int(inside.sum()) < 9000  # the paper: about 6000


@pytest.mark.parametrize("cross_border", [False, True])
def test_rpn_labels_and_loss_are_the_loop(cross_border: bool) -> None:
    detector = model(rpn_sample=96, rpn_share=1.0, cross_border=cross_border)  # all anchors: nothing is left to chance
    targets = some_targets()
    sizes = torch.tensor([[64, 64], [64, 64], [48, 60]])
    predictions = detector(torch.randn(3, 3, 64, 64), sizes)
    predictions = predictions._replace(
        rpn=predictions.rpn._replace(logits=torch.randn(3, 96, 2), deltas=torch.randn(3, 96, 4))
    )
    class_, box = detector.rpn_loss(predictions, pad_targets(targets, torch.device("cpu")))
    classes = boxes = number = positives = 0.0
    for image, gt in enumerate(targets):
        height, width = sizes[image].tolist()
        anchors = predictions.anchors.tolist()
        inside = [a[0] >= 0 and a[1] >= 0 and a[2] <= width and a[3] <= height for a in anchors]
        usable = [i for i in range(96) if cross_border or inside[i]]
        objects = gt.boxes.tolist()
        ignored = gt.ignore.tolist() if gt.ignore is not None else [False] * len(objects)
        real = [g for g in range(len(objects)) if not ignored[g]]
        highest = {g: max(overlap(objects[g], anchors[i]) for i in usable) for g in real}
        for i in usable:
            ious = {g: overlap(objects[g], anchors[i]) for g in real}
            best = max(real, key=lambda g: ious[g], default=None)
            is_best = any(abs(ious[g] - highest[g]) < 1e-6 and ious[g] > 1e-6 for g in real)
            logits = predictions.rpn.logits[image, i].tolist()
            if best is not None and (ious[best] >= 0.7 or is_best):
                number, positives = number + 1, positives + 1
                classes += cross_entropy(logits, 1)
                wanted = encoded(objects[best], anchors[i], (1.0, 1.0, 1.0, 1.0))
                given = predictions.rpn.deltas[image, i].tolist()
                boxes += sum(smooth_l1(a - b, 1 / 9) for a, b in zip(given, wanted, strict=True))
            elif max(ious.values(), default=0.0) < 0.3 and not any(
                overlap(objects[g], anchors[i]) >= 0.7 for g in range(len(objects)) if ignored[g]
            ):
                number += 1
                classes += cross_entropy(logits, 0)
    assert positives >= 4
    assert class_.item() == pytest.approx(classes / number, rel=1e-4)
    assert box.item() == pytest.approx(boxes / number, rel=1e-4)


def test_the_sample_of_anchors() -> None:
    detector = model(cross_border=True, rpn_sample=8)
    predictions = detector(torch.randn(3, 3, 64, 64))
    seen = []
    logits = predictions.rpn.logits.detach().requires_grad_()
    predictions = predictions._replace(rpn=predictions.rpn._replace(logits=logits))
    detector.rpn_loss(predictions, pad_targets(some_targets(), torch.device("cpu")))[0].backward()
    assert logits.grad is not None
    seen = (logits.grad.abs().sum(2) > 0).sum(1)
    assert seen.tolist() == [8, 8, 8]


def test_proposals_are_the_loop() -> None:
    detector = model(before_nms=(60, 30), proposals=(20, 10), least_side=6.0)
    images, sizes = torch.randn(2, 3, 64, 64), torch.tensor([[64, 64], [50, 40]])
    for training, before, after in ((True, 60, 20), (False, 30, 10)):
        predictions = detector.train(training)(images, sizes)
        assert predictions.proposals.shape == (2, after, 4)
        for image in range(2):
            scores = predictions.rpn.logits[image].softmax(1)[:, 1]
            boxes = detector.rpn_coder.decode(predictions.rpn.deltas[image], predictions.anchors)
            height, width = sizes[image].tolist()
            kept: list[int] = []
            for i in scores.argsort(descending=True).tolist()[:before]:
                x1, y1, x2, y2 = boxes[i].tolist()
                box = [max(0.0, min(x, side)) for x, side in zip((x1, y1, x2, y2), (width, height) * 2, strict=True)]
                boxes.data[i] = torch.tensor(box)
                if min(box[2] - box[0], box[3] - box[1]) < 6:
                    continue
                if all(overlap(box, boxes[k].tolist()) <= 0.7 for k in kept):
                    kept.append(i)
            got = predictions.scores[image] > 0
            assert predictions.source[image, got].tolist() == kept[:after]
            torch.testing.assert_close(predictions.proposals[image, got], boxes[kept[:after]])
            torch.testing.assert_close(predictions.scores[image, got], scores[kept[:after]])


@pytest.mark.parametrize(("first", "expected"), [(True, 3), (False, 0)])
def test_small_proposals_take_no_place_or_do(first: bool, expected: int) -> None:
    """The best three are too small: py-faster-rcnn takes the next three for them, Detectron none."""
    detector = model(before_nms=(3, 3), least_side=10.0, least_side_first=first, proposal_iou=1.0)
    images = torch.zeros(1, 3, 64, 64)
    predictions = detector(images)
    logits, deltas = torch.zeros_like(predictions.rpn.logits), torch.zeros_like(predictions.rpn.deltas)
    logits[0, :3, 1], deltas[0, :3, 2:] = 5.0, -3.0
    anchors = detector.anchor_cache.of(images, predictions.features)
    rpn = HeadOutput(logits, deltas)
    assert int((detector.propose(rpn, anchors, torch.tensor([[64, 64]])).kept.scores > 0).sum()) == expected


def test_the_least_side_is_sixteen_pixels_of_vocs_pictures() -> None:
    c = FasterRCNNConfig()
    assert c.least_side == pytest.approx(16 * c.image_size / 375)
    assert c.least_side_first


def test_no_gradient_reaches_the_rpn_through_the_proposals() -> None:
    detector = model()
    losses = detector.loss(detector(torch.randn(1, 3, 64, 64)), [target((10.0, 8.0, 50.0, 30.0, 0))])
    (losses["class"] + losses["box"]).backward()
    assert detector.rpn.logits.weight.grad is None
    assert detector.backbone.first.weight.grad is not None  # type: ignore[union-attr]


def test_other_sizes_and_no_proposals() -> None:
    detector = model(least_side=64.0)
    predictions = detector(torch.randn(1, 3, 32, 96))
    assert not (predictions.scores > 0).any()
    assert len(detector.eval().detect(predictions, score=0.0)[0]) == 0
    assert all(bool(loss.isfinite()) for loss in detector.loss(predictions, [target()]).values())


def test_one_map_takes_anchors_of_one_level() -> None:
    with pytest.raises(ValueError, match="give sizes for 1 level"):
        build("faster-rcnn-timm/resnet10t", anchor_sizes=((8.0,), (16.0,)))


@pytest.mark.parametrize(
    "field", [{"width": 64}, {"norm": True}, {"head_convs": 1}, {"head_layers": 1}, {"stride_in_1x1": True}]
)
def test_one_map_takes_nothing_of_a_pyramids_layers(field: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"has no field {next(iter(field))!r}"):
        build("faster-rcnn-timm/resnet10t", **field)


@pytest.mark.parametrize(
    ("height", "width", "trains"),
    [(128, 128, False), (135, 135, False), (136, 136, True), (104, 200, True), (104, 190, False)],
)
def test_which_images_have_an_anchor_inside(height: int, width: int, trains: bool) -> None:
    """Centres lie at 8, 24 …, so 128 pixels around one fit from 136 on; 181 by 90.5 of ratio one half at 104."""
    detector = build("faster-rcnn-timm/resnet10t", num_classes=2, anchor_sizes=((128.0,),))
    assert detector.trains_anchors(height, width) == trains
    across = build("faster-rcnn-timm/resnet10t", num_classes=2, anchor_sizes=((128.0,),), cross_border=True)
    assert across.trains_anchors(height, width)
