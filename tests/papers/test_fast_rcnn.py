"""Fast R-CNN: sampling and loss against loops, detection against a loop, SVD, and that it learns an image."""

import pytest
import torch
from torch import Tensor

from papers.shared import cross_entropy, encoded, overlap, smooth_l1, some_targets, target
from papers.tiny import fast_rcnn as model
from vedette.ops.boxes import clip_each
from vedette.papers.fast_rcnn import (
    Judged,
    find_in_regions,
    pad_proposals,
    region_loss,
    sample_regions,
    truncate,
)
from vedette.parts.box_coder import BoxCoder
from vedette.structures import HeadOutput, pad_targets

STD = (0.1, 0.1, 0.2, 0.2)


def some_proposals(images: int, count: int = 40) -> list[Tensor]:
    torch.manual_seed(1)
    corner, side = 44 * torch.rand(images, count, 2), 4 + 30 * torch.rand(images, count, 2)
    return list(torch.cat([corner, corner + side], 2).clamp(max=64))


def test_the_sample_is_what_the_paper_says() -> None:
    targets, proposals = some_targets(), torch.stack(some_proposals(3))
    there = torch.ones(3, 40, dtype=torch.bool)
    there[2, 10:] = False
    truth = pad_targets(targets, proposals.device)
    torch.manual_seed(0)
    boxes, matched = sample_regions(proposals, there, truth, count=16, share=0.25, positive=0.5, background=0.1)
    assert boxes.shape == (3, 16, 4)
    for image, (rows, of) in enumerate(zip(boxes.tolist(), matched.tolist(), strict=True)):
        gt, ignore = targets[image].boxes.tolist(), targets[image].ignore
        real = [g for g in range(len(gt)) if ignore is None or not ignore[g]]
        assert sum(g >= 0 for g in of) <= 4
        for box, g in zip(rows, of, strict=True):
            best = max((overlap(gt[k], box) for k in real), default=0.0)
            if g >= 0:
                assert overlap(gt[g], box) == best >= 0.5
            elif g == -1:
                assert 0.1 <= best < 0.5
    assert (matched[1] == -2).all()  # no objects: nothing overlaps one by 0.1
    free = sample_regions(proposals, there, truth, count=16, share=0.25, positive=0.5, background=0.0)
    assert (free.matched[1] == -1).all()
    assert (free.matched[2] != -2).sum() == 11  # ten proposals and the object itself


def test_the_objects_are_among_the_regions() -> None:
    truth = pad_targets([target((10.0, 8.0, 44.0, 40.0, 2))], torch.device("cpu"))
    nothing = torch.zeros(1, 1, 4), torch.zeros(1, 1, dtype=torch.bool)
    boxes, matched = sample_regions(*nothing, truth, count=4, share=0.5, positive=0.5, background=0.1)
    assert matched.tolist() == [[0, -2]]
    assert boxes[0, 0].tolist() == [10.0, 8.0, 44.0, 40.0]


def test_the_loss_is_the_loop() -> None:
    detector = model(regions=16, background_iou=0.0)
    targets, images = some_targets(), torch.randn(3, 3, 64, 64)
    predictions = detector(images, proposals=some_proposals(3))
    truth = pad_targets(targets, images.device)
    regions = sample_regions(
        predictions.proposals, predictions.real, truth, count=16, share=0.25, positive=0.5, background=0.0
    )
    step = HeadOutput(3 * torch.randn(3, 16, 4), torch.randn(3, 16, 3, 4))
    class_, box = region_loss(step, regions, truth, detector.coder)
    classes = boxes = number = 0.0
    for image in range(3):
        for row in range(16):
            g = int(regions.matched[image, row])
            if g == -2:
                continue
            number += 1
            label = 0 if g < 0 else int(targets[image].labels[g]) + 1
            classes += cross_entropy(step.logits[image, row].tolist(), label)
            if g >= 0:
                wanted = encoded(targets[image].boxes[g].tolist(), regions.boxes[image, row].tolist(), STD)
                given = step.deltas[image, row, label - 1].tolist()
                boxes += sum(smooth_l1(a - b, 1.0) for a, b in zip(given, wanted, strict=True))
    assert number > 30
    assert boxes > 0
    assert float(class_) == pytest.approx(classes / number, rel=1e-5)
    assert float(box) == pytest.approx(boxes / number, rel=1e-4)


def test_detection_is_the_loop() -> None:
    torch.manual_seed(0)
    step = HeadOutput(2 * torch.randn(2, 12, 4), torch.randn(2, 12, 3, 4))
    regions, there = torch.stack(some_proposals(2, 12)), torch.ones(2, 12, dtype=torch.bool)
    there[1, 8:] = False
    sizes = torch.tensor([[64, 64], [40, 50]])
    coder = BoxCoder(STD)
    judged = Judged(*step, regions, there, sizes)
    found = find_in_regions(judged, coder, floor=0.1, count=50, iou=1.0, keep=50, method="hard").candidates
    for image in range(2):
        wanted = []
        for row in range(12):
            scores = step.logits[image, row].softmax(0)[1:]
            for label in range(3):
                box = coder.decode(step.deltas[image, row, label], regions[image, row])
                box = clip_each(box[None, None], sizes[image : image + 1])[0, 0]
                if there[image, row] and scores[label] > 0.1 and bool((box[2:] > box[:2]).all()):
                    wanted.append((float(scores[label]), row, label, box))
        wanted.sort(key=lambda entry: -entry[0])
        got = found.scores[image] > 0
        assert int(got.sum()) == len(wanted) > 5
        assert found.source[image, got].tolist() == [row for _, row, _, _ in wanted]
        assert found.labels[image, got].tolist() == [label for _, _, label, _ in wanted]
        torch.testing.assert_close(found.boxes[image, got], torch.stack([box for _, _, _, box in wanted]))


def test_truncated_svd() -> None:
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(12, 9), torch.randn(5, 12)
    torch.testing.assert_close(truncate(layer, 9)(x), layer(x))
    thin = truncate(layer, 4)
    assert sum(p.numel() for p in thin.parameters()) == 4 * 12 + 4 * 9 + 9
    error = torch.linalg.matrix_norm(thin[1].weight @ thin[0].weight - layer.weight)
    best = torch.linalg.svdvals(layer.weight.detach())[4:].norm()  # no matrix of rank 4 is nearer
    torch.testing.assert_close(error.detach(), best)
    with pytest.raises(ValueError, match="rank is 10: give 1 to 9"):
        truncate(layer, 10)


def test_proposals_are_padded_and_the_padding_is_known() -> None:
    boxes = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    padded, given = pad_proposals(torch.zeros(3, 3, 9, 9), [boxes[:1], boxes[:0], boxes])
    assert padded.tolist() == [[[1, 2, 3, 4], [0] * 4], [[0] * 4, [0] * 4], [[1, 2, 3, 4], [5, 6, 7, 8]]]
    assert given.tolist() == [[True, False], [False, False], [True, True]]
    padded, given = pad_proposals(torch.zeros(1, 3, 9, 9), [boxes[:0]])
    assert padded.tolist() == [[[0] * 4]]
    assert given.tolist() == [[False]]
