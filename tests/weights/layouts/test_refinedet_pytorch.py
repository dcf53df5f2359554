"""The PyTorch port's checkpoints: its own outputs on the same weights, and what is refused."""

import json
from math import prod, sqrt
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor

from vedette.errors import InputError
from vedette.ops.boxes import to_centers
from vedette.ops.images import Normalize
from vedette.papers.refinedet import RefineDet
from vedette.structures import InputSpec
from vedette.weights.layouts.checkpoint import Checkpoint, check_fit
from vedette.weights.layouts.pickled import read_state_dict
from vedette.weights.layouts.refinedet_pytorch import convert
from vedette.zoo import build

GOLDEN = Path(__file__).parents[2] / "golden" / "refinedet_pytorch.json"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDEN.read_text())
    return content


def generated(name: str, shape: list[int]) -> Tensor:
    """The weights that the golden was made with (tests/golden/README.md)."""
    draw = np.random.RandomState(crc32(name.encode())).random_sample(shape) * 2 - 1
    if name.endswith("L2Norm.weight"):
        draw += 9
    elif len(shape) == 1:
        draw *= 0.1
    else:
        draw *= sqrt(6 / (shape[0] if name.startswith("tcb1") else prod(shape[1:])))
    return torch.from_numpy(draw.astype(np.float32))


@pytest.fixture(scope="module")
def imported(golden: dict[str, Any]) -> Checkpoint:
    return convert({name: generated(name, shape) for name, shape in golden["tensors"].items()})


@pytest.fixture(scope="module")
def model(imported: Checkpoint) -> RefineDet:
    model = build("refinedet320-vgg16", num_classes=imported.num_classes, **imported.config).eval()
    check_fit(imported, model.state_dict(), "the golden", "refinedet320-vgg16")
    model.load_state_dict(imported.tensors)
    return model


@pytest.mark.parametrize("size", [320, 512])
def test_raw_outputs_are_the_ports(golden: dict[str, Any], model: RefineDet, size: int) -> None:
    images = np.random.RandomState(size).random_sample((1, 3, size, size)) * 4 - 2
    with torch.no_grad():
        arm, odm, anchors = model(torch.from_numpy(images.astype(np.float32)))
    theirs = {name: torch.tensor(values) for name, values in golden[str(size)].items()}
    rows = theirs["rows"]
    torch.testing.assert_close(to_centers(anchors[rows]) / size, theirs["priors"], rtol=0, atol=1e-6)
    ours = {"arm_loc": arm.deltas, "arm_conf": arm.logits, "odm_loc": odm.deltas, "odm_conf": odm.logits}
    for name, output in ours.items():
        torch.testing.assert_close(
            output[0, rows], theirs[name], rtol=0, atol=1e-4, msg=lambda text, name=name: name + text
        )


def test_input_is_rgb_less_the_mean(imported: Checkpoint) -> None:
    pixel = torch.tensor([200, 100, 50], dtype=torch.uint8).view(3, 1, 1)
    values = Normalize(InputSpec(size=320, **imported.input))(pixel).flatten()
    assert values.tolist() == [200 - 123, 100 - 117, 50 - 104]
    assert imported.input["antialias"] is False


def tiny_tensors(golden: dict[str, Any]) -> dict[str, Tensor]:
    """All tensors, without the memory."""
    return {name: torch.zeros(1).expand(shape) for name, shape in golden["tensors"].items()}


def refusal(checkpoint: Checkpoint) -> str:
    with torch.device("meta"):
        expected = build("refinedet320-vgg16", num_classes=checkpoint.num_classes).state_dict()
    with pytest.raises(InputError) as error:
        check_fit(checkpoint, expected, "a.pth", "refinedet320-vgg16")
    return str(error.value)


def test_missing_unexpected_and_misshapen_tensors_are_named(golden: dict[str, Any]) -> None:
    weights = tiny_tensors(golden)
    del weights["tcb1.2.bias"]
    weights["vgg.35.weight"] = torch.zeros(1)
    weights["arm_loc.1.weight"] = torch.zeros(16, 512, 3, 3)
    assert refusal(convert(weights)) == (
        "a.pth does not fit refinedet320-vgg16: missing tcb1.2.bias; unexpected vgg.35.weight; "
        "arm_loc.1.weight has shape (16, 512, 3, 3), not (12, 512, 3, 3)"
    )


def test_many_faults_are_counted(golden: dict[str, Any]) -> None:
    weights = {name: tensor for name, tensor in tiny_tensors(golden).items() if not name.startswith("odm")}
    message = refusal(convert(weights))
    assert message.count("missing") == 3
    assert message.endswith("; and 13 more")


def test_classes_are_counted_without_background(golden: dict[str, Any]) -> None:
    weights = tiny_tensors(golden)
    for level in range(4):
        weights[f"odm_conf.{level}.weight"] = torch.zeros(1).expand(3 * 8, 256, 3, 3)
        weights[f"odm_conf.{level}.bias"] = torch.zeros(3 * 8)
    assert convert(weights).num_classes == 7


# ---------------------------------------------------------------------------------------------- pickled files


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_state_dicts_are_found_in_wrappers_and_without_the_prefix(
    tmp_path: Path, wrapper: str | None, zipped: bool
) -> None:
    weights = {"module.a.weight": torch.arange(3.0), "module.b": torch.ones(())}
    content = weights if wrapper is None else {"epoch": 3, wrapper: weights}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    read = read_state_dict(tmp_path / "a.pth")
    assert list(read) == ["a.weight", "b"]
    assert read["a.weight"].tolist() == [0, 1, 2]


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with pytest.raises(InputError, match="there is no such file"):
        read_state_dict(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_state_dict(tmp_path)
    for content in (b"", b"a text", b"PK\x03\x04 and then nothing", bytes(range(256)) * 4):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.pth: "):
            read_state_dict(path)
    for odd in ([torch.ones(1)], {}, {"a": 1, "epoch": 3}):
        torch.save(odd, path)
        with pytest.raises(InputError, match="state dict"):
            read_state_dict(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="damaged"):
        read_state_dict(path)
