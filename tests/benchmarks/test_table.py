"""The table of benchmarks: what it makes of times, and that the one command runs, goes on and writes its page."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from contenders import ROWS, ways, weights
from plain_port import detect
from processes import PHOTO
from table import compared, timed
from table_page import of_rounds, ratio, spread, table
from timing import in_turns

ROOT = Path(__file__).parents[2]
LITE = next(row for row in ROWS if row.key == "refinedet320")


def test_numbers_of_rounds() -> None:
    assert spread([10.0, 20.0, 30.0, 40.0, 50.0]) == "30.0 (20.0 to 40.0)"
    assert spread([1600.0], per=16) == "100 (100 to 100)"
    assert of_rounds([10.0, 30.0, 20.0], [5.0, 10.0, 5.0]) == "3.00 (2.50 to 3.50)"


def test_calls_of_a_turn_that_do_not_count() -> None:
    heard: list[str] = []
    times = in_turns({name: partial(heard.append, name) for name in "ab"}, 2, 1, untimed=1)
    assert "".join(heard) == "aabb" * 3
    assert [len(each) for each in times.values()] == [2, 2]


def test_a_ratio_is_to_torchvision_where_it_is_there_else_to_ours() -> None:
    times = {"ours, fp32": [10.0], "ours, bf16": [5.0], "torchvision, fp32": [20.0]}
    assert [ratio(times, way)[:4] for way in times] == ["2.00", "4.00", "1"]
    del times["torchvision, fp32"]
    assert [ratio(times, way)[:4] for way in times] == ["1", "2.00"]


def test_a_table_in_markdown() -> None:
    assert table(("a", "b"), [("1", "2")]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]


def test_rounds_fill_the_budget_and_no_less_than_the_least() -> None:
    calls: dict[str, Any] = {"a": lambda: None, "b": lambda: None}
    assert {len(times) for times in timed(calls, 1e9, 2).values()} == {15}
    assert {len(times) for times in timed(calls, 0.0, 2).values()} == {2}


def test_detections_are_compared_by_class_box_and_score() -> None:
    """The second lies where its twin is of another class, the third is a pixel of twenty off."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 60, 10]])
    a = {"boxes": boxes, "scores": torch.tensor([0.9, 0.8, 0.7]), "labels": torch.tensor([0, 1, 2])}
    moved = boxes + torch.tensor([[0.0], [0.0], [1.0]]) * torch.tensor([1.0, 0, 1, 0])
    b = {"boxes": moved, "scores": torch.tensor([0.85, 0.8, 0.7]), "labels": torch.tensor([0, 2, 2])}
    assert compared(a, a) == {"of": 3, "found": 3, "score": 0.0}
    assert compared(a, b) == {"of": 3, "found": 1, "score": pytest.approx(0.05)}
    none = {name: values[:0] for name, values in a.items()}
    assert compared(none, a) == {"of": 0, "found": 0, "score": 0.0}
    assert compared(a, none)["found"] == 0


def test_the_plain_port_finds_what_we_find(tmp_path: Path) -> None:
    """From 0.1 on, where it has no other candidates: the port has other loops, no other arithmetic."""
    made = {name: make() for name, make in ways(replace(LITE, floor=0.1), tmp_path).items()}
    assert list(made) == ["ours, fp32", "ours, bf16", "plain port, fp32"]
    ours, plain = (made[name].detect([PHOTO])[0] for name in ("ours, fp32", "plain port, fp32"))
    same = compared(ours, plain)
    assert same["found"] == same["of"] == len(plain["boxes"]) > 0
    assert same["score"] < 1e-4
    assert weights(LITE, tmp_path).exists()


def test_the_plain_port_suppresses_by_hand(tmp_path: Path) -> None:
    """Of 100 and 110 pixels that overlap in 100 the better stays; another class is another matter."""

    class Fixed(torch.nn.Module):
        input_spec = type("Spec", (), {"size": 100, "range": 1.0, "mean": (0,) * 3, "std": (1,) * 3, "channels": "rgb"})
        config = type("Config", (), {"nms_iou": 0.5})

        def forward(self, images: torch.Tensor) -> None:
            assert images.shape == (1, 3, 100, 100)

        def scores(self, predictions: None) -> torch.Tensor:
            return torch.tensor([[[0.9, 0.0], [0.8, 0.3], [0.005, 0.0]]])

        def boxes_at(self, predictions: None, rows: torch.Tensor) -> torch.Tensor:
            assert rows.tolist() == [[0, 1, 2]]
            return torch.tensor([[[-5.0, 0, 10, 10], [0, 0, 11, 10], [50, 50, 60, 60]]])

    found = detect(Fixed(), PHOTO, 0.01)
    assert found["labels"].tolist() == [0, 1]
    assert found["scores"].tolist() == pytest.approx([0.9, 0.3])
    assert torch.allclose(found["boxes"], torch.tensor([[0.0, 0, 10, 10], [0, 0, 11, 10]]) * 5.12)


@pytest.mark.slow
def test_the_command_writes_its_page_and_goes_on_where_it_was(tmp_path: Path) -> None:
    out, folder = tmp_path / "benchmarks.md", tmp_path / "made"
    words = ["--quick", "--rows", "refinedet320", "--folder", str(folder), "--out", str(out)]
    command = [sys.executable, str(ROOT / "benchmarks/table.py"), *words]
    subprocess.run(command, check=True, capture_output=True)
    text = out.read_text(encoding="utf-8")
    for part in (
        "## The machine",
        "## RefineDet320",
        "| ours, bf16 |",
        "| plain port, fp32 |",
        "## Behind the network",
    ):
        assert part in text
    lines = (folder / "record.jsonl").read_text().splitlines()
    (folder / "record.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert again.stderr.splitlines()[-2:] == ["refinedet320/memory …", f"{out} is written"]
    assert out.read_text(encoding="utf-8").splitlines()[:30] == text.splitlines()[:30]
    other = [*lines[:1], *lines[1:]]
    other[0] = json.dumps(json.loads(other[0]) | {"commit": "another"})
    (folder / "record.jsonl").write_text("\n".join(other) + "\n")
    refused = subprocess.run(command, check=False, capture_output=True, text=True, env=dict(os.environ))
    assert refused.returncode == 1
    assert "measured on another machine, commit or scale; give --again" in refused.stderr
