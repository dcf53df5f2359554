"""vedette explain --training: a batch of a training on stdout, on a page and as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from glass.painted import six_pictures
from papers import tiny
from vedette.cli import explain
from vedette.errors import InputError
from vedette.glass import batch


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """(arguments) → the command's result on six pictures, with a tiny RefineDet."""
    pytest.importorskip("accelerate")
    six_pictures(tmp_path)
    monkeypatch.setattr(batch, "model_of", lambda *_: tiny.refinedet())
    app = typer.Typer()
    app.command()(explain.explain)
    return lambda *arguments: CliRunner().invoke(app, ["--data", str(tmp_path), *map(str, arguments)])


def test_tables_a_page_and_numbers(run: Any, tmp_path: Path) -> None:
    out, numbers = tmp_path / "out", tmp_path / "out.json"
    given = ("--training", "refinedet320-vgg16", "--out", out, "--json", numbers, "--batch-size", 4, "--seed", 1)
    result = run(*given, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "4 images, loss" in result.output
    assert all(word in result.output for word in ("odm_class", "tcbs", "by threshold"))
    assert (out / "batch.html").is_file()
    content = json.loads(numbers.read_text())
    assert content["images"] == 4
    assert content["loss"] == pytest.approx(sum(content["losses"].values()))
    assert [head["name"] for head in content["heads"]] == ["arm", "odm"]


def test_what_will_not_do_is_refused(run: Any, tmp_path: Path) -> None:
    (tmp_path / "batch.html").write_text("mine")
    cases = {
        ("--out", tmp_path / "a"): "say what to explain",
        ("--training", "refinedet320-vgg16", "--lost", "--out", tmp_path / "a"): "say what to explain",
        ("--training", "none", "--out", tmp_path / "a"): "none",
        ("--training", "refinedet320-vgg16", "--out", tmp_path): "is no page of a report",
        ("--training", "refinedet320-vgg16", "--out", tmp_path / "a", "--device", "moon"): "moon",
    }
    for arguments, message in cases.items():
        result = run(*arguments)
        assert isinstance(result.exception, InputError), (arguments, result.output)
        assert message in str(result.exception)
    assert not (tmp_path / "a").exists()
