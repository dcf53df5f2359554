"""A training step of RefineDet320 on EfficientNet-Lite0, and what of it the loss and the matching take.

    python benchmarks/refinedet_step.py [--device cuda --batch 64 --rounds 30]

Random images with 1 to 8 boxes each, bf16 under autocast, AdamW; medians. On a GPU the last line is the time that its
kernels take of a step, by PyTorch's profiler.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

import vedette
from vedette.ops.boxes import iou
from vedette.parts.matching import assign_bipartite
from vedette.structures import Target, TargetBatch
from vedette.train.step import TrainStep


def targets_of(batch: int) -> TargetBatch:
    """1 to 8 boxes an image."""
    found = []
    for count in torch.randint(1, 9, (batch,)).tolist():
        corner, side = torch.rand(count, 2) * 200, 20 + torch.rand(count, 2) * 100
        found.append(Target(torch.cat([corner, corner + side], 1), torch.randint(0, 20, (count,))))
    return TargetBatch.of(found)


def timed(what: str, call: Callable[[], Any], rounds: int) -> None:
    """Prints the median."""
    times = []
    for _ in range(rounds + 3):
        start = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    print(f"{what:44s} {1000 * statistics.median(times[3:]):8.2f} ms", flush=True)


def main() -> None:
    """Prints the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    device = arguments.device
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, {device}")
    model: Any = vedette.build("refinedet320-lite0").to(device, memory_format=torch.channels_last).train()
    step = TrainStep(model, model.input_spec, bf16=True).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-6, fused=True)
    images = torch.randint(256, (arguments.batch, 3, 320, 320), dtype=torch.uint8, device=device)
    targets = targets_of(arguments.batch).to(device)
    predictions = step.look(images, torch.full((arguments.batch, 2), 320, device=device))

    def whole() -> None:
        loss = torch.stack(list(step(images, targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    timed(f"step of {arguments.batch}", whole, arguments.rounds)
    timed("loss, forward", lambda: model.loss(predictions, targets), arguments.rounds)
    overlap = iou(targets.boxes, model.anchors)
    timed("assign_bipartite", lambda: assign_bipartite(overlap), arguments.rounds)
    if device == "cuda":
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            for _ in range(5):
                whole()
            torch.cuda.synchronize()
        busy = sum(event.self_device_time_total for event in seen.key_averages()) / 5 / 1000
        print(f"{'kernels of a step':44s} {busy:8.2f} ms")


if __name__ == "__main__":
    main()
