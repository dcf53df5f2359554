"""vedette serve's words; the service itself is in tests/serve."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vedette.cli import serve
from vedette.cli.main import run

Captured = pytest.CaptureFixture[str]
MODEL = "refinedet320-lite0"


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been served."""
    pytest.importorskip("fastapi")
    monkeypatch.setenv("VEDETTE_API_KEY", "")  # so that it is put back
    monkeypatch.delenv("VEDETTE_API_KEY")
    given: list[Any] = []

    def note(plan: Any, listening: Any, loaded: Any) -> None:
        given.append(plan)
        loaded(dict.fromkeys(plan.models, SimpleNamespace(thresholds=None)))

    monkeypatch.setattr("vedette.serve.run.serve", note)
    return given


def test_models_by_name_path_and_a_name_of_their_own(plans: list[Any], tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "mine.safetensors"
    file.touch()
    assert run(["serve", MODEL, str(file), f"other={file}", "--port", "0", "--batch-size", "16", "--wait", "5"]) == 0
    (plan,) = plans
    assert list(plan.models) == [MODEL, "mine", "other"]
    assert plan.models["other"] == str(file)
    assert (plan.limits.batch, plan.limits.queue, plan.limits.wait, plan.limits.body) == (16, 20, 0.005, 20 << 20)
    assert capsys.readouterr().out.startswith(f"{MODEL}, mine, other: http://127.0.0.1:")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nothing"], "nothing: neither a weight file nor a model's name"),
        ([MODEL, MODEL], f"{MODEL}: two models of this name; write NAME=FILE for one of them"),
        ([f"a/b={MODEL}"], f"a/b={MODEL}: give NAME=FILE, the name without a slash"),
        ([MODEL, "--port", "70000"], "Invalid value for '--port'"),
        ([MODEL, "--host", "no.such.host.invalid"], "no.such.host.invalid: no address of this machine"),
        ([MODEL, "--api-key-file", "none"], "none: cannot be read (No such file or directory)"),
    ],
)
def test_bad_input_is_one_line(plans: list[Any], capsys: Captured, arguments: list[str], why: str) -> None:
    assert run(["serve", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {why}")
    assert not plans


def test_a_key_from_a_file_or_the_environment(plans: list[Any], tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "key"
    file.write_text("secret\n")
    assert run(["serve", MODEL, "--port", "0", "--api-key-file", str(file)]) == 0
    assert os.environ["VEDETTE_API_KEY"] == "secret"
    file.write_text("\n")
    assert run(["serve", MODEL, "--port", "0", "--api-key-file", str(file)]) == 2
    os.environ["VEDETTE_API_KEY"] = " "
    assert run(["serve", MODEL, "--port", "0"]) == 2
    assert "VEDETTE_API_KEY: holds no key" in capsys.readouterr().err


def test_a_package_that_is_missing_is_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert run(["serve", MODEL]) == 2
    assert capsys.readouterr().err == 'error: serving needs fastapi: pip install "vedette[serve]"\n'
