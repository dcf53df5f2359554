"""Decoders of JPEG beside one another: from a file to RGB bytes, and on to a model's input that equals Pillow's.

    python benchmarks/decoders.py PICTURE… [--size 320 --rounds 15]

Pillow, torchvision.io and, where it is installed, OpenCV decode each file in turns; printed are medians in milliseconds
and whether the bytes are Pillow's. Vedette's input is resized by Pillow, whose result no other kernel gives to the last
bit, so another decoder's bytes have to become a Pillow picture first: the second column has that, and the resizing.
The last row is Pillow's draft, a JPEG decoded at a fraction of its size (`Detector.detect(draft=True)`).
"""

import argparse
import platform
import statistics
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.io import ImageReadMode, decode_image

from timing import in_turns
from vedette.data import decode
from vedette.infer.detector import DRAFT
from vedette.ops.images import to_input
from vedette.structures import InputSpec

Pixels = NDArray[np.uint8]  # (H, W, 3)


def with_torchvision(file: str) -> Pixels:
    pixels: Pixels = decode_image(file, ImageReadMode.RGB, apply_exif_orientation=True).permute(1, 2, 0).numpy()
    return pixels


def with_opencv(file: str) -> Pixels:
    import cv2

    return np.asarray(cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2RGB), dtype=np.uint8)


def compare(file: str, spec: InputSpec, rounds: int) -> None:
    """Prints a line for each decoder."""
    others: dict[str, Callable[[str], Pixels]] = {"torchvision.io": with_torchvision}
    others |= {"OpenCV": with_opencv} if find_spec("cv2") else {}
    least, whole = DRAFT * spec.size, np.asarray(decode.decode_image(file))
    calls: dict[str, Callable[[], object]] = {
        "Pillow": lambda: decode.decode_image(file),
        "Pillow, input": lambda: to_input(decode.decode_image(file), spec),
        "Pillow, draft": lambda: decode.decode_image(file, least=least),
        "Pillow, draft, input": lambda: to_input(decode.decode_image(file, least=least), spec),
    }
    for name, read in others.items():
        calls[name] = lambda r=read: r(file)
        calls[f"{name}, input"] = lambda r=read: to_input(Image.fromarray(r(file)), spec)
    times = {name: 1000 * statistics.median(each) for name, each in in_turns(calls, rounds, 2).items()}
    print(f"{file}, {whole.shape[1]} × {whole.shape[0]}")
    for name in [name for name in calls if not name.endswith("input")]:
        same = "" if name.startswith("Pillow") else f", equal: {np.array_equal(others[name](file), whole)}"
        print(f"  {name:16s} {times[name]:7.2f} ms, to the input {times[name + ', input']:7.2f} ms{same}", flush=True)


def main() -> None:
    """Prints a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"Pillow {Image.__version__}, torch {torch.__version__}, {platform.machine()}, one thread")
    for file in arguments.files:
        compare(file, InputSpec(size=arguments.size), arguments.rounds)


if __name__ == "__main__":
    main()
