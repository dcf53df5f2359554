"""What it is worth that a process keeps its memory: networks on a CPU with it and without, in turns.

    python benchmarks/memory.py [--turns 3 --repeats 8]

Each turn is a process of its own, in which glibc works as it does by itself or as `vedette.infer.memory` has it work.
Prints the median of their milliseconds, of the turns' ratios, and the largest memory of either.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from statistics import median
from typing import Any

import torch

import vedette
from vedette.infer.look import Look
from vedette.structures import Target
from vedette.train.step import TrainStep

AS_IS = {"MALLOC_PERTURB_": "0"}  # glibc's own default; that it is named lets vedette.infer.memory leave all as it is
CASES = [
    ("refinedet320-lite0", "detects in fp32", 1),
    ("refinedet320-lite0", "detects in fp32", 16),
    ("refinedet320-lite0", "detects in bf16", 16),
    ("refinedet320-lite0", "learns in bf16", 8),
    ("ssd300-vgg16", "detects in fp32", 1),
    ("ssd300-vgg16", "detects in fp32", 16),
    ("ssd300-vgg16", "learns in bf16", 8),
    ("faster-rcnn-resnet50-fpn", "detects in fp32", 2),
]


def measure(name: str, does: str, images: int, repeats: int) -> dict[str, float]:
    """Milliseconds of one batch, and the process's largest memory in MB."""
    torch.manual_seed(0)
    model: Any = vedette.build(name)
    spec = model.input_spec
    sides = (spec.size, spec.size) if spec.resize == "warp" else (spec.size, spec.size * 4 // 3)
    pictures, shapes = torch.randint(0, 256, (images, 3, *sides), dtype=torch.uint8), torch.tensor([sides] * images)
    target = Target(boxes=torch.tensor([[30.0, 40.0, 180.0, 150.0]]), labels=torch.tensor([1]))
    step, look = TrainStep(model, spec, bf16="bf16" in does), Look(model, spec, bf16="bf16" in does)

    def once() -> None:
        if does.startswith("learns"):
            sum(step(pictures, [target] * images, shapes).values()).backward()
        else:
            with torch.inference_mode():
                look(pictures, shapes)

    model.train("learns" in does)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        once()
        times.append(1000 * (time.perf_counter() - began))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms": median(times[2:]), "MB": most}


def in_a_process(case: tuple[str, str, int], repeats: int, environment: dict[str, str]) -> dict[str, float]:
    """`measure` in a process of its own."""
    name, does, images = case
    command = [sys.executable, __file__, "--case", name, does, str(images), "--repeats", str(repeats)]
    result: dict[str, float] = json.loads(subprocess.check_output(command, env=os.environ | environment))
    return result


def main() -> None:
    """Prints a line of Markdown table for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        name, does, images = arguments.case
        print(json.dumps(measure(name, does, int(images), arguments.repeats)))
        return
    print(
        "| | glibc's own, ms | memory is kept, ms | ratio (least to most) | MB, own and kept |\n|---|---|---|---|---|"
    )
    for case in CASES:
        turns = [[in_a_process(case, arguments.repeats, env) for env in (AS_IS, {})] for _ in range(arguments.turns)]
        ratios = sorted(own["ms"] / kept["ms"] for own, kept in turns)
        own_ms, kept_ms = (median(turn[which]["ms"] for turn in turns) for which in (0, 1))
        own_mb, kept_mb = (max(turn[which]["MB"] for turn in turns) for which in (0, 1))
        spread = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"| {case[0]} {case[1]}, {case[2]} ", end="")
        print(f"| {own_ms:.0f} | {kept_ms:.0f} | {spread} | {own_mb:.0f}, {kept_mb:.0f} |", flush=True)


if __name__ == "__main__":
    main()
