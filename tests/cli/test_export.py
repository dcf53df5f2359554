"""vedette export: what is refused before the work."""

from pathlib import Path

import pytest

from vedette.cli.main import run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["export", *arguments]) == 2
    return capsys.readouterr().err


def test_bad_input_gets_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "model.onnx")
    given = ("refinedet320-lite0", "--to", "onnx", "--out")
    assert "give it the suffix .onnx" in refused(capsys, *given, str(tmp_path / "model.xml"))
    assert "neither a weight file nor" in refused(capsys, "nothing", "--to", "onnx", "--out", out)
    assert "no such file" in refused(capsys, *given, out, "--check", str(tmp_path / "none.jpg"))
    assert not list(tmp_path.iterdir())


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "--help"]) == 0
    assert "Example: vedette export refinedet320-lite0 --to onnx" in capsys.readouterr().out
