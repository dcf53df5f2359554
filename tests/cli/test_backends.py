"""--backend, --fp32: what is told and refused; --int8 with what belongs to it."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.upper_left import load
from infer.backends.shared import write_onnx
from vedette.cli.main import run
from vedette.export.backends import Choice

Captured = pytest.CaptureFixture[str]
MODEL = "refinedet320-lite0"


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("vedette.infer.load.load", load)
    Image.new("RGB", (200, 100)).save("a.png")
    return "a.png"


def refused(capsys: Captured, *arguments: str) -> str:
    assert run(list(arguments)) == 2
    written = capsys.readouterr().err.splitlines()
    assert len(written) == 1
    return written[0]


def test_eager_is_what_runs_without_a_backend(photo: str, capsys: Captured) -> None:
    assert run(["detect", photo, "--backend", "eager"]) == 0
    assert capsys.readouterr().out.startswith("a.png: dog 0.90, cat 0.60\n")
    assert not Path("cache").exists()


def test_auto_says_what_it_chose_and_where_that_is_remembered(
    photo: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vedette.export.fastest.CANDIDATES", ("eager",))
    assert run(["detect", photo, "--backend", "auto", "--device", "cpu"]) == 0
    measuring, chosen = capsys.readouterr().err.splitlines()
    assert measuring == "note: measuring eager in fp32"
    assert chosen.startswith("note: backend auto: eager in fp32 ")
    (file,) = Path("cache/vedette/backends").iterdir()
    assert chosen.endswith(f" ms a picture here; remembered in {file.absolute()}")
    assert run(["detect", photo, "--backend", "auto", "--device", "cpu", "--out", "again"]) == 0
    assert capsys.readouterr().err.splitlines() == [chosen]


def test_what_does_not_go_together_gets_one_line(photo: str, capsys: Captured) -> None:
    given = ("detect", photo)
    assert "without --backend everything is in float32" in refused(capsys, *given, "--fp32")
    assert "--bf16 and --fp32: give one of them" in refused(capsys, *given, "--backend", "auto", "--bf16", "--fp32")
    assert "--graphs: replays PyTorch's own kernels" in refused(capsys, *given, "--backend", "eager", "--graphs")
    assert "Invalid value for '--backend'" in refused(capsys, *given, "--backend", "tensorrt")
    assert "computes in float32 on a CPU" in refused(capsys, *given, "--backend", "onnx", "--bf16")
    assert "onnx: runs on the CPU" in refused(capsys, *given, "--backend", "onnx", "--device", "cuda")


def test_evaluate_too(photo: str, capsys: Captured) -> None:
    given = ("evaluate", MODEL, "--data", "none", "--backend", "onnx")
    assert "computes in float32 on a CPU" in refused(capsys, *given, "--bf16")


def test_another_backend_does_not_go_on_with_a_run(photo: str, capsys: Captured) -> None:
    assert run(["detect", photo, "--out", "out"]) == 0
    capsys.readouterr()
    assert "backend" in refused(capsys, "detect", photo, "--out", "out", "--resume", "--backend", "eager")


def test_what_is_served_is_settled_once(photo: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi")
    from vedette.serve import run as serving

    plans: list[Any] = []
    monkeypatch.setattr("vedette.serve.run.serve", lambda plan, *_: plans.append(plan))
    assert run(["serve", MODEL, "--port", "0"]) == 0
    assert run(["serve", MODEL, "--port", "0", "--backend", "eager", "--bf16"]) == 0
    assert [plan.choices for plan in plans] == [{}, {MODEL: Choice("eager", "bf16")}]
    opened: list[Any] = []
    monkeypatch.setattr(serving, "open_choice", lambda path, choice, **_: opened.append((path.stem, choice)))
    plans[1].detectors()
    assert opened == [(MODEL, Choice("eager", "bf16"))]


def test_int8_without_what_belongs_to_it(photo: str, capsys: Captured) -> None:
    given = ("export", MODEL, "--to", "onnx", "--out", "model.onnx")
    assert "give a folder of them with --calibrate" in refused(capsys, *given, "--int8")
    assert "--calibrate: is for --int8" in refused(capsys, *given, "--calibrate", ".")
    assert "--max-drop: is for --int8" in refused(capsys, *given, "--max-drop", "0.01")
    whole = (*given, "--int8", "--calibrate", ".")
    assert "give them with --data" in refused(capsys, *whole, "--max-drop", "0.01")
    assert "not with --raw" in refused(capsys, *whole, "--raw")
    pt2 = ("export", MODEL, "--to", "pt2", "--out", "model.pt2", "--int8", "--calibrate", ".")
    assert "--int8: not with --to pt2; choose --to onnx or openvino" in refused(capsys, *pt2)
    assert not Path("model.onnx").exists()


def test_int8_needs_pictures_that_can_be_read(photo: str, capsys: Captured) -> None:
    given = ["export", MODEL, "--to", "onnx", "--out", "model.onnx", "--int8", "--calibrate"]
    Path("empty").mkdir()
    line = "error: --calibrate: empty: no images in this folder (it is empty)"
    assert refused(capsys, *given, "empty") == line
    Path("bad").mkdir()
    Path("bad/a.jpg").write_bytes(b"no picture")
    assert run([*given, "bad"]) == 2
    assert "error: --calibrate: none of 1 pictures can be read" in capsys.readouterr().err


def test_an_exported_file_is_its_own_backend(photo: str, capsys: Captured) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    file = str(write_onnx(Path("model.onnx")))
    assert run(["detect", photo, "--model", file, "--backend", "auto"]) == 0
    assert "dog 0.90" in capsys.readouterr().out
    assert "leave backend out" in refused(
        capsys, "detect", photo, "--model", file, "--backend", "openvino", "--out", "b"
    )
