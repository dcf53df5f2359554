"""Which backend runs a detector: what is asked for, what is refused, and what runs where it cannot be."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import vedette
from export.test_run import detector
from infer.backends.shared import write_onnx
from vedette import InputError
from vedette.export import backends
from vedette.export.backends import Choice, open_choice, settle
from vedette.export.check import compare, photographs
from vedette.export.error import ExportError
from vedette.export.run import describe
from vedette.infer.load import load as load_eager

SMALL = "refinedet320-lite0"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weight file that is loaded as a small SSD, and a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("vedette.infer.load.load", lambda *_, **__: detector("ssd"))
    monkeypatch.setattr("vedette.export.kept.load", lambda *_, **__: detector("ssd"))
    file = tmp_path / "small.safetensors"
    file.write_bytes(b"weights")
    return file


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    return write_onnx(tmp_path / "model.onnx")


def test_without_a_backend_it_is_loaded_as_ever() -> None:
    assert isinstance(vedette.load(SMALL).model, torch.nn.Module)
    with pytest.raises(InputError, match="precision fp32: belongs to a backend"):
        vedette.load(SMALL, precision="fp32")


def test_eager_is_the_model_in_the_precision_that_is_asked_for(weights: Path) -> None:
    picture = photographs()[0]
    full, half = (vedette.load(weights, backend="eager", precision=of).detect(picture, 0.05) for of in ("fp32", "bf16"))
    own = detector("ssd")
    assert torch.equal(full.scores, own.detect(picture, 0.05).scores)
    assert torch.equal(half.scores, own.detect(picture, 0.05, bf16=True).scores)
    assert not torch.equal(full.scores, half.scores)


def test_an_exported_file_is_run_by_its_own_library(exported: Path) -> None:
    assert vedette.load(exported, backend="auto").model is None
    with pytest.raises(InputError, match="is run by its own library; leave backend out"):
        vedette.load(exported, backend="openvino")
    with pytest.raises(InputError, match="computes in float32"):
        vedette.load(exported, backend="auto", precision="bf16")


def test_what_does_not_go_together_is_said(weights: Path) -> None:
    with pytest.raises(InputError, match="graphs: recorded of PyTorch as it is"):
        vedette.load(weights, graphs=True, backend="eager")
    with pytest.raises(InputError, match="backend onnx: runs on the CPU; leave device out"):
        vedette.load(weights, "cuda", backend="onnx")
    with pytest.raises(InputError, match="ONNX Runtime computes in float32 on a CPU; leave bf16 out"):
        vedette.load(weights, backend="onnx", precision="bf16")


@pytest.mark.parametrize("expected", ["bf16", "fp32"])
def test_precision_is_what_the_processor_is_fast_in(
    weights: Path, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(backends, "fast_precision", lambda device: expected)
    monkeypatch.setattr(backends, "kept_export", lambda *_: weights)
    assert settle(weights, "openvino", tell=said.append) == Choice("openvino", expected)
    assert said == [f"openvino in {expected}: {weights}"]
    assert settle(weights, "compile", device="cpu") == Choice("compile", expected)
    assert settle(weights, "openvino", "fp32") == Choice("openvino", "fp32")
    assert settle(weights, "onnx") == Choice("onnx", "fp32")
    assert settle(weights, "eager") == Choice("eager", "fp32")


def test_what_a_backend_cannot_run_is_run_as_it_is(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Path:
        raise ExportError("tiny-ssd: its network cannot be traced (it asks)")

    said: list[str] = []
    monkeypatch.setattr(backends, "kept_export", refuse)
    own = vedette.load(weights, backend="onnx", tell=said.append)
    assert own.model is not None
    assert said == ["backend onnx: tiny-ssd: its network cannot be traced (it asks); eager runs instead"]


def test_no_model_is_built_for_what_is_exported_already(
    weights: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "kept_export", lambda *_: exported)
    for home in ("vedette.infer.load.load", "vedette.export.kept.load"):
        monkeypatch.setattr(home, lambda *_, **__: pytest.fail("built a model"))
    assert vedette.load(weights, backend="onnx").detect(photographs()[0], 0.3).names == ["dog", "cat"]


def test_a_detector_that_is_given_regions_is_not_compiled(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.infer.load.load", lambda *_, **__: detector("fast_rcnn"))
    said: list[str] = []
    own = open_choice(weights, Choice("compile", "fp32"), device="cpu", tell=said.append)
    assert own.model is not None
    (line,) = said
    assert line.endswith("is given regions, of which each picture has another number; eager runs instead")


class OnlyDetects(torch.nn.Module):
    """What docs/own.md asks for, and no more."""

    config = SimpleNamespace(num_classes=3)


def test_one_s_own_detector_without_find_is_neither_compiled_nor_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    own = detector("ssd")
    monkeypatch.setattr(own, "network", OnlyDetects())
    with pytest.raises(ExportError, match=r"has no method find\(predictions, score\)"):
        describe(own)


def test_a_damaged_export_is_made_again(weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file, said = tmp_path / "kept.onnx", list[str]()
    file.write_bytes(b"half of it")
    monkeypatch.setattr(backends, "kept_export", lambda *_: file if file.exists() else write_onnx(file))
    own = open_choice(weights, Choice("onnx", "fp32"), tell=said.append)
    assert own.detect(photographs()[0], 0.3).names == ["dog", "cat"]
    (line,) = said
    assert line.startswith(f"{file}: cannot be read")
    assert line.endswith("; it is made again now")


def test_without_a_compiler_it_is_said(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/none/such"))  # what it makes of CXX=/none/such
    with pytest.raises(InputError, match=r"backend compile: needs a C\+\+ compiler"):
        vedette.load(weights, "cpu", backend="compile")


def test_it_is_public_and_ends_in_the_plain_one() -> None:
    assert vedette.load is backends.load
    assert load_eager is not backends.load


@pytest.mark.slow
def test_compiled_it_finds_what_eager_finds(weights: Path) -> None:
    own = vedette.load(weights, "cpu", backend="compile", precision="fp32")
    assert own.model is None
    for picture in photographs()[:2]:  # one by one: each size of a batch is compiled anew
        expected, found = detector("ssd").detect(picture, 0.05), own.detect(picture, 0.05)
        assert len(found) > 10
        assert torch.equal(found.source, expected.source)
        torch.testing.assert_close(found.boxes, expected.boxes, rtol=0, atol=0.01)


@pytest.mark.slow
def test_exported_it_finds_what_eager_finds(weights: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxscript")
    said: list[str] = []
    own = vedette.load(weights, "cpu", backend="openvino", precision="fp32", tell=said.append)
    assert own.model is None
    assert own.classes == ("cat", "dog", "pig")
    assert compare(detector("ssd"), own, photographs()).same
    loads = [line for line in said if line.startswith("exporting")]
    again = vedette.load(weights, backend="openvino", precision="bf16", tell=said.append)
    assert [line for line in said if line.startswith("exporting")] == loads
    assert again.network.bf16  # type: ignore[union-attr]
