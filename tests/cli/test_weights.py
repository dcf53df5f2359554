"""vedette weights import: the file that comes out, and what is refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from vedette.cli.main import run
from vedette.infer.load import load
from vedette.weights.files import read_weights
from vedette.weights.layouts.class_names import names_by_count
from vedette.zoo import WEIGHTS

SHAPES = json.loads((Path(__file__).parents[1] / "golden" / "refinedet_pytorch.json").read_text())["tensors"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A whole checkpoint of the PyTorch port in a few kilobytes: every tensor is one number, repeated."""
    tensors = {name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(SHAPES.items())}
    torch.save({"state_dict": tensors}, tmp_path / "port.pth")
    return tmp_path / "port.pth"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr."""
    assert run(["weights", "import", *map(str, arguments)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_the_written_file_needs_nothing_else(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "folder" / "ours.safetensors"
    arguments = ["--from", "refinedet.pytorch", "--model", "refinedet512-vgg16", "--out", str(out)]
    assert run(["weights", "import", str(checkpoint), *arguments]) == 0
    assert "refinedet512-vgg16, 20 classes (aeroplane, bicycle, bird, …)" in capsys.readouterr().out
    detector = load(out)
    assert detector.classes[-1] == "tvmonitor"
    config = detector.model.config
    assert (config.image_size, config.clip_anchors, config.aspect_ratios) == (512, True, (1.0, 0.5, 2.0))
    assert detector.input_spec.mean == (123.0, 117.0, 104.0)
    assert (detector.input_spec.size, detector.input_spec.divisor) == (512, 64)
    last = list(SHAPES).index("odm_conf.3.bias")
    assert detector.model.odm.logits[3].bias.unique().tolist() == [last]
    assert read_weights(out).extra == {"imported_from": "refinedet.pytorch port.pth"}


def test_a_weight_file_of_ours_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundled = WEIGHTS / "refinedet320-lite0.safetensors"
    line = refusal(capsys, bundled, "--out", tmp_path / "new.safetensors")
    assert line == f"error: {bundled}: is a weight file of Vedette's already; use it as it is"


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What would be written, without the time that writing takes."""
    arguments: dict[str, Any] = {}
    monkeypatch.setattr("vedette.weights.files.save_weights", lambda *_, **given: arguments.update(given))
    return arguments


def test_no_file_of_others_is_written_over(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checkpoint itself, say, where it is a .safetensors as well; what an import wrote may be written again."""
    out = tmp_path / "a.safetensors"
    common = (checkpoint, "--from", "refinedet.pytorch", "--model", "refinedet320-vgg16", "--out", out)
    for content in (b"", b"somebody's", (WEIGHTS / "refinedet320-lite0.safetensors").read_bytes()):
        out.write_bytes(content)
        line = refusal(capsys, *common)
        assert line == f"error: --out {out}: exists, and is no result of this command; give another name"
        assert out.read_bytes() == content
    out.unlink()
    for _ in range(2):
        assert run(["weights", "import", *map(str, common)]) == 0


def test_class_names_from_a_file(
    checkpoint: Path, tmp_path: Path, saved: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names.txt"
    arguments = (checkpoint, "--from", "refinedet.pytorch", "--out", tmp_path / "a.safetensors")
    arguments += ("--model", "refinedet320-vgg16", "--classes", names)
    assert "names.txt: cannot be read" in refusal(capsys, *arguments)
    names.write_text("cat\ndog\n")
    assert "names.txt: 2 class names for 20 classes" in refusal(capsys, *arguments)
    names.write_text("cat\n" * 20)
    assert "the class 'cat' is named twice" in refusal(capsys, *arguments)
    names.write_text("\n".join(f"thing {i}" for i in range(20)) + "\n\n")
    assert run(["weights", "import", *map(str, arguments)]) == 0
    assert saved["classes"] == tuple(f"thing {i}" for i in range(20))
    assert saved["category_ids"] is None


def test_the_detector_must_be_named_where_the_tensors_do_not_tell(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = (checkpoint, "--from", "refinedet.pytorch", "--out", tmp_path / "a.safetensors")
    assert "give --model refinedet320-vgg16 or refinedet512-vgg16" in refusal(capsys, *common)
    message = refusal(capsys, *common, "--model", "refinedet320-resnet101")
    assert message.endswith("port.pth can only be refinedet320-vgg16 or refinedet512-vgg16")
    assert not (tmp_path / "a.safetensors").exists()


def test_what_does_not_fit_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.safetensors"
    torch.save({"fc.weight": torch.zeros(2)}, tmp_path / "other.pth")
    message = refusal(capsys, tmp_path / "other.pth", "--from", "refinedet.pytorch", "--out", out)
    assert "other.pth: holds fc.weight, which is not --from refinedet.pytorch; the layouts: " in message
    blob = b"\x3a\x03\x0a\x01\x01\x2a\x04\x00\x00\x80\x3f"  # shape (1), data [1.0]
    layer = b"\x0a\x02ip" + b"\x3a" + bytes([len(blob)]) + blob
    (tmp_path / "other.caffemodel").write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    message = refusal(capsys, tmp_path / "other.caffemodel", "--from", "refinedet.caffe", "--out", out)
    assert "other.caffemodel does not fit refinedet320-vgg16 or refinedet512-vgg16: missing conv1_1[0]" in message
    assert not out.exists()


def test_bad_arguments(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.safetensors"
    message = refusal(capsys, checkpoint, "--from", "refinedet.keras", "--out", out)
    known = "auto, refinedet.caffe, refinedet.pytorch, torchvision, ssd.pytorch, lufficc, sgrvinod, m2det, detectron2"
    known += ", mmdet, mmdet1, mmdet2"
    assert message.endswith(f"there is no such layout; the layouts: {known}")
    message = refusal(capsys, checkpoint, "--from", "refinedet.pytorch", "--out", checkpoint)
    assert message.endswith("give it the suffix .safetensors")
    message = refusal(capsys, tmp_path / "none.pth", "--from", "refinedet.pytorch", "--out", out)
    assert message.endswith("none.pth: there is no such file")


def test_cocos_names_come_by_their_count(tmp_path: Path, saved: dict[str, Any]) -> None:
    tensors = {name: torch.zeros(()).expand(shape) for name, shape in SHAPES.items()}
    for level in range(4):
        tensors[f"odm_conf.{level}.weight"] = torch.zeros(()).expand(3 * 81, 256, 3, 3)
        tensors[f"odm_conf.{level}.bias"] = torch.zeros(3 * 81)
    torch.save(tensors, tmp_path / "coco.pth")
    arguments = [
        "--from",
        "refinedet.pytorch",
        "--model",
        "refinedet320-vgg16",
        "--out",
        str(tmp_path / "a.safetensors"),
    ]
    assert run(["weights", "import", str(tmp_path / "coco.pth"), *arguments]) == 0
    assert (saved["classes"][0], saved["category_ids"][0]) == ("person", 1)
    assert (saved["classes"][-1], saved["category_ids"][-1]) == ("toothbrush", 90)
    assert len(saved["classes"]) == len(saved["category_ids"]) == 80


def test_torchvisions_90_classes_are_cocos_ids() -> None:
    names, ids = names_by_count(90)
    assert ids == tuple(range(1, 91))
    assert (names[0], names[11], names[12], names[89]) == ("person", "unused 12", "stop sign", "toothbrush")
    assert len(set(names)) == 90


def test_other_counts_have_numbered_names() -> None:
    assert names_by_count(2) == (("class 0", "class 1"), None)


def test_the_state_of_a_training_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text("{}")
    state = tmp_path / "last.pt"
    torch.save({"format": 4, "model": {"conv.weight": torch.zeros(1)}}, state)
    line = refusal(capsys, state, "--out", tmp_path / "new.safetensors")
    assert (
        line == f"error: {state}: a run's state, to go on with by --resume; its weights are best.safetensors beside it"
    )
