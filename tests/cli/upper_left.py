"""A detector for the command line's tests: it finds two things in every picture, and may take its time."""

import os
import time
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from vedette.errors import InputError
from vedette.infer.detector import Detector
from vedette.structures import Detections, InputSpec

WAIT = "UPPER_LEFT_WAITS"  # seconds a picture


class UpperLeft(nn.Module):
    """Finds two things: the upper left quarter (0.9) and the upper half (0.6)."""

    config = SimpleNamespace(nms="hard", nms_iou=0.45, keep=200)

    def forward(self, images: Tensor, sizes: None, proposals: None) -> Tensor:
        return images

    def detect(self, predictions: Tensor, score: float = 0.05) -> list[Detections]:
        time.sleep(float(os.environ.get(WAIT, "0")) * len(predictions))
        height, width = predictions.shape[-2:]
        boxes = torch.tensor([[0, 0, width / 2, height / 2], [0, 0, width, height / 2]])
        row = Detections(boxes, torch.tensor([0.9, 0.6]), torch.tensor([1, 0]), torch.tensor([5, 6]))
        return [row[row.scores >= score]] * len(predictions)


def load(source: str, device: str | None = None, **config: object) -> Detector:
    """Whatever the name says, but "none"."""
    if source == "none":
        raise InputError("none: no such model")
    spec = InputSpec(size=32, divisor=16)
    detector = Detector(UpperLeft(), spec, ("cat", "dog"), device or "cpu", category_ids=(17, 18))
    detector.model.config = SimpleNamespace(**(vars(UpperLeft.config) | config))
    return detector
