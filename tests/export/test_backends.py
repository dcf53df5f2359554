"""Which backend is taken, and that it is measured once."""

from pathlib import Path
from typing import Any

import pytest

from vedette import InputError, zoo
from vedette.export import backends

WEIGHTS = zoo.WEIGHTS / "refinedet320-lite0.safetensors"


@pytest.fixture
def timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each backend takes a time of its own; no detector is made. The names that were measured."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen: list[str] = []
    times = {"eager": 0.3, "compile": 0.2, "onnx": 0.1, "openvino": 0.05}

    def made(asked: Any, name: str, tell: Any) -> str:
        if name == "openvino":
            raise InputError("needs openvino")
        return name

    def seconds(name: str, bf16: bool) -> float:
        seen.append(name)
        return times[name]

    monkeypatch.setattr(backends, "_detector", made)
    monkeypatch.setattr(backends, "seconds_of", seconds)
    monkeypatch.setattr(backends, "available", lambda bf16: ["eager", *(["onnx"] * (not bf16)), "openvino"])
    return seen


def test_the_fastest_that_works_is_measured_once_and_said(timed: list[str]) -> None:
    said: list[str] = []
    assert backends.load_on(WEIGHTS, "auto", tell=said.append) == "onnx"
    assert timed == ["eager", "onnx"]
    assert "openvino is left out: needs openvino" in said
    assert said[-1].startswith("backend onnx: a picture takes onnx 100, eager 300 ms here")
    assert backends.load_on("refinedet320-lite0", "auto") == "onnx"
    assert timed == ["eager", "onnx"]


def test_other_settings_are_measured_by_themselves(timed: list[str]) -> None:
    assert backends.load_on(WEIGHTS, "auto") == "onnx"
    assert backends.load_on(WEIGHTS, "auto", bf16=True) == "eager"
    assert backends.load_on(WEIGHTS, "auto", nms="linear") == "onnx"
    assert timed == ["eager", "onnx", "eager", "eager", "onnx"]


def test_a_damaged_memory_is_made_anew(timed: list[str], tmp_path: Path) -> None:
    file = tmp_path / "vedette" / "exports" / backends.REMEMBERED
    file.parent.mkdir(parents=True)
    file.write_text("[")
    assert backends.load_on(WEIGHTS, "auto") == "onnx"
    assert len(timed) == 2


def test_a_compiler_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends.shutil, "which", lambda name: None)
    assert "compile" not in backends.available(bf16=False)
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler"):
        backends.load_on(WEIGHTS, "compile")


def test_an_exported_file_is_its_own_backend(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="is run by its own library"):
        backends.load_on(tmp_path / "a.onnx", "openvino")
