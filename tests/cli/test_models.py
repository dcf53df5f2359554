import json

import pytest

from vedette import zoo
from vedette.cli.main import run

ROWS = [
    {
        "name": "one",
        "paper": "RefineDet, Zhang et al., CVPR 2018",
        "input": 320,
        "parameters": 34_560_000,
        "weights": "bundled",
        "results": {"mAP": 0.612, "data": "voc/val", "per_class": {"cat": 0.8}},
    },
    {"name": "two", "paper": "p", "input": 512, "parameters": 1, "weights": None, "results": None},
]


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo, "models", lambda: ROWS)
    monkeypatch.setenv("COLUMNS", "200")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ROWS


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for part in ("one", "CVPR 2018", "320", "34.6 M", "bundled", "mAP 0.612, data voc/val"):
        assert part in lines[1]
    assert "cat" not in lines[1]
    assert lines[2].split() == ["two", "p", "512", "0.0", "M", "-", "-"]
