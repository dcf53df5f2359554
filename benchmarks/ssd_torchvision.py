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
from torchvision.models.detection import ssd300_vgg16 as torchvision_ssd

from beside_torchvision import WARM_UP, detect, report, train
from timing import in_turns
from vedette.papers.ssd import SSD
from vedette.weights.layouts.ssd_torchvision import convert
from vedette.zoo import build

CLASSES = 20
FLOOR = 0.01


def their_model() -> Any:
    """torchvision's, always with the same random weights: scores near 1 / 21, as of an untrained network."""
    torch.manual_seed(0)
    theirs = torchvision_ssd(weights=None, weights_backbone=None, num_classes=CLASSES + 1)
    for parameter in theirs.head.parameters():
        torch.nn.init.normal_(parameter, std=1e-4)
    return theirs


def same_models() -> tuple[SSD, Any]:
    """Ours and theirs, with the same weights."""
    theirs = their_model()
    checkpoint = convert(theirs.state_dict())
    ours = build("ssd300-vgg16", num_classes=CLASSES, **checkpoint.config)
    ours.load_state_dict(checkpoint.tensors)
    ours.input_spec = replace(ours.input_spec, **checkpoint.input)
    return ours, theirs


def after_the_network(model: SSD, device: str, rounds: int) -> None:
    """The share of the network's time that post-processing takes, scores of an untrained network."""
    model = model.eval().to(device)
    for batch in (1, 8):
        images = torch.randn(batch, 3, 300, 300, device=device).contiguous(memory_format=torch.channels_last)
        for bf16 in (False, True):
            with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=bf16):
                predictions = model(images)
                calls = {"net": lambda x=images: model(x), "post": lambda p=predictions: model.detect(p, FLOOR)}
                if device == "cuda":
                    calls |= {name: replayed(call) for name, call in recordable(model, images, predictions).items()}
                times = in_turns(calls, rounds, WARM_UP)
            kind = "bf16" if bf16 else "fp32"
            report(f"network, post-processing, batch of {batch}, {kind}", times["net"], times["post"], unit="share")
            if "net graph" in times:
                graphs = times["net graph"], times["post graph"]
                report(f"the same as CUDA graphs, batch of {batch}, {kind}", *graphs, unit="share")


def recordable(model: SSD, images: Tensor, predictions: Any) -> dict[str, Callable[[], object]]:
    """The network, and what comes after it on the device."""
    return {"net graph": lambda: model(images), "post graph": lambda: model.find(predictions, FLOOR)}


def replayed(call: Callable[[], object]) -> Callable[[], object]:
    """A call as a CUDA graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


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
        detect(ours, theirs, arguments.photo, arguments.device, arguments.rounds, FLOOR)
    if arguments.only in (None, "post"):
        after_the_network(ours, arguments.device, arguments.rounds)
    if arguments.only in (None, "train"):
        train(ours, theirs, arguments.device, arguments.rounds, arguments.batch, (300, 300), CLASSES)


if __name__ == "__main__":
    main()
