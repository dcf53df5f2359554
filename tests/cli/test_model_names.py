"""What pages call detectors."""

from pathlib import Path

import pytest

from vedette.cli.model_names import called


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two trainings, and a file in each that is called alike."""
    for name in ("a/best", "b/best", "b/last", "a/mine", "b/mine"):
        file = tmp_path / "runs" / f"{name}.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def test_a_training_s_weights_are_called_by_its_folder(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(["runs/a/best.safetensors"]) == ["a/best"]
    assert called([str(runs / "b" / "last.safetensors"), "runs/b/best.safetensors"]) == ["b/last", "b/best"]
    monkeypatch.chdir(runs / "b")
    assert called(["best.safetensors"]) == ["b/best"]


def test_names_and_files_of_one_s_own_are_called_as_they_are(runs: Path) -> None:
    assert called(["refinedet320-lite0", "runs/a/mine.safetensors"]) == ["refinedet320-lite0", "mine"]
    assert called(["runs/a"]) == ["runs/a"]


def test_two_of_one_name_are_called_as_they_were_given(runs: Path) -> None:
    two = ["runs/a/mine.safetensors", "runs/b/mine.safetensors"]
    assert called(two) == two
