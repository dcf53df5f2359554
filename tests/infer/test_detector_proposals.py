"""Detectors that are given proposals: selective search stands behind `Detector` and the evaluation."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from vedette.data.read import read_dataset
from vedette.data.selective_search import proposals
from vedette.evaluate.run import evaluate_model
from vedette.infer.detector import Detector
from vedette.infer.multiscale import plan_passes
from vedette.structures import Detections, InputSpec

SPEC = InputSpec(size=60, resize="short side", max_side=200)


class Echo(nn.Module):
    """Finds what it is given, with falling scores, and remembers the sizes."""

    needs_proposals = True

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(search="fast", proposals=7, nms="hard", nms_iou=1.0, keep=99)
        self.weight = nn.Parameter(torch.zeros(1))
        self.sizes: list[Any] = []

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: Any = None) -> Any:
        assert sizes is not None
        self.sizes += sizes.tolist()
        for boxes, (height, width) in zip(proposals, sizes.tolist(), strict=True):
            assert bool((boxes >= 0).all())
            assert bool((boxes[:, 2:] <= torch.tensor([width, height]) + 1e-3).all())
        return proposals

    def detect(self, predictions: Any, score: float) -> list[Detections]:
        return [
            Detections(
                boxes, 1 - torch.arange(len(boxes)) / 100, torch.zeros(len(boxes)).long(), torch.arange(len(boxes))
            )
            for boxes in predictions
        ]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vedette" / "proposals"


def picture(width: int, height: int) -> Image.Image:
    made = Image.new("RGB", (width, height), "green")
    made.paste("red", (width // 5, height // 4, width // 2, height // 2))
    made.paste("blue", (width // 2, height // 2, width * 3 // 4, height * 7 // 8))
    return made


def test_the_model_is_given_selective_searchs_boxes_in_its_own_pixels(cache: Path) -> None:
    model = Echo()
    pictures = [picture(100, 80), picture(90, 120)]
    found = Detector(model, SPEC, ("thing",), "cpu").detect(pictures)
    assert model.sizes == [[60, 75], [80, 60]]
    for one, seen in zip(found, pictures, strict=True):
        wanted = proposals(seen, limit=7)
        assert 0 < len(wanted) <= 7
        assert torch.allclose(one.boxes, wanted, atol=1e-3)
        assert one.source.tolist() == list(range(len(wanted)))
    assert len(list(cache.iterdir())) == 2


def test_mirrored_pictures_have_mirrored_proposals() -> None:
    seen = picture(100, 80)
    both = Detector(Echo(), SPEC, ("thing",), "cpu").detect(seen, flip=True, scales=[60, 120])
    plain = proposals(seen, limit=7)
    for box in both.boxes:  # four passes, and all found the same boxes
        assert (plain - box).abs().amax(1).min() < 1e-2


def test_the_evaluation_is_in_the_pixels_of_the_annotation(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True)
    images = []
    for number in range(3):
        picture(100 + 10 * number, 80).save(tmp_path / "data" / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 200 + 20 * number, "height": 160})
    content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "thing"}]}
    (tmp_path / "data" / "train.json").write_text(json.dumps(content))
    dataset = read_dataset(tmp_path / "data")
    model, done = Echo().train(), list[tuple[int, int]]()
    passes = plan_passes(SPEC, batch_size=2)
    found = evaluate_model(model, dataset, passes, workers=0, progress=lambda *counts: done.append(counts), score=0.0)
    assert done == [(2, 3), (3, 3)]
    assert model.training
    assert len(list(cache.iterdir())) == 3
    for number, one in enumerate(found):
        assert torch.allclose(one.boxes, proposals(picture(100 + 10 * number, 80), limit=7) * 2, atol=1e-2)
        assert one.image is None  # thousands of them would fill the memory
