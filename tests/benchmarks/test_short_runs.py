"""A short run that was stopped is gone on with, as the benchmark promises."""

from argparse import Namespace
from pathlib import Path

import pytest

import short_runs
from cli.test_train import write_data

MODEL = "refinedet320-timm/lcnet_050"


def test_a_run_that_was_stopped_after_its_training_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(write_data(tmp_path / "data", count=8))
    asked = Namespace(data=data, val=data, out=tmp_path / "rows.jsonl", measured=4, device="cpu", recipe=None)
    asked.first_steps = True
    with monkeypatch.context() as stopped:
        stopped.setattr(short_runs.shutil, "rmtree", lambda folder, ignore_errors=False: None)
        first = short_runs.of_one(MODEL, asked, 8, 1)
    second = short_runs.of_one(MODEL, asked, 8, 1)
    assert (first["resumed"], second["resumed"]) == (False, True)
    assert second["finite"]
    assert second["log"] == first["log"]
    assert not list((tmp_path / "rows-runs").iterdir())
