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


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ROWS


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "one     320      34.6 M  RefineDet, Zhang et al., CVPR 2018"
    assert lines[2] == "    weights: bundled; mAP 0.612, data voc/val"
    assert lines[3].split() == ["two", "512", "0.0", "M", "p"]
    assert len(lines) == 4
