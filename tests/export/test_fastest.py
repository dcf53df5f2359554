"""What auto measures, chooses and remembers; detectors here take the time that they are told to."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vedette.errors import InputError
from vedette.export import fastest as home
from vedette.export.backends import Choice
from vedette.export.fastest import Speed, agree, fastest
from vedette.export.kept import Weights
from vedette.structures import Detections

FILE = "vedette/backends"


def found(x: float = 0.0, score: float = 0.9, label: int = 1) -> Detections:
    """One box of 10 pixels at x."""
    box = torch.tensor([[x, 0.0, x + 10, 10.0]])
    return Detections(box, torch.tensor([score]), torch.tensor([label]), torch.tensor([0]))


class Clock:
    """Goes on when a detector works."""

    now = 0.0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Seconds that each backend takes for a picture and to start, what it finds, and which were opened."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    took = {"eager": (0.132, 0.1), "openvino": (0.018, 0.5), "onnx": (0.082, 0.3), "compile": (0.010, 30.0)}
    own = SimpleNamespace(took=took, found={}, models={}, opened=[], fails={}, clock=Clock())

    def open_choice(path: Path, choice: Choice, **_: Any) -> Any:
        own.opened.append(choice.backend)
        if choice.backend in own.fails:
            raise own.fails[choice.backend]
        picture, start = own.took[choice.backend]
        own.clock.now += start

        def detect(pictures: Any, *_: Any, **__: Any) -> Any:
            own.clock.now += picture
            return [own.found.get(choice.backend, found())]

        return SimpleNamespace(detect=detect, model=own.models.get(choice.backend))

    monkeypatch.setattr(home, "open_choice", open_choice)
    monkeypatch.setattr(home, "kept_export", lambda *_: None)
    monkeypatch.setattr(home, "natural", lambda backend: "bf16" if backend in ("compile", "openvino") else "fp32")
    monkeypatch.setattr(home, "perf_counter", lambda: own.clock.now)
    return own


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"weights")
    return Weights(file)


def test_the_fastest_with_its_start_spread_over_a_thousand_pictures(
    machine: SimpleNamespace, weights: Weights, tmp_path: Path
) -> None:
    """compile: 10 + 30,010 / 1000 = 40 ms; openvino: 18 + 518 / 1000 = 18.5."""
    said: list[str] = []
    assert fastest(weights, None, said.append) == Choice("openvino", "bf16")
    (file,) = (tmp_path / FILE).iterdir()
    assert said[-1] == (
        "backend auto: openvino in bf16 18 ms a picture here; compile in bf16 10, onnx in fp32 82, eager in fp32 132; "
        f"remembered in {file}"
    )
    assert "measuring onnx in fp32" in said


def test_it_is_measured_once(machine: SimpleNamespace, weights: Weights) -> None:
    first = fastest(weights, None, lambda line: None)
    opened = list(machine.opened)
    assert fastest(weights, None, lambda line: None) == first
    assert machine.opened == opened
    fastest(weights, "fp32", lambda line: None)  # another precision is another question
    assert len(machine.opened) == 2 * len(opened)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"milliseconds": {"other in fp32": {"picture": 1, "start": 1}}}'])
def test_a_damaged_memory_is_measured_again(
    machine: SimpleNamespace, weights: Weights, tmp_path: Path, damage: str
) -> None:
    fastest(weights, None, lambda line: None)
    (file,) = (tmp_path / FILE).iterdir()
    file.write_text(damage)
    opened = len(machine.opened)
    assert fastest(weights, None, lambda line: None).backend == "openvino"
    assert len(machine.opened) == 2 * opened
    assert json.loads(file.read_text())["weights"] == "mine.safetensors"


def test_what_fails_and_what_finds_something_else_is_left_out(
    machine: SimpleNamespace, weights: Weights, tmp_path: Path
) -> None:
    machine.fails["compile"] = RuntimeError("no compiler\nat all")
    machine.found["openvino"] = found(label=2)
    said: list[str] = []
    assert fastest(weights, None, said.append) == Choice("onnx", "fp32")
    assert "compile in bf16 is left out: no compiler" in said
    assert "openvino in bf16 is left out: it finds other objects on the bundled photographs than eager" in said
    (file,) = (tmp_path / FILE).iterdir()
    assert set(json.loads(file.read_text())["left_out"]) == {"compile", "openvino"}


def test_onnx_is_left_out_where_bf16_is_asked_for(machine: SimpleNamespace, weights: Weights) -> None:
    said: list[str] = []
    fastest(weights, "bf16", said.append)
    assert "onnx in bf16 is left out: ONNX Runtime computes in float32 on a CPU" in said
    assert "onnx" not in machine.opened


def test_what_runs_as_it_is_is_no_other_backend(machine: SimpleNamespace, weights: Weights) -> None:
    machine.models["compile"], machine.took["compile"] = "a network", (0.001, 0.1)
    said: list[str] = []
    assert fastest(weights, None, said.append).backend == "openvino"
    assert "compile in bf16 is left out: it is not run by that, but as it is" in said


def test_a_detector_that_does_not_work_at_all_is_a_fault(machine: SimpleNamespace, weights: Weights) -> None:
    machine.fails["eager"] = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        fastest(weights, None, lambda line: None)


def test_a_start_counts_by_a_thousandth() -> None:
    assert Speed(picture=10.0, start=30_000.0).spread == 40.0


def test_to_agree_is_to_have_the_same_boxes_nearby() -> None:
    assert agree([found()], [found(x=1.0, score=0.6)])  # IoU 9 / 11
    assert not agree([found()], [found(x=1.2)])  # 8.8 / 11.2
    assert not agree([found()], [found(label=0)])
    weak = found(score=0.45)
    assert agree([weak], [found()[:0]])  # nobody is sure of it
    assert agree([found(score=0.5)], [weak])
    assert not agree([found()[:0]], [found()])
    assert not agree([found()], [found()[:0]])


def test_what_is_chosen_is_exported_before_it_starts(
    machine: SimpleNamespace, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several processes start with it, and its export may have been removed since it was measured."""
    fastest(weights, None, lambda line: None)
    asked: list[Any] = []
    monkeypatch.setattr(home, "kept_export", lambda weights, to, tell: asked.append(to))
    assert fastest(weights, None, lambda line: None).backend == "openvino"
    assert asked == ["openvino"]


def test_where_nothing_can_be_remembered_nothing_is_measured(
    machine: SimpleNamespace, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(weights.path))  # a file
    with pytest.raises(InputError, match="set XDG_CACHE_HOME to another folder"):
        fastest(weights, None, lambda line: None)
    assert machine.opened == []
