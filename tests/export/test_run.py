"""A small detector of each kind as a file: the same boxes, or none is left."""

from pathlib import Path
from typing import Any

import pytest
import torch

import vedette
from papers import tiny
from vedette import InputError
from vedette.export import run
from vedette.export.run import ENDINGS, export
from vedette.infer.detector import Detector

pytest.importorskip("onnxscript")
CLASSES = ("cat", "dog", "pig")
slow = pytest.mark.slow


def detector(kind: str, **config: Any) -> Detector:
    """Its scores spread: those of new layers are nearly equal, and which of equals is best is chance."""
    torch.manual_seed(0)
    model: Any = getattr(tiny, kind)(**config)
    for name, weight in model.named_parameters():
        if "logits.weight" in name or (".logits." in name and weight.ndim > 1):
            torch.nn.init.normal_(weight, std=0.15)
    return Detector(model, device="cpu", classes=CLASSES, category_ids=(1, 2, 4), name=f"tiny-{kind}")


@slow
@pytest.mark.parametrize(
    ("kind", "to", "config"),
    [
        ("ssd", "onnx", {}),
        ("ssd", "openvino", {}),
        ("ssd", "pt2", {}),
        ("refinedet", "onnx", {"nms": "linear"}),
        ("retinanet", "onnx", {}),
    ],
)
def test_the_file_finds_what_the_model_finds(kind: str, to: Any, config: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("openvino" if to == "openvino" else "onnxruntime")
    own, out = detector(kind, **config), tmp_path / f"model{ENDINGS[to][0]}"
    said: list[str] = []
    report = export(own, to, out, tell=said.append)
    assert ", 0 by one alone;" in report
    assert said[0] == "tracing the network"
    assert said[-1] == "running the file beside the model"
    loaded = vedette.load(out)
    assert (loaded.model, loaded.classes, loaded.category_ids) == (None, CLASSES, (1, 2, 4))
    assert loaded.input_spec == own.input_spec
    assert loaded.name == f"tiny-{kind}"
    if to == "onnx":
        assert str(Path(vedette.__file__).parent).encode() not in out.read_bytes()  # lines of code


@slow
def test_raw_outputs_of_every_anchor(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    report = export(detector("refinedet"), "onnx", tmp_path / "raw.onnx", raw=True)
    assert "outputs differ by" in report
    graph = runtime.InferenceSession(tmp_path / "raw.onnx")
    assert [one.name for one in graph.get_inputs()] == ["images"]
    names = [one.name for one in graph.get_outputs()]
    assert names == ["arm_logits", "arm_deltas", "odm_logits", "odm_deltas", "anchors"]
    with pytest.raises(InputError, match="gives raw outputs"):
        vedette.load(tmp_path / "raw.onnx")


@slow
def test_a_file_that_finds_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is a model's of other weights, as PyTorch writes it: nothing is converted here."""
    others = detector("ssd")
    with torch.no_grad():
        for weight in others.model.head.parameters():
            weight.mul_(1.5)
    converted = run.convert
    monkeypatch.setattr(run, "convert", lambda own, *rest: converted(others, *rest))
    with pytest.raises(InputError, match="not the model's equal and is not written"):
        export(detector("ssd"), "pt2", tmp_path / "model.pt2")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"give it the suffix \.xml"):
        export(detector("ssd"), "openvino", tmp_path / "model.onnx")
    with pytest.raises(InputError, match="no such file"):
        export(detector("ssd"), "onnx", tmp_path / "model.onnx", check=[tmp_path / "none.jpg"])


@pytest.mark.parametrize("kind", ["rcnn", "sppnet", "fast_rcnn", "faster_rcnn", "fpn"])
def test_detectors_that_look_at_regions_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="looks at regions and cannot be exported; SSD, RefineDet and RetinaNet can"):
        export(detector(kind), "onnx", tmp_path / "model.onnx")
