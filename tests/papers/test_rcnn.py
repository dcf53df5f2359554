"""R-CNN: warped proposals, fine-tuning's windows, SVMs and box regression at test time."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from papers import tiny
from vedette.ops.boxes import iou, mirror
from vedette.papers.rcnn import BACKGROUND, NEITHER, RCNN, Predictions, draw, label_proposals, warp
from vedette.structures import Target, pad_targets
from vedette.zoo import build


@pytest.fixture(scope="module")
def model() -> RCNN:
    return tiny.rcnn(num_classes=2).eval()


def boxes_in(width: int, height: int, count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([width - 12.0, height - 12.0])
    extent = 4 + torch.rand(count, 2, generator=generator) * (torch.tensor([width, height]) - corner - 4)
    return torch.cat([corner, corner + extent], 1)


def target(*boxes: list[float], labels: list[int] | None = None, ignore: list[bool] | None = None) -> Target:
    marks = None if ignore is None else torch.tensor(ignore)
    chosen = torch.tensor(labels if labels is not None else [0] * len(boxes), dtype=torch.int64)
    return Target(torch.tensor(boxes).reshape(-1, 4).float(), chosen, marks)


def whole(images: Tensor) -> Tensor:
    return torch.tensor([images.shape[-2:]] * len(images))


# Warping


def test_warp_by_hand() -> None:
    image = torch.arange(1.0, 17.0).view(1, 1, 4, 4).expand(1, 3, 4, 4)
    first = torch.tensor([0])
    box = torch.tensor([[1.0, 1.0, 3.0, 3.0]])
    same = warp(image, box, first, whole(image), 2, 0)
    assert torch.allclose(same[0, 0], torch.tensor([[6.0, 7.0], [10.0, 11.0]]))
    wide = warp(image, torch.tensor([[0.0, 1.0, 4.0, 3.0]]), first, whole(image), 2, 0)  # columns at 1 and 3
    assert torch.allclose(wide[0, 0], torch.tensor([[5.5, 7.5], [9.5, 11.5]]))
    # One pixel of context at 4 pixels: the box fills the middle 2 × 2, so the region is twice as large.
    around = warp(image, box, first, whole(image), 4, 1)
    assert torch.allclose(around[0, 0], image[0, 0])
    # Outside of the image is 0; the sides of the box are 1, 1 → 3, 3.
    corner = warp(image, torch.tensor([[-1.0, -1.0, 1.0, 1.0]]), first, whole(image), 2, 0)
    assert torch.allclose(corner[0, 0], torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    true = warp(image, torch.tensor([[0.0, 0.0, 4.0, 4.0]]), first, torch.tensor([[3, 2]]), 4, 0)
    assert torch.allclose(true[0, 0, :, 2:], torch.zeros(4, 2))  # 2 columns and 3 rows are the image's
    assert torch.allclose(true[0, 0, 3], torch.zeros(4))
    assert torch.allclose(true[0, 0, :3, :2], image[0, 0, :3, :2])


def slow_warp(image: Tensor, box: list[float], side: int, context: int, height: int, width: int) -> Tensor:
    """Pixel by pixel."""
    result = torch.zeros(3, side, side)
    scale = side / (side - 2 * context)
    cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    w, h = (box[2] - box[0]) * scale, (box[3] - box[1]) * scale
    for row in range(side):
        for column in range(side):
            x, y = cx + w * ((column + 0.5) / side - 0.5), cy + h * ((row + 0.5) / side - 0.5)
            if not (0 <= x < width and 0 <= y < height):
                continue
            x, y = min(max(x, 0.5), width - 0.5) - 0.5, min(max(y, 0.5), height - 0.5) - 0.5
            x0, y0 = int(x), int(y)
            x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
            upper = image[:, y0, x0] * (x0 + 1 - x) + image[:, y0, x1] * (x - x0)
            lower = image[:, y1, x0] * (x0 + 1 - x) + image[:, y1, x1] * (x - x0)
            result[:, row, column] = upper * (y0 + 1 - y) + lower * (y - y0)
    return result


def test_the_slow_loop_warps_the_same() -> None:
    images, sizes = torch.randn(3, 3, 20, 30), torch.tensor([[20, 30], [13, 30], [20, 17]])
    boxes = torch.cat([boxes_in(30, 20, 7), torch.tensor([[-5.0, -3.0, 8.0, 25.0], [10.3, 10.1, 10.9, 10.7]])])
    whose = torch.tensor([0, 1, 2, 0, 1, 2, 0, 2, 1])
    found = warp(images, boxes, whose, sizes, 11, 2)
    for box, image, seen in zip(boxes.tolist(), whose.tolist(), found, strict=True):
        height, width = sizes[image].tolist()
        assert torch.allclose(seen, slow_warp(images[image], box, 11, 2, height, width), atol=2e-4)


def test_a_mirrored_picture_warps_mirrored() -> None:
    image, boxes = torch.randn(1, 3, 24, 40), boxes_in(40, 24, 6)
    whose = torch.zeros(6, dtype=torch.int64)
    plain = warp(image, boxes, whose, whole(image), 16, 2)
    mirrored = warp(image.flip(-1), mirror(boxes, 40), whose, whole(image), 16, 2)
    assert torch.allclose(plain, mirrored.flip(-1), atol=1e-4)


def test_no_boxes_warp_to_none() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert warp(torch.rand(1, 3, 9, 9), torch.zeros(0, 4), none, torch.tensor([[9, 9]]), 8, 1).shape == (0, 3, 8, 8)


# Forward


def test_predictions_are_padded_and_lie_with_their_proposals(model: RCNN) -> None:
    images = torch.randn(2, 3, 40, 60)
    given = [boxes_in(60, 40, 5), boxes_in(60, 40, 2, seed=1)]
    found = model(images, proposals=given)
    assert found.logits.shape == (2, 5, 3)
    assert found.margins.shape == (2, 5, 2)
    assert found.deltas.shape == (2, 5, 2, 4)
    assert found.real.tolist() == [[True] * 5, [True, True, False, False, False]]
    assert torch.equal(found.proposals[1, :2], given[1])
    assert found.sizes.tolist() == [[40, 60]] * 2
    for row in range(2):
        alone = model(images[row : row + 1], proposals=[given[row]])
        n = len(given[row])
        assert torch.allclose(found.logits[row, :n], alone.logits[0], atol=1e-4)


def test_chunks_change_nothing(model: RCNN) -> None:
    images, given = torch.randn(2, 3, 40, 60), [boxes_in(60, 40, 4), boxes_in(60, 40, 3, seed=1)]
    chunks: list[int] = []
    model.backbone.register_forward_pre_hook(lambda module, x: chunks.append(len(x[0])))
    at_once = model(images, proposals=given)
    model.config, config = replace(model.config, chunk=3), model.config
    pieces = model(images, proposals=given)
    model.config = config
    assert chunks == [7, 3, 3, 1]
    for one, other in zip(at_once, pieces, strict=True):
        assert torch.allclose(one.float(), other.float(), atol=1e-4)


def test_the_padding_of_the_images_is_not_seen(model: RCNN) -> None:
    image = torch.randn(1, 3, 30, 40)
    padded = torch.full((1, 3, 50, 60), 9.0)
    padded[..., :30, :40] = image
    given = [torch.tensor([[0.0, 0.0, 40.0, 30.0], [20.0, 12.0, 40.0, 30.0]])]
    found = model(padded, torch.tensor([[30, 40]]), given)
    assert torch.allclose(found.logits, model(image, proposals=given).logits, atol=1e-4)


def test_proposals_may_be_plain_numbers(model: RCNN) -> None:
    images, boxes = torch.randn(1, 3, 40, 60), [[0.0, 0.0, 40.0, 30.0], [5.0, 5.0, 20.0, 30.0]]
    assert torch.equal(model(images, proposals=[boxes]).logits, model(images, proposals=[torch.tensor(boxes)]).logits)


# Fine-tuning


def test_labels_by_hand() -> None:
    truth = pad_targets(
        [
            target([0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], labels=[1, 0, 1], ignore=[False, False, True]),
            target(),
        ],
        torch.device("cpu"),
    )
    proposals = torch.tensor(
        [
            [0.0, 0.0, 10.0, 5.0],  # IoU 0.5 exactly with the first
            [0.0, 0.0, 10.0, 4.9],
            [21.0, 0.0, 30.0, 10.0],
            [40.0, 0.0, 50.0, 6.0],  # on the ignored one
            [40.0, 0.0, 50.0, 4.0],  # not enough on it
            [0.0, 0.0, 10.0, 10.0],  # padding
        ]
    ).expand(2, 6, 4)
    valid = torch.tensor([True] * 5 + [False]).expand(2, 6)
    found = label_proposals(proposals, valid, truth, 0.5)
    assert found.tolist() == [
        [2, BACKGROUND, 1, NEITHER, BACKGROUND, NEITHER],
        [BACKGROUND] * 5 + [NEITHER],
    ]


def test_a_proposal_on_an_object_and_an_ignored_box_is_the_objects() -> None:
    truth = pad_targets([target([0, 0, 10, 10], [0, 0, 10, 9], ignore=[False, True])], torch.device("cpu"))
    one = torch.tensor([[[0.0, 0.0, 10.0, 9.0]]])
    assert label_proposals(one, torch.tensor([[True]]), truth, 0.5).tolist() == [[1]]


@pytest.mark.parametrize(("objects", "background"), [(50, 200), (5, 301), (40, 10), (0, 20), (0, 0)])
def test_the_sample_has_its_numbers(objects: int, background: int) -> None:
    labels = torch.cat([torch.full((objects,), 3), torch.zeros(background).long(), torch.full((6,), NEITHER)])
    labels = labels[torch.randperm(len(labels))].view(2, -1)
    chosen = draw(labels, 32, 96, torch.tensor([1, 2]))
    assert int((chosen & (labels > 0)).sum()) == min(32, objects)
    assert int((chosen & (labels == 0)).sum()) == min(96, background)
    assert not bool((chosen & (labels == NEITHER)).any())


def test_the_sample_is_drawn_at_random() -> None:
    labels = torch.zeros(1, 200, dtype=torch.int64)
    first, second = (draw(labels, 32, 96, torch.tensor([seed])) for seed in (1, 2))
    assert not torch.equal(first, second)
    assert draw(torch.zeros(1, 0, dtype=torch.int64), 32, 96, torch.tensor([1])).shape == (1, 0)


def predictions(proposals: Tensor, num_classes: int = 2, size: tuple[int, int] = (100, 100)) -> Predictions:
    batch, count, _ = proposals.shape
    return Predictions(
        logits=torch.zeros(batch, count, num_classes + 1),
        margins=torch.full((batch, count, num_classes), -9.0),
        deltas=torch.zeros(batch, count, num_classes, 4),
        proposals=proposals,
        real=torch.ones(batch, count, dtype=torch.bool),
        sizes=torch.tensor([size] * batch),
    )


def test_the_loss_by_hand(model: RCNN) -> None:
    proposals = torch.tensor([[[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0], [0.0, 0.0, 10.0, 9.0]]])
    found = predictions(proposals)
    logits = torch.tensor([[[0.0, 0.0, 2.0], [1.0, 0.0, 0.0], [0.0, 3.0, 0.0]]])
    truth = [target([0, 0, 10, 10], labels=[1])]
    loss = model.loss(found._replace(logits=logits), truth)
    assert set(loss) == {"class"}
    wanted = [logits[0, row].log_softmax(0)[label] for row, label in enumerate((2, 0, 2))]
    assert torch.allclose(loss["class"], -torch.stack(wanted).mean())
    assert torch.allclose(model.loss(found, truth)["class"], torch.tensor(3.0).log())  # log(C + 1)


def test_the_loss_takes_32_and_96(model: RCNN) -> None:
    proposals = torch.cat([torch.tensor([[0.0, 0.0, 10.0, 10.0]]).repeat(50, 1), boxes_in(60, 60, 200) + 30])[None]
    logits = torch.zeros(1, 250, 3, requires_grad=True)
    model.loss(predictions(proposals)._replace(logits=logits), [target([0, 0, 10, 10])])["class"].backward()
    used = logits.grad.abs().sum(2)[0] > 0  # type: ignore[union-attr]
    assert (int(used[:50].sum()), int(used[50:].sum())) == (32, 96)


def test_windows_are_drawn_with_the_gt_boxes_among_them(model: RCNN) -> None:
    boxes = boxes_in(60, 60, 300) + 40
    truth = [target([0, 0, 10, 10], [20, 0, 22, 10]), target()]
    windows = model.draw_windows([boxes, boxes[:7]], truth)
    overlap = iou(windows[0], truth[0].boxes)
    assert overlap.amax(0).tolist() == [1, 1]  # no proposal is near them, so they stand for themselves
    assert sum(map(len, windows)) == 2 + 96
    assert len(model.draw_windows([torch.zeros(0, 4)], [target()])[0]) == 0
    assert len(model.draw_windows([torch.zeros(0, 4)], [target([4, 4, 5, 5])])[0]) == 1


# Detection


def test_margins_become_scores_once_there_are_svms(model: RCNN) -> None:
    found = predictions(torch.tensor([[[0.0, 0.0, 10.0, 10.0]]]))
    found = found._replace(margins=torch.tensor([[[0.0, 1.0]]]))
    assert torch.allclose(model.scores(found), torch.full((1, 1, 2), 1 / 3))  # not fitted: the softmax
    model.svm_fitted.fill_(True)
    try:
        assert torch.allclose(model.scores(found), torch.tensor([[[0.5, 1 / (1 + torch.tensor(-1.0).exp())]]]))
        model.config, config = replace(model.config, scorer="softmax"), model.config
        assert torch.allclose(model.scores(found), torch.full((1, 1, 2), 1 / 3))
        model.config = config
        unseen = found._replace(real=torch.tensor([[False]]))
        assert not bool(model.scores(unseen).any())
    finally:
        model.svm_fitted.fill_(False)


def test_each_class_moves_the_box_its_own_way_and_stays_inside(model: RCNN) -> None:
    found = predictions(torch.tensor([[[10.0, 10.0, 30.0, 20.0]]]), size=(40, 33))  # 33 wide
    deltas = torch.tensor([[[[0.5, 0.0, 0.0, 0.0], [0.0, 0.1, 0.0, torch.tensor(2.0).log()]]]])
    found = found._replace(deltas=deltas)
    of_both = torch.tensor([[0, 0]]), torch.tensor([[0, 1]])
    assert torch.allclose(model.boxes_at(found, *of_both)[0, 0], torch.tensor([20.0, 10.0, 33.0, 20.0]))
    assert torch.allclose(model.boxes_at(found, *of_both)[0, 1], torch.tensor([10.0, 6.0, 30.0, 26.0]))
    model.config, config = replace(model.config, regress=False), model.config
    assert torch.allclose(model.boxes_at(found, *of_both)[0, 0], torch.tensor([10.0, 10.0, 30.0, 20.0]))
    model.config = config


def test_detect_keeps_source_and_suppresses_within_a_class(model: RCNN) -> None:
    proposals = torch.tensor([[[0.0, 0.0, 10.0, 10.0], [60.0, 60.0, 80.0, 80.0], [0.0, 0.0, 10.0, 9.0]]])
    logits = torch.tensor([[[1.0, 1.0, 0.0], [9.0, 0.0, 0.0], [0.0, 5.0, 4.9]]])
    (found,) = model.detect(predictions(proposals)._replace(logits=logits), score=0.2)
    assert found.source.tolist() == [2, 2]  # row 0 overlaps row 2 in its class
    assert found.labels.tolist() == [0, 1]
    assert torch.equal(found.boxes[0], proposals[0, 2])
    assert bool((found.scores.diff() <= 0).all())


def test_detect_gives_each_class_its_own_box(model: RCNN) -> None:
    proposals = torch.tensor([[[10.0, 10.0, 30.0, 30.0]]])
    deltas = torch.zeros(1, 1, 2, 4)
    deltas[0, 0, 1, 0] = 0.5
    (found,) = model.detect(predictions(proposals)._replace(deltas=deltas), score=0.1)
    boxes = {label: box for label, box in zip(found.labels.tolist(), found.boxes.tolist(), strict=True)}
    assert boxes == {0: [10.0, 10.0, 30.0, 30.0], 1: [20.0, 10.0, 40.0, 30.0]}


# The whole


def test_the_papers_networks() -> None:
    with torch.device("meta"):
        model = build("rcnn-alexnet")
        count = sum(p.numel() for p in model.backbone.parameters())
    assert model.config.warp_size == 227
    assert count == 2_469_696 + 9216 * 4096 + 4096 + 4096 * 4096 + 4096
    assert model.head.weight.shape == (21, 4096)
    assert model.regressor.weight.shape == (80, 9216)
    assert not model.svm.weight.requires_grad
    assert model.input_spec.resize == "short side"
