"""NMS and RoIAlign against torchvision's: what a two-stage detector does besides its convolutions.

    python benchmarks/regions_torchvision.py [--rounds 7] [--device cuda]

NMS of two images' proposals of the RPN, in training and in detection, and of what RetinaNet finds in 80 classes;
RoIAlign of 512 regions of each of two images on FPN's map at stride 8, alone and with its gradient. fp32, random
boxes, in turns in one process; a ratio is theirs / ours, its median with its quartiles.
"""

import argparse
import platform
from collections.abc import Callable

import torch
import torchvision
from torch import Tensor

from timing import compare, in_turns
from vedette.ops.nms import nms
from vedette.ops.roi import numbered, roi_align
from vedette.parts.anchors import grid_anchors, ratio_shapes

IMAGES, SIDE = 2, 800
Calls = dict[str, Callable[[], object]]


def proposals() -> Tensor:
    """(B, A, 4): anchors of four sizes and three ratios at stride 16, each moved a little."""
    shapes = torch.cat([ratio_shapes(side, (0.5, 1.0, 2.0)) for side in (64.0, 128.0, 256.0, 512.0)])
    anchors = grid_anchors(shapes, SIDE // 16, SIDE // 16, 16)
    sides = (anchors[:, 2:] - anchors[:, :2]).repeat(1, 2)
    return (anchors + 0.1 * sides * torch.randn(IMAGES, *anchors.shape)).clamp(0, SIDE)


def suppression(device: str, count: int, classes: int, iou: float, enough: int) -> Calls:
    """The best `enough` of an image's `count` candidates, by both."""
    boxes = proposals()[:, torch.randperm(SIDE * SIDE // 256 * 12)[:count]].to(device)
    scores = torch.rand(boxes.shape[:2], device=device)
    groups = torch.randint(classes, boxes.shape[:2], device=device)

    def theirs() -> None:
        for row in zip(boxes, scores, groups, strict=True):
            torchvision.ops.batched_nms(*row, iou)[:enough]

    return {"ours": lambda: nms(boxes, scores, groups, iou, enough), "theirs": theirs}


def pooling(device: str, gradient: bool) -> Calls:
    """512 regions of each image, 7 × 7 with 2 × 2 samples, of 256 channels."""
    feature = torch.randn(IMAGES, 256, SIDE // 8, SIDE // 8, device=device)
    feature = feature.contiguous(memory_format=torch.channels_last).requires_grad_(gradient)
    rois = numbered(proposals()[:, :: SIDE * SIDE // 256 * 12 // 512][:, :512].to(device))

    def run(pooled: Tensor) -> None:
        if gradient:
            pooled.sum().backward()  # type: ignore[no-untyped-call]

    return {
        "ours": lambda: run(roi_align(feature, rois, 7, 1 / 8)),
        "theirs": lambda: run(torchvision.ops.roi_align(feature, rois, 7, 1 / 8, 2)),
    }


CASES: dict[str, Callable[[str], Calls]] = {
    "NMS of 12 000 proposals, 2000 wanted": lambda device: suppression(device, 12000, 1, 0.7, 2000),
    "NMS of 6000 proposals, 300 wanted": lambda device: suppression(device, 6000, 1, 0.7, 300),
    "NMS of 5000 boxes of 80 classes, 100 wanted": lambda device: suppression(device, 5000, 80, 0.5, 100),
    "RoIAlign": lambda device: pooling(device, gradient=False),
    "RoIAlign and its gradient": lambda device: pooling(device, gradient=True),
}


def main() -> None:
    """Prints the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, {arguments.device}")
    print("| | ours | torchvision | ratio (quartiles) |\n|---|---|---|---|")
    for name, prepare in CASES.items():
        times = in_turns(prepare(arguments.device), arguments.rounds)
        c = compare(times["ours"], times["theirs"], per=IMAGES)
        print(
            f"| {name} | {c.ours:.1f} ms | {c.theirs:.1f} ms | {c.ratio:.1f} ({c.low:.1f} to {c.high:.1f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
