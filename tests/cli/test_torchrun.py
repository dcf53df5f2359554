"""vedette train under torchrun: two processes, one run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from vedette.train.checkpoint import read_state

pytestmark = pytest.mark.slow  # a process and its torch for each of them

SCRIPT = """
import os, sys
import torch
from vedette.cli.main import run
from vedette.train.loop import Training

train, weights = Training.run, []

def remember(training):
    train(training)
    flat = torch.cat([p.detach().flatten() for p in training.model.parameters()])
    weights.append((training.accelerator.num_processes, flat))

Training.run = remember
sys.argv = ["vedette"]
for more in (["--epochs", "1"], ["--epochs", "2", "--resume"]):
    if run(ARGUMENTS + more):
        sys.exit(1)
torch.save(weights, f"{OUT}.weights{os.environ['RANK']}.pt")
"""


def write_data(folder: Path, images: int) -> None:
    """Squares on a ground, one class; a split to train and nothing to measure."""
    (folder / "images").mkdir(parents=True)
    names = [f"{number}.jpg" for number in range(images)]
    for number, name in enumerate(names):
        picture = Image.new("RGB", (64, 64), (20, 90, 20))
        picture.paste((200, 30, 40), (8 + number, 8, 40 + number, 40))
        picture.save(folder / "images" / name)
    content = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1, "bbox": [8 + number, 8, 32, 32]}
            for number in range(images)
        ],
        "categories": [{"id": 1, "name": "square"}],
    }
    (folder / "train.json").write_text(json.dumps(content))


BROKEN = """
import os, sys
import torch
from vedette.cli.main import run
from vedette.papers.refinedet import RefineDet
from vedette.train import loop

loop.PATIENCE["cpu"] = 4
rank, learn, training, calls = os.environ["RANK"], RefineDet.loss, loop.Training.run, []

def loss(model, predictions, targets):
    calls.append(targets)
    broken = torch.nan if rank == "1" and len(calls) == 3 else 1.0
    return {name: value * broken for name, value in learn(model, predictions, targets).items()}

def remember(self):
    try:
        training(self)
    finally:
        flat = torch.cat([p.detach().flatten() for p in self.model.parameters()])
        torch.save((flat, self.steps, len(calls)), f"{OUT}.end{rank}.pt")

RefineDet.loss, loop.Training.run = loss, remember
sys.exit(run(ARGUMENTS + ["--epochs", "1"]))
"""


def launched(script: Path, arguments: list[str], out: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Two processes of a script."""
    script.write_text(f"ARGUMENTS = {arguments!r}\nOUT = {str(out)!r}\n{text}")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run([*launch, str(script)], capture_output=True, text=True, check=False)


def command(data: Path, out: Path) -> list[str]:
    """A short training."""
    arguments = ["train", "refinedet320-timm/resnet10t", "--data", str(data), "--out", str(out)]
    arguments += ["--set", "image_size=64", "--set", "tcb_channels=8", "--set", "extra_channels=[8, 16]"]
    return [*arguments, "--backbone", "random", "--batch-size", "2", "--workers", "0", "--device", "cpu"]


def test_a_loss_of_one_process_stops_both_at_one_step(tmp_path: Path) -> None:
    write_data(tmp_path / "data", 28)
    out = tmp_path / "run"
    done = launched(tmp_path / "script.py", command(tmp_path / "data", out), out, BROKEN)
    assert done.returncode != 0
    errors = sorted(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert errors[0].startswith("error: the loss is not finite (arm_class = nan, ")
    assert errors[1].startswith("error: the loss is not finite in another process: ")
    assert len(errors) == 2
    (first, *counts), (second, *others) = (torch.load(f"{out}.end{rank}.pt") for rank in range(2))
    assert counts == others == [2, 6]  # two steps stand, and of the third both hear after the sixth
    assert torch.equal(first, second)
    assert first.isfinite().all()


def test_two_processes_train_one_model_and_resume(tmp_path: Path) -> None:
    write_data(tmp_path / "data", 8)
    out = tmp_path / "run"
    done = launched(tmp_path / "script.py", command(tmp_path / "data", out), out, SCRIPT)
    assert done.returncode == 0, done.stdout + done.stderr

    first, second = (torch.load(f"{out}.weights{rank}.pt") for rank in range(2))
    assert [processes for processes, _ in first] == [2, 2]
    for (_, mine), (_, others) in zip(first, second, strict=True):
        assert torch.equal(mine, others)  # the gradients were shared
    assert not torch.equal(first[0][1], first[1][1])

    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert read_state(out / "last.pt")["steps"] == 4  # 8 images, two processes of two an epoch
    assert len(list((out / "tensorboard").iterdir())) == 2  # one of the run, one of its second part
    printed = done.stdout.splitlines()
    assert sum("8 images of 1 class," in line for line in printed) == 2  # once a part, not once a process
    ends = [line for line in printed if line.startswith("epoch")]
    assert [line.split("images/s")[1].split()[0] for line in ends] == ["0:00", "0:00"]  # every process's images count
