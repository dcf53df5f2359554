"""A loss that is not finite, heard of late: weights and all that belongs to them are as the step before left them."""

from dataclasses import replace
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from guard import FakeGPU, watched
from train.painted import Painted, PaintedImages
from train.test_loop import RECIPE, SPEC, MeanColour
from vedette.structures import TargetBatch
from vedette.train.around import Around
from vedette.train.average import Average
from vedette.train.halt import Halt
from vedette.train.loop import NotFiniteError, Training
from vedette.train.losses import Given, Losses
from vedette.train.optim import build_optimizer
from vedette.train.recipe import Recipe

IMAGES = PaintedImages([Painted((40, 30), (4, 5, 20 + i % 9, 20), 0, (255, 60, i)) for i in range(60)])
BROKEN = 6  # the step whose loss is not a number
KINDS = ("model.head", "model.norm.running_mean", "average.module.head", "average.module.norm.running_var", "rate")
State = dict[str, Tensor]


class Breaks(MeanColour):
    """From its n-th loss on, one is NaN; the pictures of that batch spoil the statistics too."""

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: Any = None) -> Tensor:
        spoilt = self.training and self.calls + 1 == self.break_at
        return super().forward(images * torch.nan if spoilt else images)

    def loss(self, predictions: Tensor, targets: TargetBatch) -> dict[str, Tensor]:
        return {**super().loss(predictions, targets), "mean": predictions.mean()}


def state_of(run: Training) -> State:
    """Everything that learning changes."""
    found = {f"model.{name}": tensor for name, tensor in run.model.state_dict().items()}
    if run.average is not None:
        found |= {f"average.{name}": tensor for name, tensor in run.average.state_dict().items()}
    optimizer = run.optimizer.state_dict()
    for number, values in optimizer["state"].items():
        found |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in values.items()}
    for number, group in enumerate(optimizer["param_groups"]):
        found[f"rate.{number}"] = torch.tensor(group["lr"])
    return {name: tensor.detach().clone() for name, tensor in found.items()}


def a_run(folder: Path, recipe: Recipe, break_at: int) -> Training:
    torch.manual_seed(0)
    ways: dict[str, Any] = {"validate": None, "save_weights": lambda *_: None}
    return Training(Breaks(break_at), IMAGES, SPEC, recipe, Around(folder=folder, device="cpu"), **ways)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("patience", [1, 4])
@pytest.mark.parametrize("clip_norm", [0.0, 10.0])
def test_all_stays_as_the_step_before_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: Any, accumulate: int, patience: int, clip_norm: float
) -> None:
    monkeypatch.setattr("vedette.train.loop.PATIENCE", {"cpu": patience})
    recipe = replace(RECIPE, epochs=1, optimizer=optimizer, accumulate=accumulate, clip_norm=clip_norm)
    looks = 1 if accumulate == 1 else 2 * accumulate  # each batch of several is looked at before the first is learnt
    run = a_run(tmp_path, recipe, break_at=BROKEN * looks)
    train_step, files, states = run.train_step, [], []

    def watched(batches: Any) -> None:
        train_step(batches)
        files.extend(batch.files for batch in batches)
        states.append(state_of(run))

    monkeypatch.setattr(run, "train_step", watched)
    with pytest.raises(NotFiniteError) as told:
        run.run()
    broken = BROKEN * accumulate - 1
    assert f"(area = nan, mean = nan) on {', '.join(files[broken])}: " in str(told.value)
    assert not any(file in str(told.value) for batch in files[broken + 1 :] for file in batch)
    late = len(files) - 1 - broken
    assert late % accumulate == 0
    assert late < patience
    assert patience == 1 or late  # some steps were made in vain
    before, after = states[BROKEN - 2], state_of(run)
    assert before.keys() == after.keys()
    assert {name for name in before if not torch.equal(before[name], after[name])} == set()
    assert run.steps == BROKEN - 1
    assert all(
        any(not torch.equal(states[0][name], before[name]) for name in states[0] if kind in name) for kind in KINDS
    )


def test_losses_are_read_when_as_many_again_have_been_added() -> None:
    def given(number: int) -> Given:
        return Given(files=[str(number)], epoch=0.0, steps=number, rate=0.1)

    losses, read = Losses(patience=6), []
    for number in range(10):
        losses.add(given(number), {"a": torch.tensor(number / 2), "b": torch.tensor(-1.0)}, torch.tensor(number > 6.0))
        read.append([reading.batch.steps for reading in losses.read()])
    assert read == [[], [], [], [], [], [0, 1, 2], [], [], [3, 4, 5], []]
    rest = losses.rest()
    assert [(one.batch.steps, one.losses, one.stopped) for one in rest] == [
        (number, {"a": number / 2, "b": -1.0}, number > 6) for number in range(6, 10)
    ]
    assert losses.rest() == []


def test_a_run_learns_the_same_however_late_its_losses_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for patience in (1, 4):
        monkeypatch.setattr("vedette.train.loop.PATIENCE", {"cpu": patience})
        run = a_run(tmp_path / str(patience), replace(RECIPE, epochs=2), break_at=-1)
        run.run()
        ends.append(state_of(run))
        lines = (tmp_path / str(patience) / "log.jsonl").read_text().splitlines()
        assert len(lines) == 2
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())


def test_a_gpu_is_not_waited_for() -> None:
    """All of a step but the network, which tests/test_no_waiting.py watches; SGD's kernel knows no fake tensors."""
    pytest.importorskip("triton")
    gpu, whole = FakeGPU(), MeanColour()
    average, model, device = Average(whole, 0.9), gpu.model(whole), torch.device("cuda")
    gpu.model(average)
    with gpu.mode:
        halt, losses, learner = Halt([model, average], device, 20), Losses(20), build_optimizer(model, RECIPE)
        learner.found_inf = halt.stopped  # type: ignore[attr-defined]
        loss = torch.ones((), device=device)
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)

        def step() -> None:
            halt.keep(3)
            halt.look_at(loss)
            losses.add(Given(files=[], epoch=0.0, steps=3, rate=0.1), {"a": loss}, halt.stopped)
            assert losses.read() == []
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
            learner.step()
            average.update(model, 3, halt.stopped)
            halt.undo(3)

        _, launches = watched(step)
    assert launches < 100


@pytest.mark.parametrize(
    ("first", "before", "losses", "line"),
    [
        # what a rate that is too high does: finite, and out of all bounds; the pictures are fine
        (
            1.8,
            90.0,
            {"rpn": 2e15, "class": 1.5e25},
            "the training diverged in step 9: the loss rose from 1.8 to 1.5e+25: lower --lr (it was 0.017), or give a "
            "longer --warmup or a smaller --clip-norm",
        ),
        (1.8, 1e9, {"class": nan}, "the training diverged in step 9: the loss rose from 1.8 to 1e+09: lower --lr"),
        # what comes of itself, after losses as they are every day
        (
            1.8,
            0.9,
            {"class": nan},
            "the loss is not finite (class = nan) on a.jpg, b.jpg: check these images, or lower",
        ),
        (1.8, 0.9, {"class": 2.0}, "the gradient is not finite (class = 2) on a.jpg, b.jpg: check these images"),
        (None, 0.0, {"class": inf}, "the loss is not finite (class = inf) on a.jpg, b.jpg: check these images"),
    ],
)
def test_images_are_to_blame_where_the_loss_had_not_risen(
    first: float | None, before: float, losses: dict[str, float], line: str
) -> None:
    batch = Given(files=["a.jpg", "b.jpg"], epoch=0.7, steps=8, rate=0.017)
    told = str(NotFiniteError(batch, losses, (first, before), can_resume=False))
    assert told.startswith(line)
    assert ("a.jpg" in told) == ("diverged" not in told)
    again = str(NotFiniteError(batch, losses, (first, before), can_resume=True))
    assert again == f"{told}; the last checkpoint is whole, go on with --resume"


class Explodes(Breaks):
    """A loss that a rate too high drives up a hundredfold a step, until its gradient is infinite."""

    def loss(self, predictions: Tensor, targets: TargetBatch) -> dict[str, Tensor]:
        losses = super().loss(predictions, targets)
        self.seen = getattr(self, "seen", 0) + 1
        return {name: value * 1e4**self.seen for name, value in losses.items()}


def test_a_training_that_diverges_says_so(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ways: dict[str, Any] = {"validate": None, "save_weights": lambda *_: None}
    run = Training(Explodes(10**6), IMAGES, SPEC, RECIPE, Around(folder=tmp_path, device="cpu"), **ways)
    with pytest.raises(NotFiniteError, match=r"^the training diverged in step \d+: the loss rose from .*: lower --lr"):
        run.run()


class Grows(MeanColour):
    """A loss that grows by half with each step and stays finite."""

    def loss(self, predictions: Tensor, targets: TargetBatch) -> dict[str, Tensor]:
        losses = super().loss(predictions, targets)
        self.seen = getattr(self, "seen", 0) + 1
        return {name: value * 1.5**self.seen for name, value in losses.items()}


def test_a_training_that_diverges_and_stays_finite_is_told(tmp_path: Path) -> None:
    torch.manual_seed(0)
    told: list[str] = []
    ways: dict[str, Any] = {"validate": None, "save_weights": lambda *_: None}
    recipe = replace(RECIPE, epochs=1, lr=1e-9)
    Training(Grows(), IMAGES, SPEC, recipe, Around(folder=tmp_path, device="cpu", say=told.append), **ways).run()
    assert any(line.startswith("note: the loss rose from ") and "lower --lr" in line for line in told), told
