"""R-CNN, SPPNet, Fast R-CNN, Faster R-CNN, FPN and RetinaNet on one data set: what each paper gained, and where.

    python benchmarks/history.py --data PATH --out runs/history [--epochs 8 --proposals 500 --only rcnn sppnet]

Each is trained by `vedette train` on the same images for as many epochs, with one recipe, backbone and seed, and its
last weights are measured by `vedette evaluate`; the first three take the same proposals of selective search, fast,
computed before, so the minutes of training leave it out. Then one picture after the other is looked at, in bf16 as in
training, and the seconds are split: selective search, the convolutions that ImageNet trained (R-CNN: on the crops), and
the rest (resizing, a pyramid, pooling, what looks at regions, NMS); all four are medians, so the parts need not add up.
The table is Markdown, a line as soon as it is known. What is trained already by the same code is not trained again, so
an interrupted comparison goes on.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

import vedette
from trained import Row, command, evaluate, train
from vedette.data.decode import decode_image
from vedette.data.read import read_datasets
from vedette.data.selective_search import cached_proposals, proposals

ROWS = (
    Row("rcnn", "R-CNN", "rcnn-lite0"),
    Row("sppnet", "SPPNet", "sppnet-lite0"),
    Row("fast-rcnn", "Fast R-CNN", "fast-rcnn-lite0"),
    Row("faster-rcnn", "Faster R-CNN", "faster-rcnn-lite0"),
    Row("fpn", "Faster R-CNN on FPN", "faster-rcnn-lite0-fpn"),
    Row("retinanet", "RetinaNet", "retinanet-lite0-fpn"),
)
GIVEN = ("rcnn", "sppnet", "fast-rcnn")  # those that take proposals from outside
STAGED = ("rcnn", "sppnet")
PICTURES = 20  # whose seconds are measured


def options(row: Row, arguments: argparse.Namespace) -> list[str]:
    """What all of them are trained with."""
    words = ["--recipe", "fine-tuning", "--epochs", str(arguments.epochs), "--batch-size", "4", "--lr", "5e-4"]
    words += ["--seed", str(arguments.seed), "--workers", str(arguments.workers), "--precision", "bf16"]
    words += [] if row.key in STAGED else ["--eval-every", str(arguments.epochs)]  # those are measured once, at the end
    return words + (["--set", f"proposals={arguments.proposals}"] if row.key in GIVEN else [])


@contextmanager
def stopwatch(model: Any) -> Iterator[list[float]]:
    """The seconds of each pass through the layers that ImageNet trained; a pyramid on them is not among them."""
    passes: list[float] = []
    starts: list[float] = []
    convolutions = model.backbone.pretrained
    hooks = [
        convolutions.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter())),
        convolutions.register_forward_hook(lambda *_: passes.append(time.perf_counter() - starts.pop())),
    ]
    try:
        yield passes
    finally:
        for hook in hooks:
            hook.remove()


def seconds_of(detector: vedette.Detector, files: list[Path]) -> list[float]:
    """The medians of what an image takes: the whole, selective search, the backbone, the rest."""
    model: Any = detector.model
    pictures = [decode_image(file) for file in files]
    detector.detect(pictures[0], score=0.05, bf16=True)  # the first pass is slower
    rows = []
    for picture in pictures:
        search = search_seconds(picture, model.config) if getattr(model, "needs_proposals", False) else 0.0
        with stopwatch(model) as passes:
            start = time.perf_counter()
            detector.detect(picture, score=0.05, bf16=True)
            whole = time.perf_counter() - start
        rows.append((search + whole, search, sum(passes), whole - sum(passes)))
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def search_seconds(picture: Image.Image, config: Any) -> float:
    """What selective search takes; its proposals are kept, so that `detect`, which is timed without it, finds them."""
    start = time.perf_counter()
    proposals(picture, config.search, config.proposals)
    seconds = time.perf_counter() - start
    cached_proposals(picture, config.search, config.proposals)
    return seconds


def line(row: Row, arguments: argparse.Namespace) -> str:
    """Trains, measures and times one detector."""
    folder = Path(arguments.out) / row.key
    seconds = train(row, folder, arguments.data, options(row, arguments))["seconds"]
    found = evaluate(folder / "last.safetensors", arguments.data, "voc12")
    detector = vedette.load(folder / "last.safetensors", device="cpu")
    dataset = read_datasets([f"{arguments.data}:val"], "evaluate")
    files = [dataset.file(index) for index in range(min(PICTURES, len(dataset)))]
    parts = seconds_of(detector, files)
    millions = sum(parameter.numel() for parameter in detector.model.parameters()) / 1e6
    minutes = "–" if seconds is None else f"{seconds / 60:.0f}"
    seconds_each = " | ".join("–" if part == 0 else f"{part:.3f}" for part in parts)
    classes = ", ".join(f"{name} {100 * ap:.1f}" for name, ap in found["per_class"].items())
    return f"| {row.title} | {100 * found['mAP']:.1f} ({classes}) | {seconds_each} | {minutes} | {millions:.1f} |"


def main() -> None:
    """Prints the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder with train and val")
    parser.add_argument("--out", default="runs/history")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--proposals", type=int, default=500, help="of selective search, an image")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=[row.key for row in ROWS], default=[row.key for row in ROWS])
    arguments = parser.parse_args()
    for split in ("train", "val"):
        command("data", "proposals", f"{arguments.data}:{split}", "--limit", str(arguments.proposals))
    print(
        "| | mAP (VOC area) | seconds an image | selective search | convolutions | the rest | training, minutes ",
        end="",
    )
    print("| M parameters |\n|---|---|---|---|---|---|---|---|")
    for row in ROWS:
        if row.key in arguments.only:
            print(line(row, arguments), flush=True)


if __name__ == "__main__":
    main()
