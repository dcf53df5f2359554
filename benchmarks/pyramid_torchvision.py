"""Faster R-CNN and RetinaNet on ResNet-50 with FPN against torchvision's with the same weights.

    python benchmarks/pyramid_torchvision.py [--model faster-rcnn|retinanet --side 800 --rounds 5 --only detect|train]

21 classes, random weights, from JPEG to boxes and a training step. Every pair runs in turns in one process; a ratio is
theirs / ours, its median with its quartiles. bf16 is autocast; ours in it is set against theirs in float32 as well.
"""

import argparse
import platform
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torchvision.models import detection

import vedette
from beside_torchvision import detect, train
from vedette.weights.layouts import faster_rcnn_torchvision, retinanet_torchvision

CLASSES = 20
FLOOR = 0.05
ASPECT = 4 / 3
SPREAD = 4.0  # of RetinaNet's logits: as it begins, none of its 865,000 scores would reach the floor


def their_model(kind: str, side: int) -> Any:
    """torchvision's, always with the same random weights; RetinaNet's logits are spread."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"weights": None, "weights_backbone": None, "num_classes": CLASSES + 1}
    build = detection.fasterrcnn_resnet50_fpn if kind == "faster-rcnn" else detection.retinanet_resnet50_fpn
    theirs: Any = build(**options, min_size=side, max_size=longest(side))
    if kind == "retinanet":
        theirs.head.classification_head.cls_logits.weight.data *= SPREAD
    return theirs


def longest(side: int) -> int:
    """The longest long side beside a short side, as 1333 is beside 800."""
    return round(side * 5 / 3)


def same_models(kind: str, side: int) -> tuple[Any, Any]:
    """Ours and theirs, with the same weights."""
    theirs = their_model(kind, side)
    convert = faster_rcnn_torchvision.convert if kind == "faster-rcnn" else retinanet_torchvision.convert
    checkpoint = convert(theirs.state_dict())
    ours: Any = vedette.build(f"{kind}-resnet50-fpn", num_classes=CLASSES, **checkpoint.config)
    ours.load_state_dict(checkpoint.tensors)
    ours.input_spec = replace(ours.input_spec, **(checkpoint.input | {"size": side, "max_side": longest(side)}))
    return ours, theirs


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    demo = Path(str(files("vedette") / "assets" / "demo" / "astronaut.jpg"))
    parser.add_argument("--model", choices=("faster-rcnn", "retinanet"), default="faster-rcnn")
    parser.add_argument("--photo", type=Path, default=demo, help="a JPEG")
    parser.add_argument("--side", type=int, default=800, help="the short side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=1, help="images in a training step")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", choices=("detect", "train"), help="one part alone")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, {arguments.device}")
    print(f"{arguments.model}, short side {arguments.side}")
    print(f"{'':58s} {'ours':>8s}    {'theirs':>8s}      theirs / ours (quartiles)")
    ours, theirs = same_models(arguments.model, arguments.side)
    if arguments.only in (None, "detect"):
        detect(ours, theirs, arguments.photo, arguments.device, arguments.rounds, FLOOR)
    if arguments.only in (None, "train"):
        size = (arguments.side // 32 * 32, round(arguments.side * ASPECT) // 32 * 32)
        train(ours, theirs, arguments.device, arguments.rounds, arguments.batch, size, CLASSES)


if __name__ == "__main__":
    main()
