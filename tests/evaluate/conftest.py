"""Random detections and truths with all that the metrics treat apart."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vedette.evaluate.truth import Truth
from vedette.structures import Detections

Scene = tuple[list[Detections], list[Truth]]


def detections(boxes: list[list[float]], scores: list[float], labels: list[int]) -> Detections:
    return _sorted(torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores), torch.tensor(labels, dtype=torch.int64))


def _sorted(boxes: Tensor, scores: Tensor, labels: Tensor) -> Detections:
    order = scores.argsort(descending=True, stable=True)
    return Detections(boxes[order].float(), scores[order].float(), labels[order], order)


def _random_truth(generator: torch.Generator, num_classes: int, most: int, side: int) -> Truth:
    count = int(torch.randint(most + 1, (), generator=generator))
    corner = torch.randint(0, side, (count, 2), generator=generator).float()
    boxes = torch.cat([corner, corner + torch.randint(2, side, (count, 2), generator=generator)], 1)
    labels = torch.randint(num_classes, (count,), generator=generator)
    marks = torch.rand(2, count, generator=generator) < 0.2
    return Truth.of(boxes, labels, difficult=marks[0], crowd=marks[1])


def _random_found(generator: torch.Generator, truth: Truth, num_classes: int, most: int, side: int) -> Detections:
    """Annotated boxes several times over, shaken, among boxes from nowhere; scores from few values, so with ties."""
    near = truth.boxes.repeat(3, 1)
    near = near + torch.randint(-2, 3, near.shape, generator=generator) * (
        torch.rand(len(near), 1, generator=generator) < 0.7
    )
    stray = _random_truth(generator, num_classes, most, side)
    boxes = torch.cat([near, stray.boxes])
    labels = torch.cat([truth.labels.repeat(3), stray.labels])
    valid = (boxes[:, 2:] > boxes[:, :2]).all(1)
    scores = torch.randint(1, 12, (len(labels),), generator=generator) / 12
    return _sorted(boxes[valid], scores[valid], labels[valid])


@pytest.fixture
def make_detections() -> Callable[[list[list[float]], list[float], list[int]], Detections]:
    """(boxes, scores, labels) of one image, best first."""
    return detections


@pytest.fixture
def make_scene() -> Callable[..., Scene]:
    """(seed, images, num_classes, most boxes an image, side) → detections and truths of that many images."""

    def make(seed: int, images: int = 6, num_classes: int = 3, most: int = 8, side: int = 12) -> Scene:
        generator = torch.Generator().manual_seed(seed)
        truths = [_random_truth(generator, num_classes, most, side) for _ in range(images)]
        return [_random_found(generator, truth, num_classes, most, side) for truth in truths], truths

    return make
