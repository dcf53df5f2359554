"""Detection as the plain ports of SSD on the web do it: a picture at a time, class by class, NMS box by box in Python.

The network is Vedette's own, in PyTorch's usual layout of memory, so that the difference is what is around it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

TOP = 200  # candidates a class, and detections


def detect(model: Any, photo: Path, floor: float) -> dict[str, Tensor]:
    """From a JPEG to boxes in its pixels."""
    spec: Any = model.input_spec
    picture = Image.open(photo).convert("RGB")
    square = np.asarray(picture.resize((spec.size, spec.size), Image.Resampling.BILINEAR), dtype=np.float32)
    pixels = (square / 255 * spec.range - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    if spec.channels == "bgr":
        pixels = pixels[..., ::-1]
    with torch.inference_mode():
        predictions = model(torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None])
        boxes, scores = _all_boxes(model, predictions)
        found = [
            _of_one_class(boxes, scores[:, label], label, floor, model.config.nms_iou)
            for label in range(scores.shape[1])
        ]
    columns = {name: torch.cat([one[name] for one in found]) for name in ("boxes", "scores", "labels")}
    best = columns["scores"].argsort(descending=True)[:TOP]
    frame = torch.tensor([picture.width, picture.height]).repeat(2)
    columns["boxes"] = torch.minimum(columns["boxes"].clamp(min=0) * frame / spec.size, frame)
    return {name: values[best] for name, values in columns.items()}


def _all_boxes(model: Any, predictions: Any) -> tuple[Tensor, Tensor]:
    scores = model.scores(predictions)[0]
    return model.boxes_at(predictions, torch.arange(len(scores))[None])[0], scores


def _of_one_class(boxes: Tensor, scores: Tensor, label: int, floor: float, iou: float) -> dict[str, Tensor]:
    above = scores > floor
    boxes, scores = boxes[above], scores[above]
    kept = _suppress(boxes, scores, iou)
    return {"boxes": boxes[kept], "scores": scores[kept], "labels": torch.full((len(kept),), label)}


def _suppress(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Of the best boxes, one after the other: it stays, and what overlaps it goes."""
    order, kept = scores.argsort(descending=True)[:TOP], list[int]()
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while len(order):
        best, order = int(order[0]), order[1:]
        kept.append(best)
        corner, end = torch.maximum(boxes[order, :2], boxes[best, :2]), torch.minimum(boxes[order, 2:], boxes[best, 2:])
        shared = (end - corner).clamp(min=0).prod(1)
        order = order[shared / (areas[order] + areas[best] - shared) <= iou]
    return torch.tensor(kept, dtype=torch.int64)
