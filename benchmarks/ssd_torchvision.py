"""SSD300 against torchvision's `ssd300_vgg16` with the same weights: from JPEG to boxes, and a training step.

    python benchmarks/ssd_torchvision.py [--rounds 15] [--photo FILE] [--device cpu]

21 classes, random weights. Every pair runs in turns in one process; a ratio is theirs / ours, its median with its
quartiles. bf16 is autocast; ours in it is set against theirs in float32 as well, torchvision's own precision.
The last lines are what comes behind the network: its share of the network's time, at a score floor of 0.01.
"""

import argparse
import platform
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image
from torchvision.models.detection import ssd300_vgg16 as torchvision_ssd

from timing import compare, in_turns
from vedette.infer.detector import Detector
from vedette.infer.layouts.ssd_torchvision import convert
from vedette.papers.ssd import SSD, ssd300_vgg16
from vedette.structures import Target
from vedette.train.step import TrainStep

CLASSES = 20
FLOOR = 0.01
WARM_UP = 2  # rounds


def same_models() -> tuple[SSD, Any]:
    """Ours and theirs, with the same random weights: scores near 1 / 21, as of an untrained network."""
    torch.manual_seed(0)
    theirs = torchvision_ssd(weights=None, weights_backbone=None, num_classes=CLASSES + 1)
    for parameter in theirs.head.parameters():
        torch.nn.init.normal_(parameter, std=1e-4)
    checkpoint = convert(theirs.state_dict())
    ours = ssd300_vgg16(num_classes=CLASSES, **checkpoint.config)
    ours.load_state_dict(checkpoint.tensors)
    ours.input_spec = replace(ours.input_spec, **checkpoint.input)
    return ours, theirs


def report(what: str, ours: list[float], theirs: list[float], unit: str = "ratio") -> None:
    """One line: medians and theirs / ours with its quartiles."""
    a, b, low, ratio, high = compare(ours, theirs)
    print(f"{what:58s} {a:8.1f} ms {b:8.1f} ms   {unit} {ratio:5.2f}  ({low:.2f} to {high:.2f})", flush=True)


def detect(ours: SSD, theirs: Any, photo: Path, device: str, rounds: int) -> None:
    """From a JPEG on the disk to boxes on the CPU."""
    detector = Detector(ours, ours.input_spec, None, device)
    theirs = theirs.eval().to(device)

    def their_way(bf16: bool) -> None:
        picture = decode_image(str(photo), ImageReadMode.RGB).to(device) / 255
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
            {name: value.cpu() for name, value in theirs([picture])[0].items()}

    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: detector.detect(photo, score=FLOOR),
        "theirs": lambda: their_way(False),
        "ours bf16": lambda: detector.detect(photo, score=FLOOR, bf16=True),
        "theirs bf16": lambda: their_way(True),
    }
    _report_pairs("JPEG to boxes", in_turns(calls, rounds, WARM_UP))


def train(ours: SSD, theirs: Any, device: str, rounds: int, batch: int) -> None:
    """Images and boxes to new weights: forward, loss, backward, SGD."""
    images = torch.randint(256, (batch, 3, 300, 300), dtype=torch.uint8, device=device)
    corner, side = torch.rand(batch, 3, 2) * 150, 20 + torch.rand(batch, 3, 2) * 100
    boxes = torch.cat([corner, corner + side], 2).to(device)
    labels = torch.randint(CLASSES, (batch, 3), device=device)
    ours, theirs = ours.to(device, memory_format=torch.channels_last), theirs.to(device)
    targets = [Target(b, n) for b, n in zip(boxes, labels, strict=True)]
    their_targets = [{"boxes": b, "labels": n + 1} for b, n in zip(boxes, labels, strict=True)]
    optimizers = [torch.optim.SGD(m.train().parameters(), 1e-6, momentum=0.9) for m in (ours, theirs)]

    def one(optimizer: Any, losses: Callable[[], dict[str, Tensor]]) -> None:
        loss = torch.stack([value.float() for value in losses().values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def their_losses(bf16: bool) -> dict[str, Tensor]:
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            losses: dict[str, Tensor] = theirs(list(images / 255), their_targets)
        return losses

    calls: dict[str, Callable[[], object]] = {}
    for suffix, bf16 in (("", False), (" bf16", True)):
        step = TrainStep(ours, ours.input_spec, bf16)
        calls[f"ours{suffix}"] = lambda s=step: one(optimizers[0], lambda: s(images, targets))
        calls[f"theirs{suffix}"] = lambda b=bf16: one(optimizers[1], lambda: their_losses(b))
    _report_pairs(f"training step of {batch}", in_turns(calls, rounds, WARM_UP))


def _report_pairs(what: str, times: dict[str, list[float]]) -> None:
    report(f"{what}, fp32", times["ours"], times["theirs"])
    report(f"{what}, ours in bf16, theirs in fp32", times["ours bf16"], times["theirs"])
    report(f"{what}, both in bf16", times["ours bf16"], times["theirs bf16"])


def after_the_network(model: SSD, device: str, rounds: int) -> None:
    """The share of the network's time that post-processing takes, scores of an untrained network."""
    model = model.eval().to(device)
    for batch in (1, 8):
        images = torch.randn(batch, 3, 300, 300, device=device).contiguous(memory_format=torch.channels_last)
        for bf16 in (False, True):
            with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
                predictions = model(images)
                calls = {"net": lambda x=images: model(x), "post": lambda p=predictions: model.detect(p, FLOOR)}
                times = in_turns(calls, rounds, WARM_UP)
            kind = "bf16" if bf16 else "fp32"
            report(f"network, post-processing, batch of {batch}, {kind}", times["net"], times["post"], unit="share")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    demo = Path(str(files("vedette") / "assets" / "demo" / "astronaut.jpg"))
    parser.add_argument("--photo", type=Path, default=demo, help="a JPEG")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=8, help="images in a training step")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=("detect", "train", "post"), help="one part alone")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, {arguments.device}")
    print(f"{'':58s} {'ours':>8s}    {'theirs':>8s}      theirs / ours (quartiles)")
    ours, theirs = same_models()
    if arguments.only in (None, "detect"):
        detect(ours, theirs, arguments.photo, arguments.device, arguments.rounds)
    if arguments.only in (None, "post"):
        after_the_network(ours, arguments.device, arguments.rounds)
    if arguments.only in (None, "train"):
        train(ours, theirs, arguments.device, arguments.rounds, arguments.batch)


if __name__ == "__main__":
    main()
