"""vedette weights import for torchvision's Faster R-CNN and RetinaNet: a file that detects by itself."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.models import detection

import vedette
from vedette.cli.main import run


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fasterrcnn", "retinanet"])
def test_a_checkpoint_becomes_a_file_that_detects(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = getattr(detection, f"{kind}_resnet50_fpn")(weights=None, weights_backbone=None, num_classes=91)
    source, out = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    torch.save(theirs.state_dict(), source)
    assert run(["weights", "import", str(source), "--from", "torchvision", "--out", str(out)]) == 0
    detector = vedette.load(out, device="cpu")
    spec = detector.input_spec
    assert (spec.resize, spec.size, spec.max_side, spec.divisor) == ("short side", 800, 1333, 32)
    assert detector.classes is not None
    assert (len(detector.classes), detector.classes[0]) == (90, "person")
    found = detector.detect(Image.new("RGB", (40, 30), "white"), score=0.001)
    assert found.boxes.shape[1] == 4
    assert detector.model.config.anchor_grid == "torchvision"
