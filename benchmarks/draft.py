"""What decoding JPEGs at a fraction of their size costs in AP and saves in time: photographs made large, both ways.

    python benchmarks/draft.py DATA[:SPLIT] [--pictures 200 --times 6 --model refinedet320-lite0]

Each photograph is enlarged so many times, given a camera's noise, written as JPEG and looked at whole and as a draft
(`Detector.detect(draft=True)`), and whole in bf16. Prints the AP of each (VOC, area), milliseconds of decoding
and resizing, medians, and how the draft's detections from 0.3 on differ from those of the whole pictures.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import vedette
from table import compared
from vedette.data.annotations import Dataset
from vedette.data.decode import decode_image
from vedette.data.read import read_datasets
from vedette.evaluate.measure import measure, truths_for
from vedette.evaluate.run import LOWEST_SCORE
from vedette.infer.detector import DRAFT, Detector
from vedette.ops.images import to_input
from vedette.structures import Detections

NOISE = 4.0  # levels, standard deviation
QUALITY = 92
SURE = 0.3


def enlarged(picture: Image.Image, times: int, random: np.random.Generator) -> Image.Image:
    """As a camera of many pixels would have it: smooth, and noisy."""
    large = picture.resize((picture.width * times, picture.height * times), Image.Resampling.LANCZOS)
    noisy = np.asarray(large) + random.normal(0, NOISE, (large.height, large.width, 3))
    return Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


def milliseconds(file: Path, detector: Detector, least: int | None) -> float:
    """Of decoding and resizing."""
    start = time.perf_counter()
    to_input(decode_image(file, least=least), detector.input_spec)
    return 1000 * (time.perf_counter() - start)


def look(detector: Detector, dataset: Dataset, times: int) -> dict[str, list[Detections]]:
    """What each way finds, in the pixels of the photographs as they were; prints the times."""
    found: dict[str, list[Detections]] = {"whole": [], "draft": [], "whole, bf16": []}
    spent: dict[str, list[float]] = {"whole": [], "draft": []}
    random, least = np.random.default_rng(0), DRAFT * detector.input_spec.size
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.jpg"
        for index in range(len(dataset)):
            enlarged(dataset.image(index), times, random).save(file, quality=QUALITY)
            for way, results in found.items():
                options = {"draft": way == "draft", "bf16": way.endswith("bf16")}
                one = detector.detect(file, score=LOWEST_SCORE, keep_image=False, **options)
                results.append(replace(one, boxes=one.boxes / times))
            spent["whole"].append(milliseconds(file, detector, None))
            spent["draft"].append(milliseconds(file, detector, least))
    print("decode and resize: " + ", ".join(f"{way} {statistics.median(t):.1f} ms" for way, t in spent.items()))
    return found


def sure(found: Detections) -> dict[str, torch.Tensor]:
    """Those from SURE on."""
    few = found[found.scores >= SURE]
    return {"boxes": few.boxes, "scores": few.scores, "labels": few.labels}


def main() -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--times", type=int, default=6)
    parser.add_argument("--model", default="refinedet320-lite0")
    arguments = parser.parse_args()
    dataset = read_datasets([arguments.data], "val")
    dataset = dataset.part(range(min(arguments.pictures, len(dataset))))
    detector = vedette.load(arguments.model, device="cpu", folded=True)
    classes = detector.classes or ()
    truths = truths_for(dataset, classes)
    found = look(detector, dataset, arguments.times)
    for way, results in found.items():
        print(f"{way}: mAP {100 * measure(results, truths, len(classes))['mAP']:.2f} in {len(results)} pictures")
    pairs = [compared(sure(a), sure(b)) for a, b in zip(found["whole"], found["draft"], strict=True)]
    same, of = (sum(pair[key] for pair in pairs) for key in ("found", "of"))
    score = max(pair["score"] for pair in pairs)
    print(f"of {of} detections from {SURE} on, the draft has {same} at IoU 0.99, scores at most {score:.3f} apart")


if __name__ == "__main__":
    main()
