"""A small detector of each kind as a file: the same boxes, or none is left."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import vedette
from papers import tiny
from vedette import InputError
from vedette.export import run
from vedette.export.check import compare
from vedette.export.run import ENDINGS, export
from vedette.infer.backends.compiled import check_compiler
from vedette.infer.backends.pt2 import machine
from vedette.infer.detector import Detector
from vedette.weights.exported import Exported

pytest.importorskip("onnxscript")
CLASSES = ("cat", "dog", "pig")
slow = pytest.mark.slow


FREE_SIDES = ("retinanet", "faster_rcnn", "fpn", "rcnn", "sppnet", "fast_rcnn")
FAMILIES: dict[str, dict[str, Any]] = {
    "ssd": {},
    "refinedet": {"nms": "linear"},
    "m2det": {},  # linear Soft-NMS is the paper's
    "retinanet": {},
    "faster_rcnn": {},  # max pooling
    "fpn": {},  # RoIAlign
    "fast_rcnn": {"proposals": 20},
    "rcnn": {"proposals": 20, "chunk": 16},
    "sppnet": {"proposals": 20, "chunk": 16},
}


def detector(kind: str, **config: Any) -> Detector:
    """Its scores spread: those of new layers are nearly equal, and which of equals is best is chance.

    Not too far, for M2Det's features are strong: scores of 1 are equal again.
    """
    torch.manual_seed(0)
    std = 0.02 if kind == "m2det" else 0.15
    model: Any = getattr(tiny, kind)(**config)
    for name, weight in model.named_parameters():
        if "logits.weight" in name or name == "head.weight" or (".logits." in name and weight.ndim > 1):
            torch.nn.init.normal_(weight, std=std)
    return Detector(model, device="cpu", classes=CLASSES, category_ids=(1, 2, 4), name=f"tiny-{kind}")


def some_proposals(picture: Image.Image, search: str, limit: int) -> Tensor:
    """In place of selective search: fewer than the graph has places for."""
    generator = torch.Generator().manual_seed(picture.width)
    low = torch.rand(limit - 3, 2, generator=generator) * 0.6
    boxes = torch.cat([low, low + 0.1 + torch.rand(limit - 3, 2, generator=generator) * 0.3], 1)
    return boxes * torch.tensor([picture.width, picture.height]).repeat(2)


@pytest.fixture(scope="module")
def kept() -> dict[tuple[str, str], Any]:
    """What was made of a detector, by the function and the detector's name."""
    return {}


@pytest.fixture
def once(kept: dict[tuple[str, str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and translated once for all formats of a detector: that takes most of the time."""

    def keeping(function: Any) -> Any:
        def made(first: Any, exported: Exported) -> Any:
            key = (function.__name__, exported.name)
            if key not in kept:
                kept[key] = function(first, exported)
            return kept[key]

        return made

    monkeypatch.setattr(run, "trace", keeping(run.trace))
    monkeypatch.setattr(run, "to_onnx", keeping(run.to_onnx))
    monkeypatch.setattr("vedette.infer.detector.cached_proposals", some_proposals)


@slow
@pytest.mark.parametrize("to", ["onnx", "openvino", "pt2"])
@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.usefixtures("once")
def test_the_file_finds_what_the_model_finds(kind: str, to: Any, tmp_path: Path) -> None:
    """Pictures alone and five at once; of different sides where the detector takes them."""
    pytest.importorskip("openvino" if to == "openvino" else "onnxruntime")
    own, out = detector(kind, **FAMILIES[kind]), tmp_path / f"model{ENDINGS[to][0]}"
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
    if kind in FREE_SIDES:
        high = Image.effect_mandelbrot((90, 200), (-2, -1.5, 1, 1.5), 60).convert("RGB")
        assert compare(own, loaded, [high] * 5).same


@slow
def test_machine_code_finds_what_the_model_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        check_compiler("--compiled", "leave it out")
    except InputError:
        pytest.skip("no C++ compiler")
    out = tmp_path / "model.pt2"
    report = export(detector("ssd"), "pt2", out, compiled=True)
    assert ", 0 by one alone;" in report
    assert f"compiled on {machine()}" in report
    with pytest.raises(InputError, match="compiled in float32; leave bf16 out"):
        vedette.load(out).detect(Image.new("RGB", (64, 64)), bf16=True)
    monkeypatch.setattr("vedette.infer.backends.pt2.machine", lambda: "Minix m68k")
    with pytest.raises(InputError, match="and this is Minix m68k; export it again here, or without --compiled"):
        vedette.load(out)


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
def test_raw_outputs_of_detectors_that_look_at_regions_are_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="looks at regions, not at its anchors alone; leave --raw out"):
        export(detector(kind), "onnx", tmp_path / "model.onnx", raw=True)


def test_machine_code_is_of_pt2_and_needs_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--compiled: is of --to pt2, not of onnx"):
        export(detector("ssd"), "onnx", tmp_path / "model.onnx", compiled=True)

    def none() -> str:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr("torch._inductor.cpp_builder.get_cpp_compiler", none)
    with pytest.raises(InputError, match="needs a C\\+\\+ compiler, and none that works was found"):
        export(detector("ssd"), "pt2", tmp_path / "model.pt2", compiled=True)
    assert not list(tmp_path.iterdir())
