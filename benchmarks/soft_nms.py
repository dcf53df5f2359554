"""Soft-NMS of a whole batch against the textbook: a plain Python loop over images, classes and boxes, on one thread.

    python benchmarks/soft_nms.py [--rounds 7]

8 images, 20 classes, 200 boxes a class and image. The two are timed in turns in one process; the figures are medians,
with the quartiles of the ratio, and the largest difference of their scores.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from math import exp

import torch
from torch import Tensor

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


def in_turns(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each call, the two alternating so that a busy machine slows both."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds + 1):
        for call, kept in zip((first, second), times, strict=True):
            start = time.perf_counter()
            call()
            if round_:  # the first round warms up
                kept.append(time.perf_counter() - start)
    return times


def main() -> None:
    """Prints a line for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, {platform.machine()}; {IMAGES} × {CLASSES} × {BOXES} boxes")
    inputs = crowd()
    for method in ("linear", "gaussian"):
        difference = float(
            (soft_nms(*inputs, method=method, iou=IOU, sigma=SIGMA) - in_loops(*inputs, method)).abs().max()
        )
        ours, plain = in_turns(
            lambda method=method: soft_nms(*inputs, method=method, iou=IOU, sigma=SIGMA),
            lambda method=method: in_loops(*inputs, method),
            arguments.rounds,
        )
        low, middle, high = statistics.quantiles([b / a for a, b in zip(ours, plain, strict=True)], n=4)
        a, b = (1000 * statistics.median(x) for x in (ours, plain))
        print(
            f"{method:8s}  ours {a:7.1f} ms   plain loop {b:8.1f} ms   ratio {middle:5.1f}  ({low:.1f} to {high:.1f})"
            f"   scores differ by {difference:.1e}"
        )


if __name__ == "__main__":
    main()
