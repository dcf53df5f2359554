"""A tiny detector of every paper, and pictures for them to look at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from papers import tiny
from vedette.infer.detector import Detector

DETECTORS: dict[str, Callable[..., Any]] = {
    "R-CNN": tiny.rcnn,
    "SPPNet": tiny.sppnet,
    "Fast R-CNN": tiny.fast_rcnn,
    "Faster R-CNN": tiny.faster_rcnn,
    "FPN": tiny.fpn,
    "RetinaNet": tiny.retinanet,
    "SSD": tiny.ssd,
    "RefineDet": tiny.refinedet,
    "M2Det": tiny.m2det,
}
NEED_PROPOSALS = ("R-CNN", "SPPNet", "Fast R-CNN")
every_detector = pytest.mark.parametrize("name", DETECTORS)


def noise(width: int, height: int) -> Image.Image:
    """The same grain whenever it is asked for: Pillow's own depends on what was drawn before."""
    grain = np.random.default_rng(0).normal(128, 90, (height, width)).clip(0, 255)
    return Image.fromarray(grain.astype(np.uint8)).convert("RGB")


def pictures() -> list[Image.Image]:
    """A wide one, a high one that is all one colour, and one of noise."""
    wide = Image.new("RGB", (90, 60), (30, 90, 160))
    wide.paste((220, 40, 40), (10, 12, 50, 44))
    wide.paste((40, 200, 60), (56, 20, 84, 55))
    return [wide, Image.new("RGB", (40, 70), (200, 200, 10)), noise(64, 64)]


def detector_of(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **config: Any) -> Detector:
    if name in NEED_PROPOSALS:
        pytest.importorskip("cv2")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        config = {"proposals": 20} | config
    torch.manual_seed(3)
    return Detector(DETECTORS[name](**config), classes=("a", "b", "c"), device="cpu")
