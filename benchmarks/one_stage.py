"""SSD, RefineDet and M2Det side by side: one backbone, one data set, one budget, one seed, one recipe.

    python benchmarks/one_stage.py --data PATH --out runs/one-stage [--epochs 2 --only ssd refinedet]

Trains each with `vedette train`, measures it with `vedette evaluate`, times it on random images, and prints the table
as Markdown, with the mAP after each epoch behind it: who learns slowly has not lost. A model that is trained already is
not trained again, so an interrupted comparison goes on.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import vedette
from trained import Row, epochs_of, evaluate, train

BATCH = 8  # images at once when detecting


ROWS = (
    Row("ssd", "SSD300", "ssd300-lite0"),
    Row("refinedet", "RefineDet320", "refinedet320-lite0"),
    Row("m2det-slim", "M2Det320, slim: 4 levels, 128 wide", "m2det320-lite0"),
    Row(
        "m2det",
        "M2Det320: 8 levels, 256 wide",
        "m2det320-lite0",
        ("levels=8", "width=256", "base_channels=[256,512]"),
    ),
)


def options(arguments: argparse.Namespace) -> list[str]:
    """What all of them are trained with."""
    words = ["--recipe", "fine-tuning", "--epochs", str(arguments.epochs), "--eval-every", "1"]
    return [*words, "--seed", str(arguments.seed), "--workers", str(arguments.workers)]


def cost(model: torch.nn.Module, size: int) -> tuple[float, float]:
    """Millions of parameters, and GFLOPs of one image (a multiplication and an addition are two)."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(torch.zeros(1, 3, size, size))
    return sum(p.numel() for p in model.parameters()) / 1e6, counter.get_total_flops() / 1e9


def detect_rate(detector: vedette.Detector, size: int, repeats: int = 7) -> float:
    """Images a second from the network's input to boxes, bf16 on a CPU that has it: the median of several batches."""
    torch.manual_seed(0)
    images = torch.randn(BATCH, 3, size, size).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            detector.model.detect(detector.model(images), score=0.05)  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times[1:])


def line(row: Row, arguments: argparse.Namespace) -> str:
    """Trains, measures and times one detector."""
    folder = Path(arguments.out) / row.key
    peak = train(row, folder, arguments.data, options(arguments))["peak_gib"]
    voc, coco = (evaluate(folder / "best.safetensors", arguments.data, metric) for metric in ("voc12", "coco"))
    by_size = " / ".join(f"{100 * coco['table'][f'ap_{name}']:.1f}" for name in ("small", "medium", "large"))
    detector = vedette.load(folder / "best.safetensors", device="cpu")
    size = detector.input_spec.size
    memory = "–" if peak is None else f"{peak:.1f}"
    millions, gflops = cost(detector.model, size)
    epochs = epochs_of(folder)
    trained = statistics.median(epoch["images_per_second"] for epoch in epochs)
    curve = ", ".join(f"{100 * epoch['mAP']:.1f}" for epoch in epochs)
    return (
        f"| {row.title} | {100 * voc['mAP']:.1f} | {100 * coco['mAP']:.1f} ({by_size}) | {millions:.1f} | {gflops:.1f} "
        f"| {trained:.1f} | {detect_rate(detector, size):.1f} | {memory} | {curve} |"
    )


def main() -> None:
    """Prints the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder with train and val")
    parser.add_argument("--out", default="runs/one-stage")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=[row.key for row in ROWS], default=[row.key for row in ROWS])
    arguments = parser.parse_args()
    print("| | mAP (VOC area) | COCO AP (small / medium / large) | M parameters | GFLOPs | train, images/s ", end="")
    print("| detect, images/s | peak memory, GiB | mAP by epoch |\n|---|---|---|---|---|---|---|---|---|")
    for row in ROWS:
        if row.key in arguments.only:
            print(line(row, arguments), flush=True)


if __name__ == "__main__":
    main()
