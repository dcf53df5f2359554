"""Whether M2Det's start is stable: the first steps of m2det320-lite0 at the paper's peak rate, from several seeds.

    python benchmarks/m2det_stable_start.py --data PATH[:SPLIT] [--steps 500 --seeds 0 1 2 --batch 32]

SGD as in the paper: momentum 0.9, weight decay 5e-4, a rate of 2e-3 after a warm-up over the first thirtieth of the
steps (5 of 150 epochs); no clipping, no layer frozen. The rate is that of the paper's batch of 32 whatever the batch: a
smaller one is the harder test. Prints for each seed whether every loss was finite, and the medians of the first and the
last 50 steps.
"""

import argparse
import statistics
import time
from collections.abc import Iterator

import torch
from torch import nn

import vedette
from vedette.data.loader import AnnotatedImages, Batch, train_loader
from vedette.data.read import parse_source, read_dataset
from vedette.train.optim import build_optimizer
from vedette.train.recipe import Recipe
from vedette.train.step import TrainStep

PEAK_RATE = 2e-3
WARMUP = 5 / 150
WINDOW = 50  # steps whose median is taken
LIMIT = 0.6  # last over first


def losses_of(seed: int, arguments: argparse.Namespace) -> Iterator[float]:
    """The sum of the losses of each step."""
    torch.manual_seed(seed)
    dataset = read_dataset(*parse_source(arguments.data))
    model: nn.Module = vedette.build(
        arguments.model, num_classes=len(dataset.classes), weights_backbone=None if arguments.scratch else "imagenet"
    )
    device = torch.device(arguments.device)
    step = TrainStep(model, model.input_spec, arguments.bf16).to(device, memory_format=torch.channels_last).train()
    recipe = Recipe(optimizer="sgd", lr=PEAK_RATE, backbone_lr=1.0, weight_decay=5e-4)
    optimizer = build_optimizer(model, recipe)
    warmup = max(1, round(WARMUP * arguments.steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1.0, (i + 1) / warmup))
    for batch in batches(dataset, model, seed, arguments):
        losses = step(batch.images.to(device), [target.to(device) for target in batch.targets])
        total = torch.stack(list(losses.values())).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()
        yield float(total.detach())


def batches(dataset: AnnotatedImages, model: nn.Module, seed: int, arguments: argparse.Namespace) -> Iterator[Batch]:
    """As many batches as there are steps, epoch after epoch."""
    loader = train_loader(dataset, model.input_spec, arguments.batch, arguments.workers, seed)
    done = epoch = 0
    while True:
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            yield batch
            done += 1
            if done == arguments.steps:
                return
        epoch += 1


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="PATH[:SPLIT]")
    parser.add_argument("--model", default="m2det320-lite0")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--scratch", action="store_true", help="no ImageNet weights")
    parser.add_argument("--bf16", action="store_true")
    arguments = parser.parse_args()
    window = min(WINDOW, arguments.steps // 2)
    print(f"torch {torch.__version__}, {arguments.device}, {arguments.steps} steps of {arguments.batch}", flush=True)
    print(f"| seed | finite | first {window}, median | last {window}, median | ratio | highest | minutes |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for seed in arguments.seeds:
        start = time.perf_counter()
        losses = list(losses_of(seed, arguments))
        first, last = (statistics.median(part) for part in (losses[:window], losses[-window:]))
        finite = all(abs(loss) < float("inf") for loss in losses)
        verdict = "" if finite and last < LIMIT * first else " (too high)"
        minutes = (time.perf_counter() - start) / 60
        print(
            f"| {seed} | {'yes' if finite else 'NO'} | {first:.2f} | {last:.2f} | {last / first:.2f}{verdict} | "
            f"{max(losses):.2f} | {minutes:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
