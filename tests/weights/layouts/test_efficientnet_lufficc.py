"""lufficc's SSD on EfficientNet-B3: its six maps on the same weights; MobileNet is refused by name."""

import json
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor

from vedette.cli.main import run
from vedette.papers.ssd import SSD, VOC_SIZES
from vedette.weights.layouts.checkpoint import check_fit
from vedette.weights.layouts.known import read_foreign
from vedette.weights.layouts.ssd_ports import convert_lufficc
from vedette.zoo import build

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "lufficc_efficientnet_b3.json").read_text())
MAPS, PER_CELL = (48, 136, 384, 256, 256, 256), (4, 6, 6, 6, 4, 4)


def draw(name: str, shape: Any) -> Tensor:
    """The golden's weights."""
    values = np.random.RandomState(crc32(name.encode())).uniform(-1, 1, shape)
    if name.endswith("running_var"):
        values = 1 + values / 2
    elif len(shape) > 1:
        values = values * (6 / np.prod(shape[1:])) ** 0.5
    elif "_bn" in name and name.endswith("weight"):
        values = 0.7 + 0.3 * values
    else:
        values = values * 0.1
    return torch.tensor(values, dtype=torch.float32)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """A whole checkpoint: the golden's backbone and heads of three classes."""
    found = {f"backbone.{name}": draw(name, shape) for name, shape in GOLDEN["tensors"].items()}
    found["backbone._bn0.num_batches_tracked"] = torch.tensor(7)
    for level, (channels, cells) in enumerate(zip(MAPS, PER_CELL, strict=True)):
        for head, outputs in (("cls", 4), ("reg", 4)):
            found[f"box_head.predictor.{head}_headers.{level}.weight"] = torch.rand(cells * outputs, channels, 3, 3)
            found[f"box_head.predictor.{head}_headers.{level}.bias"] = torch.rand(cells * outputs)
    return found


def test_its_maps_are_those_of_its_own_code(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"model": weights, "iteration": 3}, tmp_path / "a.pth")
    checkpoint = read_foreign(tmp_path / "a.pth")
    assert (checkpoint.layout, checkpoint.models) == ("lufficc", ("ssd300-timm/tf_efficientnet_b3",))
    assert checkpoint.num_classes == 3
    model = build(checkpoint.models[0], 3, weights_backbone=None, **checkpoint.config).eval()
    check_fit(checkpoint, model.state_dict(), "a.pth", "it")
    model.load_state_dict(checkpoint.tensors)
    assert isinstance(model, SSD)
    assert model.config.anchor_sizes == VOC_SIZES[300]
    image = np.random.RandomState(300).uniform(-2, 2, (1, 3, 300, 300))
    with torch.no_grad():
        maps = model.features(torch.tensor(image, dtype=torch.float32))
    assert [x.shape[1] for x in maps] == list(MAPS)
    for x, points in zip(maps, GOLDEN["maps"], strict=True):
        for channel, row, column, value in points:
            assert float(x[0, channel, row, column]) == pytest.approx(value, abs=2e-3 * float(x.std()))


def test_a_tensor_that_is_missing_is_named(weights: dict[str, Tensor]) -> None:
    some = {name: tensor for name, tensor in weights.items() if "_blocks.3._bn1.bias" not in name}
    assert "missing backbone._blocks.3._bn1.bias" in convert_lufficc(some).faults


def test_mobilenet_is_refused_with_what_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("backbone.features.0.0.weight", "box_head.predictor.cls_headers.0.conv.0.weight")
    torch.save({"model": dict.fromkeys(names, torch.ones(1))}, tmp_path / "a.pth")
    assert run(["weights", "import", str(tmp_path / "a.pth"), "--out", str(tmp_path / "a.safetensors")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a.pth: lufficc's SSDLite on MobileNet, whose separable heads" in line
    assert line.endswith("of lufficc/SSD those on VGG-16 and EfficientNet-B3 are read")
