"""How many annotated boxes an RPN covers, in the form of `vedette data proposals`, which counts selective search's.

    python benchmarks/rpn_recall.py --model runs/rpn/best.safetensors --data PATH:val [--limit 2000]

The share of all boxes that one of an image's first 100 to 2000 proposals overlaps with IoU of at least 0.5 and 0.7;
difficult boxes and crowds do not count. --limit: proposals that the RPN keeps; its NMS is what it is when detecting.
"""

import argparse
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import vedette
from vedette.data.annotations import Dataset
from vedette.data.loader import eval_loader
from vedette.data.read import read_datasets
from vedette.evaluate.recall import COUNTS, THRESHOLDS, proposal_recall
from vedette.evaluate.truth import truths_of
from vedette.ops.images import normalize_batch
from vedette.parts.calls import predict


def rpn_proposals(detector: vedette.Detector, dataset: Dataset) -> list[Tensor]:
    """(N, 4) of each image, the best first, in the pixels of its annotation."""
    found = []
    for batch in eval_loader(dataset, detector.input_spec, batch_size=8, workers=1):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            images = normalize_batch(batch.images, batch.shapes, detector.input_spec)
            images = images.contiguous(memory_format=torch.channels_last)
            seen: Any = predict(detector.model, images, detector.input_spec, batch.shapes)
        for row, size in enumerate(batch.sizes):
            scale = (size / batch.shapes[row].flip(0)).repeat(2)
            found.append(seen.proposals[row][seen.scores[row] > 0].float() * scale)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="weights of a Faster R-CNN")
    parser.add_argument("--data", required=True, help="PATH:SPLIT")
    parser.add_argument("--limit", type=int, default=2000)
    arguments = parser.parse_args()
    detector = vedette.load(arguments.model, device="cpu")
    model: Any = detector.model
    trained, _ = model.config.proposals
    model.config = replace(model.config, proposals=(trained, arguments.limit))
    dataset = read_datasets([arguments.data], "evaluate")
    found = rpn_proposals(detector, dataset)
    recall = proposal_recall(found, truths_of(dataset))
    print(f"images {len(found)}, {sum(map(len, found)) / max(1, len(found)):.0f} proposals an image")
    print("recall at first " + "".join(f"{count:>8}" for count in COUNTS))
    for threshold, row in zip(THRESHOLDS, recall.tolist(), strict=True):
        print(f"IoU {threshold:<12}" + "".join(f"{value:>8.3f}" for value in row))


if __name__ == "__main__":
    main()
