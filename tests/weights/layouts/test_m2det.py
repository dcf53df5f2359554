"""The authors' checkpoints of M2Det: their network's own outputs on the same weights, and what is refused."""

import json
from functools import partial
from math import prod, sqrt
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor

import vedette
from vedette.cli.main import run
from vedette.errors import InputError
from vedette.ops.boxes import to_centers
from vedette.weights.layouts.checkpoint import Checkpoint, check_fit
from vedette.weights.layouts.m2det import SHARED, convert
from vedette.zoo import build

GOLDEN = Path(__file__).parents[2] / "golden" / "m2det.json"
BUILDERS = {"vgg16": partial(build, "m2det320-vgg16"), "resnet101": partial(build, "m2det320-resnet101")}


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDEN.read_text())
    return content


def generated(name: str, shape: list[int]) -> Tensor:
    """The weights that the golden was made with (tests/golden/README.md)."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    draw = np.random.RandomState(crc32(SHARED.sub(r"\1.0.", name).encode())).random_sample(shape) * 2 - 1
    if len(shape) > 1:
        draw *= sqrt(6 / prod(shape[1:]))
    elif name.endswith("running_var"):
        draw = 1 + draw / 2
    elif name.endswith("bn3.weight"):
        draw = 0.2 + 0.1 * draw
    elif name.endswith("weight"):
        draw = 0.7 + 0.3 * draw
    else:
        draw *= 0.1
    return torch.from_numpy(draw.astype(np.float32))


def shapes(golden: dict[str, Any], network: str) -> dict[str, list[int]]:
    """Names and shapes of a network's state dict: "vgg16", "vgg16 sfam" or "resnet101"."""
    every = golden["tensors"]["both"] | golden["tensors"][network.split()[0]]
    return {name: shape for name, shape in every.items() if "sfam" in network or not name.startswith("sfam")}


@pytest.fixture(scope="module")
def shared_by_all(golden: dict[str, Any]) -> dict[str, Tensor]:
    return {name: generated(name, shape) for name, shape in golden["tensors"]["both"].items()}


@pytest.mark.parametrize("network", ["vgg16", "vgg16 sfam", "resnet101"])
def test_raw_outputs_are_the_authors(golden: dict[str, Any], shared_by_all: dict[str, Tensor], network: str) -> None:
    names = shapes(golden, network)
    own = {name: generated(name, shape) for name, shape in names.items() if name not in shared_by_all}
    imported = convert({name: t for name, t in shared_by_all.items() if name in names} | own)
    assert imported.num_classes == 3
    assert imported.config["share_layers"]
    assert imported.config["nms_iou"] == 0.3  # theirs passes 0.45 as sigma
    assert imported.config["sfam"] == ("sfam" in network)
    with torch.device("meta"):
        model = BUILDERS[network.split()[0]](num_classes=3, **imported.config).eval()
    check_fit(imported, model.state_dict(), "the golden", imported.models[0])
    model.load_state_dict(imported.tensors, assign=True)
    images = np.random.RandomState(320).random_sample((1, 3, 320, 320)) * 4 - 2
    with torch.no_grad():
        logits, deltas, anchors = model(torch.from_numpy(images.astype(np.float32)))[:3]
    rows = golden["rows"]
    torch.testing.assert_close(to_centers(anchors[rows]) / 320, torch.tensor(golden["priors"]), rtol=0, atol=1e-6)
    for output, theirs in ((deltas, "loc"), (logits, "conf")):
        torch.testing.assert_close(output[0, rows], torch.tensor(golden[network][theirs]), rtol=0, atol=1e-4)


def tiny_tensors(golden: dict[str, Any], network: str = "vgg16") -> dict[str, Tensor]:
    """All tensors, without the memory."""
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes(golden, network).items()}


def refusal(checkpoint: Checkpoint) -> str:
    name = checkpoint.models[0]
    with torch.device("meta"):
        expected = vedette.build(name, checkpoint.num_classes, **checkpoint.config).state_dict()
    with pytest.raises(InputError) as error:
        check_fit(checkpoint, expected, "a.pth", name)
    return str(error.value)


def test_missing_unexpected_and_misshapen_tensors_are_named(golden: dict[str, Any]) -> None:
    weights = tiny_tensors(golden)
    del weights["unet3.smooth.1.conv.weight"]
    weights["unet9.toplayer.0.conv.weight"] = torch.zeros(1)
    weights["loc.1.weight"] = torch.zeros(16, 512, 3, 3)
    assert refusal(convert(weights)) == (
        "a.pth does not fit m2det320-vgg16: missing unet3.smooth.1.conv.weight; "
        "unexpected unet9.toplayer.0.conv.weight; loc.1.weight has shape (16, 512, 3, 3), not (24, 2048, 3, 3)"
    )


def test_a_missing_tensor_of_resnet_is_named(golden: dict[str, Any]) -> None:
    weights = tiny_tensors(golden, "resnet101")
    del weights["base.layer3.22.conv2.weight"]
    assert refusal(convert(weights)) == "a.pth does not fit m2det320-resnet101: missing base.layer3.22.conv2.weight"


def test_a_copy_that_is_missing_is_named(golden: dict[str, Any]) -> None:
    weights = tiny_tensors(golden, "vgg16 sfam")
    del weights["leach.7.bn.bias"]
    assert "missing leach.7.bn.bias" in refusal(convert(weights))


@pytest.mark.parametrize("name", ["leach.5.conv.weight", "sfam_module.fc2.3.bias"])
def test_layers_that_are_no_copies_stay_apart(golden: dict[str, Any], name: str) -> None:
    weights = tiny_tensors(golden, "vgg16 sfam")
    assert convert(weights).config["share_layers"]
    weights[name] = weights[name] + 1
    separate = convert(weights)
    assert not separate.config["share_layers"]
    with torch.device("meta"):
        expected = build("m2det320-vgg16", num_classes=3, **separate.config).state_dict()
    check_fit(separate, expected, "a.pth", "m2det320-vgg16")
    assert set(separate.tensors) == set(expected)


def test_old_files_without_counters_fit_too(golden: dict[str, Any]) -> None:
    for network in ("vgg16", "resnet101"):
        weights = {n: t for n, t in tiny_tensors(golden, network).items() if not n.endswith("num_batches_tracked")}
        imported = convert(weights)
        with torch.device("meta"):
            expected = BUILDERS[network](num_classes=3, **imported.config).state_dict()
        check_fit(imported, expected, "a.pth", network)
        assert set(imported.tensors) == set(expected)


def test_classes_are_counted_without_background_and_pixels_are_bgr(golden: dict[str, Any]) -> None:
    weights = tiny_tensors(golden)
    for scale in range(6):
        weights[f"conf.{scale}.bias"] = torch.zeros(6 * 81)
    imported = convert(weights)
    assert imported.num_classes == 80
    assert (imported.input["channels"], imported.input["mean"], imported.input["range"]) == (
        "bgr",
        (104, 117, 123),
        255,
    )
    assert imported.models == ("m2det320-vgg16", "m2det512-vgg16", "m2det800-vgg16")


def test_refusals_are_one_line(golden: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "a.pth", tmp_path / "a.safetensors"

    def importing(*more: str) -> str:
        assert run(["weights", "import", str(path), "--from", "m2det", "--out", str(out), *more]) == 2
        error = capsys.readouterr().err.strip()
        assert "\n" not in error
        assert not out.exists()
        return error

    path.write_bytes(bytes(64))
    assert importing().endswith("a.pth: not a PyTorch checkpoint")
    torch.save({"unet1.toplayer.0.conv.weight": torch.zeros(1)}, path)
    assert "does not fit m2det320-vgg16 or m2det512-vgg16 or m2det800-vgg16: missing base.0.weight" in importing()
    torch.save(tiny_tensors(golden), path)
    assert "its tensors do not tell which detector they are of; give --model m2det320-vgg16 or" in importing()
    assert "can only be m2det320-vgg16" in importing("--model", "m2det320-resnet101")
