"""The rate finder: what follows from losses by hand, and a real one from a folder of pictures."""

import json
from math import log10
from pathlib import Path

import pytest

from cli.test_torchrun import write_data
from vedette.cli.main import run
from vedette.errors import InputError
from vedette.train.find_rate import FEWEST, FILES, answer_of, smooth

SMALL = ["--set", "image_size=64", "--set", "tcb_channels=8", "--set", "extra_channels=[8,16]"]


def words(data: Path, out: Path, *more: str) -> list[str]:
    return ["train", "refinedet320-timm/resnet10t", "--data", str(data), "--out", str(out), "--backbone", "random",
            "--batch-size", "4", "--workers", "0", "--device", "cpu", *SMALL, *more]  # fmt: skip


def test_the_average_by_hand() -> None:
    assert smooth([4.0, 4.0, 4.0]) == pytest.approx([4.0, 4.0, 4.0])
    assert smooth([1.0, 2.0]) == pytest.approx([1.0, (0.09 + 0.2) / 0.19])


def test_where_the_loss_falls_fastest_is_taken_and_not_where_it_is_lowest() -> None:
    rates = [10 ** (-6 + step / 10) for step in range(61)]
    losses = [5.0 if rate < 1e-4 else 1.0 if rate < 1e-1 else 100.0 for rate in rates]  # a cliff at 1e-4
    answer = answer_of(rates, losses)
    assert log10(answer.suggested) == pytest.approx(-4, abs=0.25)
    assert log10(answer.lowest) == pytest.approx(-1, abs=0.25)
    assert answer.suggested < answer.lowest


def test_too_few_losses_say_nothing() -> None:
    with pytest.raises(InputError, match="not finite after 3 steps"):
        answer_of([1e-6, 1e-5, 1e-4], [1.0, 1.0, 1.0])


def test_a_loss_that_does_not_fall_says_nothing() -> None:
    rates = [10 ** (-6 + step / 10) for step in range(61)]
    for losses in ([5.0 + 0.1 * (step % 3) for step in range(61)], [5.0 + step for step in range(61)]):
        with pytest.raises(InputError, match="falls at no rate by more than chance"):
            answer_of(rates, losses)


@pytest.mark.slow
def test_tries_rates_and_leaves_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(tmp_path / "data", 8)
    out = tmp_path / "run"
    assert run(words(tmp_path / "data", out, "--find-lr")) == 0
    assert {path.name for path in out.iterdir()} == set(FILES)
    found = json.loads((out / FILES[0]).read_text())
    assert len(found["rates"]) == len(found["losses"]) >= FEWEST
    assert found["rates"][0] == pytest.approx(1e-6)
    assert 1e-6 <= found["suggested"] < found["lowest"] <= 1
    assert f"--lr {found['suggested']:.2g}: " in capsys.readouterr().out
    picture = (out / FILES[1]).read_text()
    assert picture.startswith("<svg")
    assert f"falls fastest: {found['suggested']:.2g}" in picture
    assert run(words(tmp_path / "data", out, "--epochs", "1")) == 0  # the folder is still free for the run


def test_only_a_new_run_of_one_process_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path / "data", 8)
    monkeypatch.setattr("vedette.train.processes.number_of_processes", lambda: 2)
    assert run(words(tmp_path / "data", tmp_path / "run", "--find-lr")) == 2
    assert "--find-lr tries a new run in one process" in capsys.readouterr().err
