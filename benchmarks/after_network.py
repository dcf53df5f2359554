"""What comes behind the network, as a share of its time: `find` of the VGG-16 detectors at a score floor of 0.01.

    python benchmarks/after_network.py [--models ssd300-vgg16 … --rounds 7 --threads 1]

Random weights, twice: heads as the paper begins them, and heads of an untrained network whose scores are all alike, so
that all candidates of all classes are above the floor. The network and `detect` run in turns; a share is the median of
its rounds, with quartiles.
"""

import argparse
from collections.abc import Iterator

import torch
from torch import nn

from timing import Comparison, compare, in_turns
from vedette.zoo import build

MODELS = ("ssd300-vgg16", "refinedet320-vgg16", "m2det320-vgg16")
FLOOR = 0.01
ALIKE = 1e-4  # standard deviation of the heads' weights
WARM_UP = 2


def untrained(name: str, alike: bool) -> nn.Module:
    """A detector whose scores are drawn at random, or all alike."""
    torch.manual_seed(0)
    model: nn.Module = build(name, num_classes=20, weights_backbone=None)
    for key, parameter in model.named_parameters():
        if alike and "head" in key:
            nn.init.normal_(parameter, std=ALIKE)
    return model.eval().to(memory_format=torch.channels_last)


def shares(name: str, rounds: int) -> Iterator[tuple[str, Comparison]]:
    """What was measured, and milliseconds of the network, of the rest, and their ratio."""
    for alike in (False, True):
        model = untrained(name, alike)
        side = model.input_spec.size  # type: ignore[union-attr]
        x = torch.randn(1, 3, side, side).contiguous(memory_format=torch.channels_last)
        for bf16 in (False, True):
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                seen = model(x)
                calls = {
                    "net": lambda m=model, images=x: m(images),
                    "rest": lambda m=model, p=seen: m.detect(p, score=FLOOR),
                }
                times = in_turns(calls, rounds, WARM_UP)
            what = f"{name}, {'bf16' if bf16 else 'fp32'}, scores {'all alike' if alike else 'at random'}"
            yield what, compare(times["net"], times["rest"])


def main() -> None:
    """Prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.models:
        for what, c in shares(name, arguments.rounds):
            percent = " to ".join(f"{100 * share:.1f}" for share in (c.low, c.high))
            print(f"{what:50s} {c.ours:7.1f} and {c.theirs:5.1f} ms: {100 * c.ratio:.1f} % ({percent})", flush=True)


if __name__ == "__main__":
    main()
