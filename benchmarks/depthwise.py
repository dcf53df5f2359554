"""A training step of RefineDet on EfficientNet-Lite0 with slow depthwise kernels in float32, and without that.

    python benchmarks/depthwise.py [--batch 16 --size 320 --repeats 5]

On a CPU with bf16 instructions; prints images a second of both, and the median of their ratio.
"""

import argparse
import time
from statistics import median

import torch
from torch import nn

import vedette
from vedette.backbones.depthwise import DepthwiseConv2d
from vedette.backbones.efficientnet_lite0 import SameConv2d
from vedette.train.loop import freeze
from vedette.train.step import TrainStep


def plain(model: nn.Module) -> nn.Module:
    """The same model with torch's own depthwise convolutions."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, DepthwiseConv2d):
                kind = SameConv2d if child.pads_same else nn.Conv2d
                shape = (child.kernel_size, child.stride, child.padding)
                conv = kind(child.in_channels, child.out_channels, *shape, groups=child.groups)
                conv.weight, conv.bias = child.weight, child.bias
                setattr(module, name, conv)
    return model


def images_per_second(step: TrainStep, images: torch.Tensor, targets: list[vedette.Target]) -> float:
    """One step's forward and backward."""
    start = time.perf_counter()
    losses = step(images, targets)
    torch.stack(list(losses.values())).sum().backward()
    return len(images) / (time.perf_counter() - start)


def main() -> None:
    """Prints one line of Markdown table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    images = torch.randint(0, 256, (arguments.batch, 3, arguments.size, arguments.size), dtype=torch.uint8)
    target = vedette.Target(boxes=torch.tensor([[30.0, 40.0, 180.0, 150.0]]), labels=torch.tensor([1]))
    steps = []
    for change in (plain, lambda model: model):
        model = change(vedette.build("refinedet320-lite0", image_size=arguments.size)).train()
        freeze(model)
        steps.append(TrainStep(model.to(memory_format=torch.channels_last), model.input_spec, bf16=True))
        images_per_second(steps[-1], images, [target] * arguments.batch)
    rates = [
        [images_per_second(step, images, [target] * arguments.batch) for step in steps]
        for _ in range(arguments.repeats)
    ]
    slow, quick = (median(column) for column in zip(*rates, strict=True))
    ratios = sorted(b / a for a, b in rates)
    print("| torch's own, images/s | slow ones in float32, images/s | ratio (least to most) |\n|---|---|---|")
    print(f"| {slow:.1f} | {quick:.1f} | {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |")


if __name__ == "__main__":
    main()
