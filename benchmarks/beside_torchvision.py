"""What the benchmarks beside torchvision's detectors share: from JPEG to boxes, and a training step, in turns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image

from timing import compare, in_turns
from vedette.infer.detector import Detector
from vedette.structures import Target
from vedette.train.step import TrainStep

WARM_UP = 2
PRECISIONS = (("", False), (" bf16", True))


def report(what: str, ours: list[float], theirs: list[float], unit: str = "ratio") -> None:
    """One line: medians and theirs / ours with its quartiles."""
    a, b, low, ratio, high = compare(ours, theirs)
    print(f"{what:58s} {a:8.1f} ms {b:8.1f} ms   {unit} {ratio:5.2f}  ({low:.2f} to {high:.2f})", flush=True)


def detect(ours: Any, theirs: Any, photo: Path, device: str, rounds: int, floor: float) -> None:
    """From a JPEG on the disk to boxes on the CPU."""
    detector, recorded = (Detector(ours, ours.input_spec, None, device, graphs=graphs) for graphs in (False, True))
    theirs = theirs.eval().to(device)

    def their_way(bf16: bool) -> None:
        picture = decode_image(str(photo), ImageReadMode.RGB).to(device) / 255
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
            {name: value.cpu() for name, value in theirs([picture])[0].items()}

    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: detector.detect(photo, score=floor),
        "theirs": lambda: their_way(False),
        "ours bf16": lambda: detector.detect(photo, score=floor, bf16=True),
        "theirs bf16": lambda: their_way(True),
    }
    if recorded.device.type == "cuda":  # as CUDA graphs
        calls["graphs"] = lambda: recorded.detect(photo, score=floor)
        calls["graphs bf16"] = lambda: recorded.detect(photo, score=floor, bf16=True)
    times = in_turns(calls, rounds, WARM_UP)
    _report_pairs("JPEG to boxes", times)
    if "graphs" in times:
        report("JPEG to boxes, ours as graphs, both in fp32", times["graphs"], times["theirs"])
        report("JPEG to boxes, ours as graphs in bf16, theirs in fp32", times["graphs bf16"], times["theirs"])
        report("JPEG to boxes, ours as graphs, both in bf16", times["graphs bf16"], times["theirs bf16"])


def train(ours: Any, theirs: Any, device: str, rounds: int, batch: int, size: tuple[int, int], classes: int) -> None:
    """Images of that height and width and boxes to new weights: forward, loss, backward, SGD."""
    calls = training_calls(ours, theirs, device, batch, size, classes)
    _report_pairs(f"training step of {batch}", in_turns(calls, rounds, WARM_UP))


def training_calls(
    ours: Any, theirs: Any | None, device: str, batch: int, size: tuple[int, int], classes: int
) -> dict[str, Callable[[], object]]:
    """A training step of each, in fp32 and in bf16."""
    images = torch.randint(256, (batch, 3, *size), dtype=torch.uint8, device=device)
    corner, side = torch.rand(batch, 3, 2) * min(size) / 2, min(size) * (0.1 + 0.3 * torch.rand(batch, 3, 2))
    boxes = torch.cat([corner, corner + side], 2).to(device)
    labels = torch.randint(classes, (batch, 3), device=device)
    ours = ours.to(device, memory_format=torch.channels_last)
    targets = [Target(b, n) for b, n in zip(boxes, labels, strict=True)]
    their_targets = [{"boxes": b, "labels": n + 1} for b, n in zip(boxes, labels, strict=True)]

    def optimizer_of(model: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.train().parameters(), 1e-6, momentum=0.9)

    def one(optimizer: Any, losses: Callable[[], dict[str, Tensor]]) -> None:
        loss = torch.stack([value.float() for value in losses().values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    calls: dict[str, Callable[[], object]] = {}
    own = optimizer_of(ours)
    for suffix, bf16 in PRECISIONS:
        step = TrainStep(ours, ours.input_spec, bf16).to(device)
        calls[f"ours{suffix}"] = lambda s=step: one(own, lambda: s(images, targets))
    if theirs is None:
        return calls
    other = optimizer_of(theirs.to(device))

    def their_losses(bf16: bool) -> dict[str, Tensor]:
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            losses: dict[str, Tensor] = theirs(list(images / 255), their_targets)
        return losses

    for suffix, bf16 in PRECISIONS:
        calls[f"theirs{suffix}"] = lambda b=bf16: one(other, lambda: their_losses(b))
    return calls


def _report_pairs(what: str, times: dict[str, list[float]]) -> None:
    report(f"{what}, fp32", times["ours"], times["theirs"])
    report(f"{what}, ours in bf16, theirs in fp32", times["ours bf16"], times["theirs"])
    report(f"{what}, both in bf16", times["ours bf16"], times["theirs bf16"])
