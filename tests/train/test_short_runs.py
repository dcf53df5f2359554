"""A quick trial does not explode: a part of the grid of benchmarks/short_runs.py, small enough for every day."""

import json
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

import pytest
import torch

from cli.test_train import write_data
from vedette.train.around import Around
from vedette.train.plan import Wanted, plan
from vedette.train.run import start
from vedette.weights.files import read_weights

SMALL = {"image_size": 128, "max_side": 160}


@pytest.mark.parametrize(
    ("name", "kind", "optimizer", "rate"),
    [
        ("faster-rcnn-lite0-fpn", "scaled", "sgd", 0.02 * (4 / 16) * sqrt(2 / 500)),  # Detectron's, for 500 steps of 16
        ("retinanet-lite0-fpn", None, "adamw", 1e-3 * sqrt(4 / 32)),
    ],
)
def test_two_steps_at_the_rate_that_a_name_takes_by_itself(
    tmp_path: Path, name: str, kind: Any, optimizer: str, rate: float
) -> None:
    data, told = write_data(tmp_path / "data", count=8), list[str]()
    around = Around(folder=tmp_path / "run", device="cpu", say=told.append)
    recipe = {"epochs": 1, "workers": 0, "precision": "fp32"}
    wanted = Wanted(model=name, data=[str(data)], kind=kind, backbone="random", recipe=recipe, config=SMALL)
    run, dataset = plan(wanted, around)
    assert (run.recipe.optimizer, run.recipe.batch_size) == (optimizer, 4)  # two steps, though the recipe has 16 or 32
    assert run.recipe.lr == pytest.approx(rate)
    assert (run.recipe.warmup, run.recipe.clip_norm) == (0.5, 10.0)
    best = start(run, around, dataset)
    (epoch,) = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = {key: value for key, value in epoch.items() if key.endswith(("class", "box"))}
    assert len(losses) in (2, 4)
    assert all(isfinite(value) and 0 <= value < 20 for value in losses.values()), losses
    assert 0 < epoch["lr"] <= rate
    assert all(bool(torch.isfinite(tensor).all()) for tensor in read_weights(best).tensors.values())
    assert not any("rose" in line for line in told)
