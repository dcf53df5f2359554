"""What the README's first command promises, with the bundled weights."""

from pathlib import Path

import pytest
import torch

import vedette
from vedette.ops.boxes import iou

DEMO = Path(vedette.__file__).parent / "assets" / "demo"


@pytest.fixture(scope="module")
def detector() -> vedette.Detector:
    return vedette.load("refinedet320-lite0", device="cpu")


@pytest.mark.parametrize(
    ("photo", "name", "place"),  # places as seen in the photographs, pixels
    [("chelsea.jpg", "cat", (0, 0, 400, 300)), ("astronaut.jpg", "person", (22, 14, 362, 512))],
)
def test_finds_what_is_in_the_photograph(
    detector: vedette.Detector, photo: str, name: str, place: tuple[int, ...]
) -> None:
    found = detector.detect(DEMO / photo, score=0.5)
    assert name in found.names
    best = found.names.index(name)
    assert found.scores[best] >= 0.5
    assert iou(found.boxes[best : best + 1], torch.tensor([place]).float()).item() >= 0.7
    assert 0 <= found.source[best] < 6375


def test_the_table_of_models_tells_of_the_bundled_weights() -> None:
    rows = {row["name"]: row for row in vedette.models()}
    row = rows["refinedet320-lite0"]
    assert row["weights"] == "bundled"
    assert row["results"]["voc12 mAP"] > 0.55
    assert rows["refinedet512-vgg16"]["weights"] is None
    assert 5e6 < row["parameters"] < 7e6
