"""Tiles against SAHI's slices: AP and time of one detector on the same pictures.

    python benchmarks/tiles.py WEIGHTS --data PATH[:SPLIT] --tiles 256
    python benchmarks/tiles.py refinedet320-lite0 --data PATH:val --tiles 448 --paste 4

Each picture is looked at whole, in tiles, and by the package sahi where it is installed (`pip install sahi`), with the
same detector, overlap, batches and floor of the score; in turns, so that a busy machine slows all. Below scores of 0.1
sahi suppresses by IoU of its own accord; the last row has its usual merging all the same. --paste 4: sixteen pictures
each become one of four times the sides.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image

import vedette
from timing import compare
from vedette.data.annotations import Dataset
from vedette.data.read import read_datasets
from vedette.evaluate.measure import truths_for
from vedette.evaluate.truth import Truth
from vedette.evaluate.voc import voc_average_precision
from vedette.infer.detector import Detector
from vedette.infer.multiscale import plan_passes
from vedette.structures import Detections

OVERLAP, SCORE = 0.2, 0.01
OURS, GREY = "tiles", (124, 116, 104)
Find = Callable[[Image.Image], Detections]


def main() -> None:
    """Prints a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--data", required=True)
    parser.add_argument("--tiles", type=int, default=640)
    parser.add_argument("--paste", type=int, default=1, help="pictures side by side in one")
    parser.add_argument("--pictures", type=int, help="the first so many of the data alone")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--bf16", action="store_true")
    asked = parser.parse_args()
    detector, dataset = vedette.load(asked.weights, device="cpu"), read_datasets([asked.data], "evaluate")
    assert detector.classes is not None
    dataset = dataset.part(range(len(dataset))[: asked.pictures])
    truths = truths_for(dataset, detector.classes)
    run(ways(detector, asked), list(scenes(dataset, truths, asked.paste)), len(detector.classes))


def run(ways: dict[str, Find], scenes: Sequence[tuple[Image.Image, Truth]], num_classes: int) -> None:
    """Every way on every picture."""
    found: dict[str, list[Detections]] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for find in ways.values():
        find(scenes[0][0])  # what is begun at the first call
    for picture, _ in scenes:
        for name, find in ways.items():
            start = perf_counter()
            found[name].append(find(picture))
            seconds[name].append(perf_counter() - start)
    truths = [truth for _, truth in scenes]
    print(f"{len(scenes)} pictures, {sum(map(len, truths))} boxes")
    for name in ways:
        ap = voc_average_precision(found[name], truths, num_classes, metric="voc12").mean_ap
        beside = compare(seconds[OURS], seconds[name])
        times = f"{beside.theirs:.0f} ms a picture, {beside.ratio:.2f} ({beside.low:.2f} to {beside.high:.2f}) of ours"
        print(f"{name}: AP {100 * ap:.1f}, {times}, {sum(map(len, found[name])) / len(scenes):.0f} boxes a picture")


def scenes(dataset: Dataset, truths: Sequence[Truth], side: int) -> Iterator[tuple[Image.Image, Truth]]:
    """Pictures with their boxes, `side` times `side` of them pasted into one; the last may have empty places."""
    cell = int(dataset.sizes.max())
    for first in range(0, len(dataset), side * side):
        indices = range(len(dataset))[first : first + side * side]
        if side == 1:
            yield dataset.image(first), truths[first]
            continue
        picture, parts = Image.new("RGB", (cell * side, cell * side), GREY), []
        for place, index in enumerate(indices):
            x, y = place % side * cell, place // side * cell
            picture.paste(dataset.image(index), (x, y))
            parts.append((truths[index], torch.tensor([x, y, x, y])))
        names = ("labels", "difficult", "crowd", "area")
        columns = {name: torch.cat([getattr(truth, name) for truth, _ in parts]) for name in names}
        yield picture, Truth(boxes=torch.cat([truth.boxes + shift for truth, shift in parts]), **columns)


def ways(detector: Detector, asked: argparse.Namespace) -> dict[str, Find]:
    """By name."""
    how = {"score": SCORE, "batch_size": asked.batch_size, "bf16": asked.bf16, "keep_image": False}
    found: dict[str, Find] = {
        "whole": partial(detector.detect, **how),
        OURS: partial(detector.detect, tiles=asked.tiles, overlap=OVERLAP, **how),
    }
    if find_spec("sahi") is not None:
        found["sahi"] = sliced(detector, asked, forced=False)
        found["sahi, GREEDYNMM"] = sliced(detector, asked, forced=True)
    else:
        print("sahi is not installed: without it")
    return found


def sliced(detector: Detector, asked: argparse.Namespace, forced: bool) -> Find:
    """sahi's way with its usual settings; forced: it merges below scores of 0.1 too."""
    from sahi.models.base import DetectionModel  # type: ignore[import-not-found]
    from sahi.predict import get_sliced_prediction  # type: ignore[import-not-found]
    from sahi.prediction import ObjectPrediction  # type: ignore[import-not-found]
    from sahi.utils.compatibility import fix_full_shape_list, fix_shift_amount_list  # type: ignore[import-not-found]

    passes = plan_passes(detector.input_spec, batch_size=asked.batch_size)

    class Model(DetectionModel):  # type: ignore[misc]
        def load_model(self) -> None:
            self.model = detector

        def perform_inference(self, image: np.ndarray[Any, Any]) -> None:
            self.perform_batch_inference([image])

        def perform_batch_inference(self, images: list[np.ndarray[Any, Any]]) -> None:
            self._original_predictions = detector.look([*map(Image.fromarray, images)], passes, SCORE, asked.bf16)

        def _create_object_prediction_list_from_original_predictions(self, shift_amount_list, full_shape_list) -> None:  # type: ignore[no-untyped-def]
            shifts, shapes = fix_shift_amount_list(shift_amount_list), fix_full_shape_list(full_shape_list)
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=box,
                        category_id=label,
                        category_name=name,
                        score=score,
                        shift_amount=shift,
                        full_shape=shape,
                    )
                    for box, label, name, score in zip(
                        one.boxes.tolist(), one.labels.tolist(), one.names, one.scores.tolist(), strict=True
                    )
                ]
                for one, shift, shape in zip(self._original_predictions, shifts, shapes, strict=True)
            ]

    model = Model(confidence_threshold=SCORE, device="cpu")
    how = {"slice_height": asked.tiles, "slice_width": asked.tiles, "batch_size": asked.batch_size, "verbose": 0}
    how |= {"overlap_height_ratio": OVERLAP, "overlap_width_ratio": OVERLAP, "force_postprocess_type": forced}

    def find(picture: Image.Image) -> Detections:
        rows = get_sliced_prediction(picture, model, **how).object_prediction_list
        rows.sort(key=lambda row: -row.score.value)
        boxes = torch.tensor([row.bbox.to_xyxy() for row in rows], dtype=torch.float32).view(-1, 4)
        labels = torch.tensor([row.category.id for row in rows], dtype=torch.int64)
        scores = torch.tensor([row.score.value for row in rows], dtype=torch.float32)
        return Detections(boxes, scores, labels, torch.full_like(labels, -1))

    return find


if __name__ == "__main__":
    main()
