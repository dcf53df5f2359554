"""SPPNet beside R-CNN: the same VGG-16, the same proposals of the same photographs, seconds an image.

    python benchmarks/sppnet_speed.py [--proposals 2000 --rounds 3]

Random weights, since no time depends on them, and bf16 under autocast for both. From a decoded picture with its
proposals to boxes; selective search itself is left out. SPPNet runs at one scale (688, the paper's fast setting) and at
all five. R-CNN and both take turns over the bundled photographs; a ratio is R-CNN's seconds over SPPNet's, its median
with its quartiles.
"""

import argparse
import platform
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from timing import compare, in_turns
from vedette.backbones.regions import VGG16Regions
from vedette.data.decode import decode_image
from vedette.data.selective_search import proposals
from vedette.ops.images import Normalize, sizes_of, stack_padded, to_input
from vedette.papers.rcnn import RegionClassifier
from vedette.papers.sppnet import SPPNet, SPPNetConfig
from vedette.zoo import build

SCALES = {"one scale": (688,), "five scales": (480, 576, 688, 864, 1200)}


def sppnet_vgg16(scales: tuple[int, ...]) -> SPPNet:
    """SPPNet on VGG-16's convolutions, with fc6 and fc7 of 4096 behind its pyramid."""
    return SPPNet(SPPNetConfig(scales=scales), VGG16Regions())


def look(model: RegionClassifier, picture: Image.Image, boxes: Tensor) -> Any:
    """From a picture and its proposals to boxes."""
    x = to_input(picture, model.input_spec)
    scale = torch.tensor([x.shape[2] / picture.width, x.shape[1] / picture.height]).repeat(2)
    images = stack_padded([Normalize(model.input_spec)(x)], model.input_spec.divisor)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        images = images.contiguous(memory_format=torch.channels_last)
        return model.detect(model(images, sizes_of([x]), [boxes * scale]), score=0.05)


def main() -> None:
    """Prints a line for each of SPPNet's settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proposals", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.rounds < 2:
        parser.error("--rounds: give 2 or more, for quartiles")
    torch.manual_seed(0)
    models = {"R-CNN": build("rcnn-vgg16")} | {name: sppnet_vgg16(scales) for name, scales in SCALES.items()}
    for model in models.values():
        model.eval().to(memory_format=torch.channels_last)
    photographs = sorted(Path(str(files("vedette") / "assets" / "demo")).glob("*.jpg"))
    pictures = [decode_image(file) for file in photographs]
    boxes = [proposals(picture, limit=arguments.proposals) for picture in pictures]
    print(f"{', '.join(str(len(found)) for found in boxes)} proposals; {platform.machine()}, torch {torch.__version__}")

    def over_all(model: RegionClassifier) -> None:
        for picture, found in zip(pictures, boxes, strict=True):
            look(model, picture, found)

    calls = {name: lambda model=model: over_all(model) for name, model in models.items()}
    times = in_turns(calls, arguments.rounds)
    for name in SCALES:
        c = compare(times[name], times["R-CNN"], per=len(pictures))
        print(
            f"SPPNet, {name}: {c.ours / 1000:.2f} s an image, R-CNN {c.theirs / 1000:.1f} s, "
            f"{c.ratio:.0f} times ({c.low:.0f} to {c.high:.0f})"
        )


if __name__ == "__main__":
    main()
