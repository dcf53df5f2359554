"""R-CNN, SPPNet, Fast R-CNN, Faster R-CNN, FPN and RetinaNet on one data set: what each paper gained, and where.

    python benchmarks/history.py --data PATH --out runs/history [--epochs 8 --proposals 500 --only rcnn sppnet]

Each is trained by `vedette train` on the same images for as many epochs, with one recipe, backbone and seed, and
measured by `vedette evaluate`; the first three take the same proposals of selective search, fast, computed before.
Then one picture after the other is looked at, bf16 where the CPU has it, and the seconds are split: selective search,
the backbone's convolutions, and the rest (resizing, pooling, what looks at regions, NMS). The table is Markdown, a line
as soon as it is known. What is trained already is not trained again, so an interrupted comparison goes on.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import vedette
from trained import Row, command, evaluate, train
from vedette.data.read import read_datasets
from vedette.data.selective_search import cached_proposals, proposals
from vedette.ops.images import decode_image

ROWS = (
    Row("rcnn", "R-CNN", "rcnn-lite0"),
    Row("sppnet", "SPPNet", "sppnet-lite0"),
    Row("fast-rcnn", "Fast R-CNN", "fast-rcnn-lite0"),
    Row("faster-rcnn", "Faster R-CNN", "faster-rcnn-lite0"),
    Row("fpn", "Faster R-CNN on FPN", "faster-rcnn-lite0-fpn"),
    Row("retinanet", "RetinaNet", "retinanet-lite0-fpn"),
)
GIVEN = ("rcnn", "sppnet", "fast-rcnn")  # those that take proposals from outside
PICTURES = 20  # whose seconds are measured


def options(row: Row, arguments: argparse.Namespace) -> list[str]:
    """What all of them are trained with."""
    words = ["--recipe", "fine-tuning", "--epochs", str(arguments.epochs), "--batch-size", "4", "--lr", "5e-4"]
    words += ["--seed", str(arguments.seed), "--workers", str(arguments.workers)]
    return words + (["--set", f"proposals={arguments.proposals}"] if row.key in GIVEN else [])


@contextmanager
def stopwatch(module: Any) -> Iterator[list[float]]:
    """The seconds of each pass through a module."""
    passes: list[float] = []
    starts: list[float] = []
    before = module.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter()))
    after = module.register_forward_hook(lambda *_: passes.append(time.perf_counter() - starts.pop()))
    try:
        yield passes
    finally:
        before.remove()
        after.remove()


def seconds_of(detector: vedette.Detector, files: list[Path]) -> tuple[float, float, float]:
    """The medians of what an image takes: selective search, the backbone, the rest."""
    config: Any = detector.model.config
    given = getattr(detector.model, "needs_proposals", False)
    rows = []
    detector.detect(files[0], score=0.05, bf16=True)
    for file in files:
        picture = decode_image(file)
        search = 0.0
        if given:
            start = time.perf_counter()
            proposals(picture, config.search, config.proposals)
            search = time.perf_counter() - start
            cached_proposals(picture, config.search, config.proposals)  # found by `detect`, which is timed without it
        with stopwatch(detector.model.backbone) as passes:
            start = time.perf_counter()
            detector.detect(picture, score=0.05, bf16=True)
            rows.append((search, sum(passes), time.perf_counter() - start - sum(passes)))
    search, backbone, rest = (statistics.median(column) for column in zip(*rows, strict=True))
    return search, backbone, rest


def line(row: Row, arguments: argparse.Namespace) -> str:
    """Trains, measures and times one detector."""
    folder = Path(arguments.out) / row.key
    seconds = train(row, folder, arguments.data, options(row, arguments))["seconds"]
    found = evaluate(folder, arguments.data, "voc12")
    detector = vedette.load(folder / "best.safetensors", device="cpu")
    dataset = read_datasets([f"{arguments.data}:val"], "evaluate")
    files = [dataset.file(index) for index in range(min(PICTURES, len(dataset)))]
    parts = seconds_of(detector, files)
    millions = sum(parameter.numel() for parameter in detector.model.parameters()) / 1e6
    minutes = "–" if seconds is None else f"{seconds / 60:.0f}"
    shares = " | ".join("–" if part == 0 else f"{part:.3f}" for part in parts)
    classes = ", ".join(f"{name} {100 * ap:.1f}" for name, ap in found["per_class"].items())
    return (
        f"| {row.title} | {100 * found['mAP']:.1f} ({classes}) | {sum(parts):.3f} | {shares} | {minutes} "
        f"| {millions:.1f} |"
    )


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
    print("| | mAP (VOC area) | seconds an image | selective search | backbone | the rest | training, minutes ", end="")
    print("| M parameters |\n|---|---|---|---|---|---|---|---|")
    for row in ROWS:
        if row.key in arguments.only:
            print(line(row, arguments), flush=True)


if __name__ == "__main__":
    main()
