"""Soft-NMS of a whole batch against the textbook: a plain Python loop over images, classes and boxes, on one thread.

    python benchmarks/soft_nms.py [--rounds 7] [--device cuda]

8 images, 20 classes, 200 boxes a class and image. The two are timed in turns in one process; the figures are medians,
with the quartiles of the ratio, and the largest difference of their scores. The loop stays on the CPU.
"""

import argparse
import platform
from math import exp

import torch
from torch import Tensor

from timing import compare, in_turns
from vedette.ops.nms import soft_nms

IMAGES, CLASSES, BOXES = 8, 20, 200
IOU, SIGMA = 0.3, 0.5
Box = list[float]


def crowd() -> tuple[Tensor, Tensor, Tensor]:
    """Boxes in float32, as a detector gives them, of all classes mixed up; many overlap."""
    count = CLASSES * BOXES
    corner = torch.rand(IMAGES, count, 2) * 300
    boxes = torch.cat([corner, corner + 20 + torch.rand(IMAGES, count, 2) * 100], -1)
    groups = torch.stack([torch.randperm(count) % CLASSES for _ in range(IMAGES)])
    return boxes, torch.rand(IMAGES, count), groups


def in_loops(boxes: Tensor, scores: Tensor, groups: Tensor, method: str) -> Tensor:
    """Figure 2 of the paper for each class of each image."""
    rows = []
    for image in range(len(boxes)):
        softened = scores[image].tolist()
        corners, labels = boxes[image].tolist(), groups[image].tolist()
        for group in range(CLASSES):
            one_class(corners, softened, [i for i, label in enumerate(labels) if label == group], method)
        rows.append(softened)
    return torch.tensor(rows)


def one_class(boxes: list[Box], scores: list[float], waiting: list[int], method: str) -> None:
    """Weakens the scores of the boxes in `waiting`."""
    while waiting:
        best = max(waiting, key=scores.__getitem__)
        waiting.remove(best)
        for i in waiting:
            overlap = iou_of(boxes[best], boxes[i])
            if method == "gaussian":
                scores[i] *= exp(-overlap * overlap / SIGMA)
            elif overlap >= IOU:
                scores[i] *= 1 - overlap


def iou_of(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def main() -> None:
    """Prints a line for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, {platform.machine()}; {IMAGES} × {CLASSES} × {BOXES} boxes")
    inputs = crowd()
    here = [tensor.to(arguments.device) for tensor in inputs]
    for method in ("linear", "gaussian"):
        difference = float(
            (soft_nms(*here, method=method, iou=IOU, sigma=SIGMA).cpu() - in_loops(*inputs, method)).abs().max()
        )
        calls = {
            "ours": lambda method=method: soft_nms(*here, method=method, iou=IOU, sigma=SIGMA),
            "plain loop": lambda method=method: in_loops(*inputs, method),
        }
        times = in_turns(calls, arguments.rounds)
        ours, plain, low, ratio, high = compare(times["ours"], times["plain loop"])
        print(
            f"{method:8s}  ours {ours:7.1f} ms   plain loop {plain:8.1f} ms   ratio {ratio:5.1f}  "
            f"({low:.1f} to {high:.1f})   scores differ by {difference:.1e}"
        )


if __name__ == "__main__":
    main()
