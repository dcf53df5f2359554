"""A run that is stopped at any step, in any way, comes to what it would have come to, bit for bit."""

import csv
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from train.painted import Painted, PaintedImages
from vedette.errors import InputError
from vedette.structures import InputSpec, TargetBatch
from vedette.train.around import Around, SaveEvery, read_save_every
from vedette.train.checkpoint import read_state, save_state
from vedette.train.loop import Training
from vedette.train.recipe import Recipe

PAINTED = PaintedImages([Painted((40, 30), (4 + i, 5, 20 + i, 20), i % 2, (255, 30 * i, 0)) for i in range(9)])
RECIPE = Recipe(epochs=3, batch_size=2, lr=1e-2, warmup=0.1, freeze_stem=False, workers=0, precision="fp32", ema=0.9)
EPOCH = 4  # batches of two


class Noisy(nn.Module):
    """Draws random numbers in each step, as dropout and samples of anchors do; and counts the steps of its process."""

    def __init__(self, stop: Callable[[int], None]) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.5))
        self.head = nn.Linear(8, 1)
        self.stop, self.calls = stop, 0

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: Any = None) -> Tensor:
        found: Tensor = self.head(self.backbone(images).relu().mean((2, 3)))
        return found

    def loss(self, predictions: Tensor, targets: TargetBatch) -> dict[str, Tensor]:
        self.calls += 1
        self.stop(self.calls)
        sides = (targets.boxes[..., 2:] - targets.boxes[..., :2]).prod(-1).sum(1) / 1024
        return {"area": (predictions[:, 0].float() - sides * torch.rand(len(predictions))).square().mean()}


def made(folder: Path, recipe: Recipe = RECIPE, stop: Callable[[int], None] = lambda _: None, **ways: Any) -> Training:
    torch.manual_seed(0)
    model = Noisy(stop)

    def save(path: Path, trained: nn.Module) -> None:
        save_file({name: tensor.contiguous() for name, tensor in trained.state_dict().items()}, path)

    def measured(found: Any) -> dict[str, float]:
        return {"mAP": found.head.weight.sum().item(), "AP/cat": found.head.bias.sum().item(), "AP/cow": torch.nan}

    validate = ways.pop("validate", measured)
    around = Around(folder=folder, device="cpu", say=ways.pop("say", lambda _: None), **ways)
    return Training(model, PAINTED, InputSpec(size=32), recipe, around, validate=validate, save_weights=save)


def gone_on(folder: Path, recipe: Recipe = RECIPE, **ways: Any) -> Training:
    run = made(folder, recipe, **ways)
    run.resume()
    run.run()
    return run


def text_of(value: Any) -> str:
    return "" if value is None else str(value)


def results_of(folder: Path) -> tuple[Any, ...]:
    """Everything that a run leaves, but for its speed."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    with (folder / "log.csv").open() as file:
        table = list(csv.DictReader(file))
    assert table == [{name: text_of(row.get(name)) for name in table[0]} for row in rows]
    for row in rows:
        row.pop("images_per_second", None)  # an epoch that was left to be measured has none
    curves = EventAccumulator(str(folder / "tensorboard")).Reload()
    tags = [tag for tag in sorted(curves.Tags()["scalars"]) if "per_second" not in tag]
    points = {tag: sorted((event.step, event.value) for event in curves.Scalars(tag)) for tag in tags}
    weights = [load_file(folder / f"{name}.safetensors") for name in ("last", "best")]
    return rows, points, *({key: value.tolist() for key, value in one.items()} for one in weights)


def signalled(number: int, at: int) -> Callable[[int], None]:
    return lambda calls: signal.raise_signal(number) if calls == at else None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        *(
            pytest.param(changes, marks=pytest.mark.slow)
            for changes in ({"precision": "bf16"}, {"accumulate": 2, "workers": 2}, {"ema": 0.0, "optimizer": "sgd"})
        ),
    ],
    ids=str,
)
def test_stopped_at_any_step_a_run_goes_on_as_if_nothing_had_been(tmp_path: Path, changes: dict[str, Any]) -> None:
    recipe = replace(RECIPE, **changes)
    made(tmp_path / "whole", recipe).run()
    wanted = results_of(tmp_path / "whole")
    looks = 1 if recipe.accumulate == 1 else 2 * recipe.accumulate  # of a step; several batches are first looked at
    calls = range(1, recipe.epochs * EPOCH // recipe.accumulate * looks + 1, 1 if recipe.workers == 0 else 5)
    for at in calls:
        folder = tmp_path / f"{at}"
        with pytest.raises(SystemExit) as stopped:
            made(folder, recipe, signalled(signal.SIGTERM, at)).run()
        assert stopped.value.code == 143
        done = read_state(folder / "last.pt")["steps"]
        assert done == -(-at // looks)  # the step that was under way is done, and no other
        gone_on(folder, recipe)
        assert results_of(folder) == wanted


def test_again_and_again_after_a_single_step(tmp_path: Path) -> None:
    """Whoever is killed more often than an epoch lasts arrives too."""
    made(tmp_path / "whole").run()
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "torn", stop=signalled(signal.SIGINT, 1)).run()
    stops = 1
    while True:
        run = made(tmp_path / "torn", stop=signalled(signal.SIGINT, 1))
        run.resume()
        try:
            run.run()
        except KeyboardInterrupt:
            stops += 1
        else:
            break
    assert stops == RECIPE.epochs * EPOCH
    assert results_of(tmp_path / "torn") == results_of(tmp_path / "whole")


def test_a_failed_evaluation_costs_no_step(tmp_path: Path) -> None:
    made(tmp_path / "whole").run()

    def fails(found: nn.Module) -> dict[str, float]:
        raise OSError("the pictures are gone")

    with pytest.raises(OSError, match="the pictures are gone"):
        made(tmp_path / "torn", validate=fails).run()
    run = made(tmp_path / "torn")
    run.resume()
    assert (run.epoch, run.batch, run.steps) == (0, EPOCH, EPOCH)
    run.run()
    assert run.model.calls == 2 * EPOCH  # type: ignore[union-attr]
    assert results_of(tmp_path / "torn") == results_of(tmp_path / "whole")


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    def twice(calls: int) -> None:
        if calls == 6:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, stop=twice).run()
    assert read_state(tmp_path / "last.pt")["steps"] == EPOCH
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # ours is gone with the run


@pytest.mark.parametrize(("every", "kept"), [(SaveEvery(steps=2), 6), (SaveEvery(seconds=1e-9), 7), (SaveEvery(), 4)])
def test_saved_within_an_epoch_as_often_as_asked_for(tmp_path: Path, every: SaveEvery, kept: int) -> None:
    def breaks(calls: int) -> None:
        if calls == 8:
            raise OSError("pulled out")

    with pytest.raises(OSError, match="pulled out"):
        made(tmp_path, stop=breaks, save_every=every).run()
    assert read_state(tmp_path / "last.pt")["steps"] == kept


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10min", SaveEvery(seconds=600)),
        ("0.5 min", SaveEvery(seconds=30)),
        ("500", SaveEvery(steps=500)),
        ("0", SaveEvery()),
    ],
)
def test_how_often_is_written(text: str, wanted: SaveEvery) -> None:
    assert read_save_every(text) == wanted


@pytest.mark.parametrize("text", ["", "-1", "ten", "10s", "1e3", "nan min"])
def test_how_often_is_not_written(text: str) -> None:
    with pytest.raises(InputError, match="--save-every"):
        read_save_every(text)


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "gone", "text"])
def test_of_a_damaged_checkpoint_the_one_before_serves(tmp_path: Path, damage: str) -> None:
    made(tmp_path / "whole").run()
    folder = tmp_path / "torn"
    with pytest.raises(SystemExit):
        made(folder, stop=signalled(signal.SIGTERM, 7), save_every=SaveEvery(steps=1)).run()
    path, content = folder / "last.pt", (folder / "last.pt").read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "cut": content[:-1],
            "empty": b"",
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "text": b"rubbish",
            "gone": b"",
        }[damage]
    )
    if damage == "gone":
        path.unlink()
    said: list[str] = []
    run = gone_on(folder, say=said.append)
    assert run.model.calls == RECIPE.epochs * EPOCH - 6  # type: ignore[union-attr]
    assert sum("going on from previous.pt, the checkpoint before" in line for line in said) == 1
    assert results_of(folder) == results_of(tmp_path / "whole")


def test_every_byte_of_a_checkpoint_counts(tmp_path: Path) -> None:
    save_state(tmp_path / "last.pt", {"a": torch.arange(3.0), "b": 1})
    content = (tmp_path / "last.pt").read_bytes()
    for place in range(len(content)):
        (tmp_path / "last.pt").write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        with pytest.raises(InputError, match=r"last\.pt: "):
            read_state(tmp_path / "last.pt")


@pytest.mark.parametrize("when", ["weights", "gradient"])
def test_what_is_not_finite_is_not_saved(tmp_path: Path, when: str) -> None:
    def breaks(calls: int) -> None:
        if calls == 7 and when == "weights":
            run.model.head.weight.data.fill_(torch.inf)  # type: ignore[union-attr]
        if calls == 7 and when == "gradient":
            run.model.head.weight.register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[union-attr]

    run = made(tmp_path, stop=breaks, save_every=SaveEvery(steps=1))
    with pytest.raises(InputError, match="not finite") as stopped:
        run.run()
    assert "go on with --resume" in str(stopped.value)
    state = read_state(tmp_path / "last.pt")
    assert state["steps"] == 6
    assert all(bool(tensor.isfinite().all()) for tensor in state["model"].values())
    if when == "gradient":
        assert bool(run.model.head.weight.isfinite().all())  # type: ignore[union-attr]
        assert run.steps == 6


@pytest.mark.parametrize(
    ("changes", "share"),
    [({"batch_size": 4}, 1 / 2), ({"accumulate": 2}, 1 / 2), ({"batch_size": 1}, 4 / 9), ({"batch_size": 3}, 1 / 3)],
    ids=str,
)
def test_with_other_batches_the_schedule_goes_on_by_the_images_seen(
    tmp_path: Path, changes: dict[str, Any], share: float
) -> None:
    """Half an epoch of three: the rate is that of a sixth of the run, whatever a step is from there on."""
    with pytest.raises(SystemExit):
        made(tmp_path, stop=signalled(signal.SIGTERM, 2)).run()
    recipe = replace(RECIPE, **changes)
    run = made(tmp_path, recipe)
    run.resume()
    total = recipe.epochs * run.batches // recipe.accumulate
    assert run.steps / total == pytest.approx(share / 3, abs=1e-9)
    fresh = made(tmp_path / "fresh", recipe)
    for _ in range(run.steps):
        fresh.optimizer.step()
        fresh.schedule.step()
    assert run.optimizer.param_groups[-1]["lr"] == pytest.approx(fresh.optimizer.param_groups[-1]["lr"])
    run.run()
    assert run.steps == total
    assert run.schedule.last_epoch == total


@pytest.mark.parametrize("moment", ["save_weights", "_save", "_report_epoch"])
def test_a_signal_while_an_epoch_ends_loses_nothing(tmp_path: Path, moment: str) -> None:
    made(tmp_path / "whole").run()
    run, done = made(tmp_path / "torn"), list[int]()
    own = getattr(run, moment)

    def asked(*given: Any) -> Any:
        if run.epoch == 1:
            done.append(run.steps)
            signal.raise_signal(signal.SIGTERM)
        return own(*given)

    setattr(run, moment, asked)
    with pytest.raises(SystemExit):
        run.run()
    assert read_state(tmp_path / "torn" / "last.pt")["steps"] == done[0]
    gone_on(tmp_path / "torn")
    assert results_of(tmp_path / "torn") == results_of(tmp_path / "whole")


def test_a_damaged_checkpoint_never_takes_the_place_of_the_good_one(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        made(tmp_path, stop=signalled(signal.SIGTERM, 7), save_every=SaveEvery(steps=1)).run()
    good = (tmp_path / "previous.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(b"torn")
    run = made(tmp_path)
    run.resume()
    assert not (tmp_path / "last.pt").exists()
    assert (tmp_path / "previous.pt").read_bytes() == good


def test_files_that_others_put_beside_the_curves_stay(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").mkdir()
    for name in ("notes.txt", "events.out.tfevents.1.other.1.0"):
        (tmp_path / "tensorboard" / name).write_text("mine")
    with pytest.raises(SystemExit):
        made(tmp_path, stop=signalled(signal.SIGTERM, 3)).run()
    gone_on(tmp_path)
    for name in ("notes.txt", "events.out.tfevents.1.other.1.0"):
        assert (tmp_path / "tensorboard" / name).read_text() == "mine"
