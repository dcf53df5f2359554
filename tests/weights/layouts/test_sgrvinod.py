"""sgrvinod's tutorial: its network's outputs on the same weights, its anchors in their order, its pickled model."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vedette.cli.main import run
from vedette.infer.load import load
from vedette.ops.boxes import to_corners
from vedette.papers.ssd import SSD
from vedette.weights.layouts.checkpoint import Checkpoint
from vedette.weights.layouts.known import read_foreign
from vedette.weights.layouts.sgrvinod import convert, in_turns
from vedette.zoo import build

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "sgrvinod.json").read_text())
PER_CELL, ENDS = (4, 6, 6, 6, 4, 4), (5776, 7942, 8542, 8692, 8728, 8732)  # anchors of the levels


def draw(name: str, shape: list[int]) -> Tensor:
    """The golden's weights."""
    values = np.random.RandomState(crc32(name.encode())).uniform(-1, 1, shape)
    if name == "rescale_factors":
        values = values + 9
    elif len(shape) == 1:
        values = values * 0.1
    else:
        values = values * (6 / np.prod(shape[1:])) ** 0.5
    return torch.tensor(values, dtype=torch.float32)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return {name: draw(name, shape) for name, shape in GOLDEN["tensors"].items()}


def ours(checkpoint: Checkpoint) -> SSD:
    assert checkpoint.faults == []
    model = build("ssd300-vgg16", checkpoint.num_classes, **checkpoint.config).eval()
    model.load_state_dict(checkpoint.tensors)
    assert isinstance(model, SSD)
    return model


def our_row(row: int) -> int:
    """Where our anchor is of which the golden holds theirs: in cells of six the fourth and the fifth change places."""
    level = next(level for level, end in enumerate(ENDS) if row < end)
    start, per_cell = (0, *ENDS)[level], PER_CELL[level]
    cell, anchor = divmod(row - start, per_cell)
    return start + cell * per_cell + ((0, 1, 2, 4, 3, 5)[anchor] if per_cell == 6 else anchor)


def test_outputs_and_anchors_are_its_own(weights: dict[str, Tensor]) -> None:
    model = ours(convert(weights))
    image = np.random.RandomState(300).uniform(-2, 2, (1, 3, 300, 300))
    with torch.no_grad():
        predictions = model(torch.tensor(image, dtype=torch.float32))
    rows = [our_row(row) for row in GOLDEN["rows"]]
    torch.testing.assert_close(predictions.logits[0, rows], torch.tensor(GOLDEN["scores"]), rtol=0, atol=1e-3)
    torch.testing.assert_close(predictions.deltas[0, rows], torch.tensor(GOLDEN["locs"]), rtol=0, atol=1e-3)
    theirs = to_corners(torch.tensor(GOLDEN["priors"]) * 300)
    torch.testing.assert_close(predictions.anchors[rows], theirs, rtol=0, atol=0.08)  # 0.333 for 1/3
    exact = [n for n, row in enumerate(GOLDEN["rows"]) if row < 5776]
    torch.testing.assert_close(predictions.anchors[rows][exact], theirs[exact], rtol=0, atol=1e-3)


def test_six_anchors_come_in_our_order() -> None:
    """Theirs: squares 1 and 2, wide 2 and 3, high 2 and 3; each of two outputs."""
    theirs = torch.tensor([10, 11, 20, 21, 32, 33, 42, 43, 52, 53, 62, 63])
    assert in_turns(theirs).tolist() == [10, 11, 20, 21, 32, 33, 52, 53, 42, 43, 62, 63]


def whole_model(weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A module of a class model.SSD300 that is gone when the file is read."""
    module = ModuleType("model")
    monkeypatch.setitem(sys.modules, "model", module)
    classes: dict[str, Any] = {}
    for name in ("SSD300", "VGGBase", "AuxiliaryConvolutions", "PredictionConvolutions"):
        classes[name] = type(name, (nn.Module,), {"__module__": "model"})
        setattr(module, name, classes[name])
    model = classes["SSD300"]()
    model.rescale_factors = nn.Parameter(weights["rescale_factors"])
    model.priors_cxcy = torch.zeros(8732, 4)
    parts = {"base": "VGGBase", "aux_convs": "AuxiliaryConvolutions", "pred_convs": "PredictionConvolutions"}
    for part, kind in parts.items():
        setattr(model, part, classes[kind]())
    for name, tensor in weights.items():
        part, _, layer = name.removesuffix(".weight").partition(".")
        if name.endswith(".weight"):
            conv = nn.Conv2d(1, 1, 1)
            conv.weight = nn.Parameter(tensor)
            conv.bias = nn.Parameter(weights[f"{part}.{layer}.bias"])
            setattr(getattr(model, part), layer, conv)
    return model


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_of_the_whole_model(
    zipped: bool, weights: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint_ssd300.pth.tar"
    model = whole_model(weights, monkeypatch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.save({"epoch": 3, "model": model, "optimizer": optimizer}, path, _use_new_zipfile_serialization=zipped)
    monkeypatch.delitem(sys.modules, "model")
    checkpoint = read_foreign(path)
    assert checkpoint.layout == "sgrvinod"
    right = convert(weights).tensors
    assert checkpoint.tensors.keys() == right.keys()
    assert all(torch.equal(checkpoint.tensors[name], right[name]) for name in right)
    assert "model" not in sys.modules


def test_the_file_that_is_written_detects(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "a.pth")
    out = tmp_path / "a.safetensors"
    assert run(["weights", "import", str(tmp_path / "a.pth"), "--from", "sgrvinod", "--out", str(out)]) == 0
    detector = load(out, device="cpu")
    assert detector.input_spec.mean == (0.485, 0.456, 0.406)
    assert detector.input_spec.antialias is True
    assert detector.model.config.anchor_sizes == (30.0, 60.0, 112.5, 165.0, 217.5, 270.0, 1000 / 3)
    assert len(detector.detect(torch.zeros(3, 40, 30, dtype=torch.uint8), score=0.0)) > 0
