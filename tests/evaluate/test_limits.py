"""Images with more objects than count: AP by hand with 100 and with 300 detections, and what is said of them."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
import typer
from PIL import Image
from torch import nn
from typer.testing import CliRunner

import vedette
from vedette.cli import evaluate as command
from vedette.evaluate.coco import coco_average_precision
from vedette.evaluate.limits import crowded, keep_most
from vedette.evaluate.truth import Truth
from vedette.structures import Detections, InputSpec


def squares(count: int) -> torch.Tensor:
    """(count, 4) boxes of 4 pixels side by side, fifteen in a row; none touches another."""
    place = torch.arange(count)
    corner = torch.stack([place % 15, place // 15], 1) * 6.0
    return torch.cat([corner, corner + 4], 1)


def labels(count: int) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.int64)


def test_ap_of_150_objects_with_100_detections_and_with_300() -> None:
    """All are found. Of 100 the recall is 2/3: precision is 1 at 67 of the 101 recalls, 0.00 to 0.66, and 0 beyond."""
    boxes, none = squares(150), labels(150)
    found, truth = Detections(boxes, torch.linspace(1, 0.5, 150), none, none), Truth.of(boxes, none)
    usual = coco_average_precision([found], [truth], 1)
    assert usual.ap == pytest.approx(67 / 101)
    assert usual.ar100 == pytest.approx(2 / 3)
    all_of_them = coco_average_precision([found], [truth], 1, most=300)
    assert all_of_them.ap == pytest.approx(1.0)
    assert all_of_them.ar100 == pytest.approx(1.0)
    assert all_of_them.ar10 == usual.ar10 == pytest.approx(10 / 150)
    few = coco_average_precision([found], [truth], 1, most=5)
    assert few.ar100 == few.ar10 == pytest.approx(5 / 150)


def test_which_images_are_crowded() -> None:
    three = Truth.of(squares(3), torch.tensor([0, 0, 1]))
    assert crowded([three, Truth.of(squares(0), labels(0))], kept=3, of_a_class=None) == (0, 0)
    assert crowded([three, Truth.of(squares(5), labels(5))], kept=2, of_a_class=None) == (2, 5)
    assert crowded([three], kept=9, of_a_class=2) == (0, 0)
    assert crowded([three], kept=9, of_a_class=1) == (1, 3)
    spared = Truth.of(squares(3), labels(3), difficult=torch.tensor([True, False, False]))
    assert crowded([spared], kept=2, of_a_class=None) == (0, 0)
    assert crowded([spared], kept=2, of_a_class=100) == (1, 3)  # COCO's metric knows no difficult objects


@pytest.mark.parametrize("name", ["ssd300-lite0", "retinanet-lite0-fpn", "faster-rcnn-lite0-fpn", "refinedet320-lite0"])
def test_a_detector_keeps_more(name: str) -> None:
    model = vedette.build(name, num_classes=2, weights_backbone=None)
    before = model.config
    keep_most(model, 600)
    assert (model.config.keep, model.config.candidates) == (600, max(before.candidates, 1200))
    keep_most(model, 3)
    assert model.config.keep == 3
    assert model.config.candidates >= before.candidates


@dataclass(frozen=True)
class Config:
    nms: str = "hard"
    nms_iou: float = 0.45
    keep: int = 120
    candidates: int = 400


class Told(nn.Module):
    """Finds the first of 150 squares, as many as it keeps."""

    config = Config()

    def forward(self, images: torch.Tensor, sizes: None, proposals: None) -> torch.Tensor:
        return images

    def detect(self, predictions: torch.Tensor, score: float) -> list[Detections]:
        boxes = squares(150)[: self.config.keep]
        scores, none = torch.linspace(1, 0.5, 150)[: len(boxes)], labels(len(boxes))
        return [Detections(boxes, scores, none, none) for _ in predictions]


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """(options) → what the command said, and the file that it wrote: one picture of 150 squares, one of one."""
    (tmp_path / "images").mkdir()
    rows = [(0, box) for box in squares(150).tolist()] + [(1, squares(1)[0].tolist())]
    for number in range(2):
        Image.new("RGB", (96, 96)).save(tmp_path / "images" / f"{number}.png")
    annotations = [
        {"id": 1 + number, "image_id": image, "category_id": 1, "bbox": [x, y, 4, 4], "area": 16, "iscrowd": 0}
        for number, (image, (x, y, _, _)) in enumerate(rows)
    ]
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 96, "height": 96} for n in range(2)],
        "categories": [{"id": 1, "name": "square"}],
        "annotations": annotations,
    }
    (tmp_path / "val.json").write_text(json.dumps(content))
    spec = InputSpec(size=96)
    app = typer.Typer()
    app.command()(command.evaluate)

    def run(*options: object):
        detector = SimpleNamespace(network=Told(), input_spec=spec, device=torch.device("cpu"))
        monkeypatch.setattr(command, "load_detector", lambda *_, **__: (detector, ("square",)))
        monkeypatch.setattr("vedette.zoo.weight_file", str)
        out = tmp_path / "out.json"
        given = ["told", "--data", str(tmp_path), "--workers", "0", "--json", str(out), *map(str, options)]
        result = CliRunner().invoke(app, given)
        assert result.exit_code == 0, result.output
        return result, json.loads(out.read_text())

    return run


def test_the_command_says_it_and_counts_more(evaluate) -> None:
    result, content = evaluate("--metric", "coco")
    line = (
        "note: 1 of 2 images have more objects than are counted (the detector keeps 120 of an image, the metric 100 of "
        "a class), up to 150; to count them all: --max-detections 150"
    )
    assert line in result.stderr.splitlines()
    assert content["table"]["ar100"] == pytest.approx(101 / 151)
    result, content = evaluate("--metric", "coco", "--max-detections", 300)
    assert "more objects" not in result.stderr
    assert content["max_detections"] == 300
    assert content["table"]["ar300"] == pytest.approx(1.0)
    assert "ar100" not in content["table"]
    result, content = evaluate("--metric", "voc12")
    assert "(the detector keeps 120 of an image), up to 150; to count" in result.stderr
    _, more = evaluate("--metric", "voc12", "--max-detections", 150)
    assert more["mAP"] > content["mAP"]
