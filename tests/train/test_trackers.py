"""Curves go to the trackers that were asked for, and to no other."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from accelerate import tracking

from train.test_loop import RECIPE, training
from vedette.cli.main import run
from vedette.errors import InputError
from vedette.train.trackers import check_trackers


class Kept(tracking.GeneralTracker):  # type: ignore[misc]
    """A service that is a list."""

    name, requires_logging_directory, main_process_only = "trackio", False, False
    heard: ClassVar[list[Any]] = []

    def __init__(self, run_name: str, **settings: Any) -> None:
        super().__init__()
        self.heard.append(("begun", run_name, settings))

    @property
    def tracker(self) -> None:
        return None

    def start(self) -> None:
        pass

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.heard.append(("settings", values))

    def log(self, values: dict[str, float], step: int | None, **_: Any) -> None:
        self.heard.append(("values", values, step))

    def finish(self) -> None:
        self.heard.append("finished")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(Kept, "heard", [])
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "trackio", Kept)
    monkeypatch.setattr(tracking, "_available_trackers", [*tracking._available_trackers, tracking.LoggerType.TRACKIO])
    return Kept.heard


def test_a_tracker_hears_the_recipe_and_every_curve(tmp_path: Path, kept: list[Any]) -> None:
    run = training(tmp_path / "mine", trackers=("trackio",))
    run.run()
    assert kept[0] == ("begun", "vedette", {"name": "mine"})
    assert kept[1][1]["epochs"] == RECIPE.epochs
    assert all(isinstance(value, int | float | str) for value in kept[1][1].values())
    epochs = [values for kind, values, _ in kept[2:-1] if kind == "values" and "epoch/epoch" in values]
    assert [values["epoch/epoch"] for values in epochs] == list(range(1, RECIPE.epochs + 1))
    assert kept[-1] == "finished"


@pytest.mark.parametrize("when", ["log", "finish"])
def test_a_service_that_fails_costs_no_training(
    tmp_path: Path, kept: list[Any], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise ConnectionError("the service is gone")

    monkeypatch.setattr(Kept, when, fails)
    run = training(tmp_path / "mine", trackers=("trackio",))
    run.run()
    assert run.epoch == RECIPE.epochs
    assert sum("--tracker: the service is gone" in line for line in run.lines) == 1  # type: ignore[attr-defined]


def test_a_service_that_does_not_begin_is_one_line(
    tmp_path: Path, kept: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise PermissionError("log in\nfirst")

    monkeypatch.setattr(Kept, "start", fails)
    with pytest.raises(InputError, match=r"^--tracker trackio: does not begin \(log in first\)$"):
        training(tmp_path / "mine", trackers=("trackio",)).run()


def test_nothing_is_sent_unasked(tmp_path: Path, kept: list[Any]) -> None:
    training(tmp_path / "mine").run()
    assert kept == []


def test_a_tracker_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vedette.train.trackers.find_spec", lambda name: None)
    with pytest.raises(InputError, match="--tracker mlflow: is not installed: pip install mlflow"):
        check_trackers(["mlflow"])
    with pytest.raises(InputError, match="--tracker wand: give one of wandb, mlflow, trackio"):
        check_trackers(["wand"])
    (tmp_path / "train.json").write_text('{"images": [], "annotations": [], "categories": []}')
    words = ["train", "refinedet320-lite0", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    words += ["--tracker", "wandb"]
    assert run(words) == 2
    assert capsys.readouterr().err == "error: --tracker wandb: is not installed: pip install wandb\n"
    assert not (tmp_path / "run").exists()
