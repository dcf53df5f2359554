"""Truncated SVD of Fast R-CNN's fully connected layers: what it saves, and what it costs.

    python benchmarks/truncated_svd.py                                          # VGG-16 at the paper's ranks: seconds
    python benchmarks/truncated_svd.py --model runs/history/fast-rcnn/best.safetensors --data PATH:val   # mAP as well

Without a model: fc6 and fc7 of VGG-16 with random weights, ranks 1024 and 256 (section 4.4), on as many regions as
proposals, whole and truncated in turns, bf16. With one: the mAP (VOC area) of `fast-rcnn-lite0`, whole and at the ranks
given, and the seconds of its two layers.
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import vedette
from timing import compare, in_turns
from vedette.backbones.regions import TwoLayers, VGG16Regions
from vedette.data.read import read_datasets
from vedette.evaluate.measure import measure, truths_for
from vedette.evaluate.run import evaluate_model
from vedette.infer.multiscale import plan_passes
from vedette.papers.fast_rcnn import truncate


def timed(whole: Callable[[Tensor], Tensor], cut: Callable[[Tensor], Tensor], pieces: Tensor, rounds: int) -> str:
    """What the layers take on all pieces, whole and truncated."""

    def run(layers: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        def call() -> Tensor:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                return layers(pieces)

        return call

    times = in_turns({"cut": run(cut), "whole": run(whole)}, rounds)
    c = compare(times["cut"], times["whole"])
    return f"{c.theirs:.0f} ms whole, {c.ours:.0f} ms truncated, {c.ratio:.2f} times ({c.low:.2f} to {c.high:.2f})"


def vgg16_layers(regions: int, ranks: tuple[int, int], rounds: int) -> str:
    """The paper's layers at the paper's ranks."""
    whole, cut = VGG16Regions().eval(), VGG16Regions().eval()
    cut.fc6, cut.fc7 = truncate(whole.fc6, ranks[0]), truncate(whole.fc7, ranks[1])  # type: ignore[assignment]
    return timed(whole.top, cut.top, torch.randn(regions, 512, 7, 7), rounds)


def trade(arguments: argparse.Namespace) -> None:
    """A line for the whole layers, and one for each pair of ranks."""
    dataset = read_datasets([arguments.data], "evaluate")
    for ranks in (None, *zip(arguments.fc6, arguments.fc7, strict=True)):
        detector = vedette.load(arguments.model, device="cpu")
        model: Any = detector.model
        if not isinstance(getattr(model.backbone, "fc", None), TwoLayers):
            raise SystemExit(f"{arguments.model}: has no two layers of its own; give the weights of a fast-rcnn-lite0")
        layers = model.backbone.fc
        whole = vedette.load(arguments.model, device="cpu").model.backbone.fc  # type: ignore[union-attr]
        if ranks is not None:
            layers.fc6, layers.fc7 = truncate(layers.fc6, ranks[0]), truncate(layers.fc7, ranks[1])
        truths = truths_for(dataset, detector.classes or ())
        found = evaluate_model(model, dataset, plan_passes(detector.input_spec, batch_size=4), bf16=True)
        channels = model.backbone.channels[0]
        pieces = torch.randn(arguments.regions, channels, model.backbone.pooled, model.backbone.pooled)
        name = "whole" if ranks is None else f"ranks {ranks[0]}, {ranks[1]}"
        score = 100 * measure(found, truths, len(detector.classes or ()))["mAP"]
        print(f"{name}: mAP {score:.1f}; {timed(whole, layers, pieces, arguments.rounds)}", flush=True)


def main() -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="weights of a fast-rcnn-lite0")
    parser.add_argument("--data", help="PATH:SPLIT to measure them on")
    parser.add_argument("--fc6", type=int, nargs="*", help="ranks; default: the paper's 1024, or 256 128 64 32")
    parser.add_argument("--fc7", type=int, nargs="*", help="ranks; default: the paper's 256, or 64 32 16 8")
    parser.add_argument("--regions", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if (arguments.model is None) != (arguments.data is None):
        parser.error("give both --model and --data, or neither")
    if (arguments.fc6 is None) != (arguments.fc7 is None) or len(arguments.fc6 or ()) != len(arguments.fc7 or ()):
        parser.error("give as many ranks to --fc6 as to --fc7")
    if arguments.model is None:
        ranks = ((arguments.fc6 or [1024])[0], (arguments.fc7 or [256])[0])
        if len(arguments.fc6 or ()) > 1:
            parser.error("VGG-16 is timed at one pair of ranks")
        print(f"VGG-16, ranks {ranks[0]}, {ranks[1]}: {vgg16_layers(arguments.regions, ranks, arguments.rounds)}")
        return
    arguments.fc6, arguments.fc7 = arguments.fc6 or [256, 128, 64, 32], arguments.fc7 or [64, 32, 16, 8]
    trade(arguments)


if __name__ == "__main__":
    main()
