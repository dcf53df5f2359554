"""RefineDet's loss and post-processing against a plain loop over images and classes, on the same tensors.

    python benchmarks/refinedet_loss_and_detect.py [--port CHECKOUT]

21 classes, 6375 anchors, untrained scores. The loops are as the ports have them, with torchvision's NMS inside.
With --port, the loss of a checkout of RefineDet.PyTorch runs beside ours on the same predictions and boxes.
Every pair is timed in turns in one process; the figures are medians, with the quartiles of the ratio.
"""

import argparse
import platform
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou, nms

from timing import compare, in_turns
from vedette.papers.refinedet import Predictions, RefineDet
from vedette.structures import HeadOutput, Target
from vedette.zoo import build

CLASSES = 20
FLOOR = 0.01


def predictions_of(model: RefineDet, batch: int) -> Predictions:
    """What an untrained network says: scores near 1 / 21, deltas near 0."""
    count = len(model.anchors)
    arm = HeadOutput(torch.randn(batch, count, 2) * 0.1, torch.randn(batch, count, 4) * 0.1)
    odm = HeadOutput(torch.randn(batch, count, CLASSES + 1) * 0.1, torch.randn(batch, count, 4) * 0.1)
    return Predictions(arm, odm, model.anchors)


def targets_of(batch: int) -> list[Target]:
    """As many objects as VOC's images have: 1 to 8, 2.4 on average."""
    targets = []
    for _ in range(batch):
        count = min(8, 1 + int(torch.distributions.Geometric(torch.tensor(0.42)).sample()))
        corner, side = torch.rand(count, 2) * 200, 20 + torch.rand(count, 2) * 100
        targets.append(Target(torch.cat([corner, corner + side], 1), torch.randint(0, CLASSES, (count,))))
    return targets


def detect_in_loops(model: RefineDet, predictions: Predictions) -> list[tuple[Tensor, Tensor, Tensor]]:
    """An image at a time, a class at a time: the best 1000 of a class into NMS, the best 500 kept."""
    arm, odm, anchors = predictions
    found = []
    for row in range(len(odm.logits)):
        scores = odm.logits[row].softmax(-1)
        scores[arm.logits[row].softmax(-1)[:, 0] > 0.99] = 0
        boxes = model.coder.decode(odm.deltas[row], model.coder.decode(arm.deltas[row], anchors))
        parts = []
        for label in range(CLASSES):
            chosen = (scores[:, label + 1] > FLOOR).nonzero().squeeze(1)
            best, order = scores[chosen, label + 1].sort(descending=True)
            chosen, best = chosen[order[:1000]], best[:1000]
            kept = nms(boxes[chosen], best, 0.45)
            parts.append((boxes[chosen[kept]], best[kept], torch.full_like(kept, label)))
        all_boxes, all_scores, all_labels = (torch.cat(columns) for columns in zip(*parts, strict=True))
        order = all_scores.argsort(descending=True)[:500]
        found.append((all_boxes[order], all_scores[order], all_labels[order]))
    return found


def loss_in_loops(model: RefineDet, predictions: Predictions, targets: Sequence[Target]) -> Tensor:
    """The same loss, an image at a time."""
    arm, odm, anchors = predictions
    total = torch.zeros(())
    for step, is_odm in ((arm, False), (odm, True)):
        positives, classes, boxes = 0, torch.zeros(()), torch.zeros(())
        for row, target in enumerate(targets):
            references = model.coder.decode(arm.deltas[row].detach(), anchors) if is_odm else anchors
            easy = is_odm & (arm.logits[row].softmax(-1)[:, 0] > 0.99)
            one = _one_image(model, step, row, references, target, is_odm, easy)
            positives, classes, boxes = positives + one[0], classes + one[1], boxes + one[2]
        total = total + (classes + boxes) / max(1, positives)
    return total


def _one_image(
    model: RefineDet, step: HeadOutput, row: int, references: Tensor, target: Target, is_odm: bool, easy: Tensor
) -> tuple[int, Tensor, Tensor]:
    overlap = box_iou(target.boxes, references)
    best, matched = overlap.max(0)
    matched[best < 0.5] = -1
    for _ in range(len(target.boxes)):
        box, anchor = divmod(int(overlap.argmax()), overlap.shape[1])
        matched[anchor] = box
        overlap[box] = -1
        overlap[:, anchor] = -1
    positive = matched >= 0
    count = int(positive.sum())
    labels = torch.zeros(len(references), dtype=torch.int64)
    labels[positive] = target.labels[matched[positive]] + 1 if is_odm else 1
    loss = F.cross_entropy(step.logits[row], labels, reduction="none")
    ranking = loss.detach().masked_fill(positive | easy, -1)
    negatives = ranking.sort(descending=True)[1][: max(3 * count, 3)]
    wanted = model.coder.encode(target.boxes[matched[positive]], references[positive])
    boxes = F.smooth_l1_loss(step.deltas[row][positive], wanted, reduction="sum")
    return count, loss[positive].sum() + loss[negatives].sum(), boxes


def port_loss(checkout: str, model: RefineDet) -> Callable[[Predictions, Sequence[Target]], Tensor]:
    """The loss of RefineDet.PyTorch as it is used in its train script, fed with our predictions."""
    sys.path.insert(0, checkout)
    from layers.modules import RefineDetMultiBoxLoss  # type: ignore[import-not-found]

    settings: tuple[Any, ...] = (0.5, True, 0, True, 3, 0.5, False, False)
    arm_loss = RefineDetMultiBoxLoss(2, *settings)
    odm_loss = RefineDetMultiBoxLoss(CLASSES + 1, *settings, use_ARM=True)
    corners = model.anchors / 320
    priors = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)

    def loss(predictions: Predictions, targets: Sequence[Target]) -> Tensor:
        arm, odm, _ = predictions
        truths = [torch.cat([t.boxes / 320, t.labels[:, None].float()], 1) for t in targets]
        given = (arm.deltas, arm.logits, odm.deltas, odm.logits, priors)
        return sum(arm_loss(given, truths)) + sum(odm_loss(given, truths))

    return loss


def with_backward(loss: Callable[[Predictions, Sequence[Target]], Tensor], p: Predictions, t: Sequence[Target]) -> None:
    """Forward and backward on leaves of their own."""
    arm, odm = (HeadOutput(*(x.detach().requires_grad_() for x in step)) for step in (p.arm, p.odm))
    loss(Predictions(arm, odm, p.anchors), t).backward()


def report(name: str, times: dict[str, list[float]], per: int = 1) -> None:
    """One line: medians and the ratio with its quartiles."""
    ours, theirs, low, ratio, high = compare(times["ours"], times["theirs"], per)
    print(f"{name:44s} ours {ours:8.2f} ms   theirs {theirs:8.2f} ms   ratio {ratio:6.1f}  ({low:.1f} to {high:.1f})")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", help="a checkout of RefineDet.PyTorch")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    model = build("refinedet320-timm/resnet10t", tcb_channels=8)
    for batch in (1, 8):
        predictions = predictions_of(model, batch)
        calls = {
            "ours": lambda p=predictions: model.detect(p, FLOOR),
            "theirs": lambda p=predictions: detect_in_loops(model, p),
        }
        report(f"post-processing an image, batch of {batch}", in_turns(calls, arguments.rounds), per=batch)
    predictions, targets = predictions_of(model, 16), targets_of(16)

    def ours(p: Predictions, t: Sequence[Target]) -> Tensor:
        return torch.stack(list(model.loss(p, t).values())).sum()

    def loops(p: Predictions, t: Sequence[Target]) -> Tensor:
        return loss_in_loops(model, p, t)

    difference = abs(float(ours(predictions, targets) - loops(predictions, targets)))
    print(f"loss: batched and in loops differ by {difference:.1e}")
    rivals = {"loops": loops} | ({"the port": port_loss(arguments.port, model)} if arguments.port else {})
    for name, rival in rivals.items():
        calls = {
            "ours": lambda: with_backward(ours, predictions, targets),
            "theirs": lambda r=rival: with_backward(r, predictions, targets),
        }
        report(f"loss of a batch of 16, both ways, against {name}", in_turns(calls, arguments.rounds))


if __name__ == "__main__":
    main()
