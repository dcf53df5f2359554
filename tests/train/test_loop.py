"""The loop on a tiny model and painted images: it learns, resumes to the bit, stops on a loss that is not finite."""

import json
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from train.painted import Painted, PaintedImages
from vedette.data.loader import train_loader
from vedette.errors import InputError
from vedette.structures import InputSpec, TargetBatch
from vedette.train.around import Around
from vedette.train.checkpoint import read_state, save_state
from vedette.train.loop import COMPILED, Training
from vedette.train.progress import ProgressLine
from vedette.train.recipe import Recipe

SPEC = InputSpec(size=32, range=1.0)
RECIPE = Recipe(epochs=4, batch_size=2, workers=0, precision="fp32", freeze_stem=False, lr=1e-2, ema=0.9)


PAINTED = PaintedImages([Painted((40, 30), (4 + i, 5, 20 + i, 20), i % 2, (255, 60 * i, 0)) for i in range(6)])


class MeanColour(nn.Module):
    """Predicts the share of the image that is covered: enough of a model for the loop."""

    def __init__(self, break_at: int = -1) -> None:
        super().__init__()
        self.backbone = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 1)
        self.calls, self.break_at = 0, break_at

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: Any = None) -> Tensor:
        found: Tensor = self.head(self.norm(self.backbone(images)).relu().mean((2, 3)))
        return found

    def loss(self, predictions: Tensor, targets: TargetBatch) -> dict[str, Tensor]:
        self.calls += 1
        sides = (targets.boxes[..., 2:] - targets.boxes[..., :2]).prod(-1).sum(1) / 1024
        broken = torch.inf if self.calls == self.break_at else 1.0
        return {"area": (predictions[:, 0] - sides).square().mean() * broken}


class Regions(MeanColour):
    """The same for padded images of several sizes, with proposals; remembers what it saw."""

    needs_proposals = True

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: Any = None) -> Tensor:
        self.seen = [*getattr(self, "seen", []), (tuple(images.shape[2:]), sizes.tolist(), proposals)]
        return super().forward(images)


def training(
    folder: Path,
    recipe: Recipe = RECIPE,
    break_at: int = -1,
    scores: list[float] | None = None,
    **around: Any,
) -> Training:
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    results = iter(scores or [])

    def save(path: Path, model: nn.Module) -> None:
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)

    validate: Callable[[nn.Module], dict[str, float]] | None = (lambda _: {"mAP": next(results)}) if scores else None
    lines: list[str] = []
    made = Training(
        MeanColour(break_at),
        PAINTED,
        SPEC,
        recipe,
        Around(folder=folder, device="cpu", say=lines.append, **around),
        validate=validate,
        save_weights=save,
    )
    made.lines = lines  # type: ignore[attr-defined]
    return made


def weights(run: Training) -> Tensor:
    return torch.cat([p.detach().flatten() for p in (*run.model.parameters(), *run.result.parameters())])


def test_losses_fall_and_every_file_is_there(tmp_path: Path) -> None:
    run = training(tmp_path / "run", replace(RECIPE, epochs=40, lr=3e-2))
    run.run()
    first, last = (run.lines[i].split("area ")[1].split()[0] for i in (0, -1))  # type: ignore[attr-defined]
    assert float(last) < float(first)
    names = {path.name for path in (tmp_path / "run").iterdir()}
    weights_of = {"last.pt", "previous.pt", "last.safetensors", "best.safetensors"}
    assert names == weights_of | {"log.jsonl", "log.csv", "tensorboard"}
    assert "images/s" in run.lines[0]  # type: ignore[attr-defined]


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    whole = training(tmp_path / "whole")
    whole.run()
    torn = training(tmp_path / "torn", break_at=8)  # in the third epoch of three batches
    with pytest.raises(InputError):
        torn.run()
    resumed = training(tmp_path / "torn")
    resumed.resume()
    assert resumed.epoch == 2
    resumed.run()
    assert torch.equal(weights(whole), weights(resumed))
    assert resumed.steps == whole.steps == 12


def test_an_epoch_begun_anew_draws_the_same_random_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Tensor] = []
    monkeypatch.setattr(Training, "train_step", lambda run, batches: drawn.append(torch.rand(3)))
    whole, again = training(tmp_path / "whole"), training(tmp_path / "again")
    whole.run()
    torch.manual_seed(99)
    again.epoch = 2
    again.run()
    assert len(drawn) == 12 + 6
    assert all(torch.equal(one, other) for one, other in zip(drawn[6:12], drawn[12:], strict=True))
    assert not torch.equal(drawn[0], drawn[3])


def test_the_same_seed_gives_the_same_weights_with_any_number_of_workers(tmp_path: Path) -> None:
    first, second = training(tmp_path / "a"), training(tmp_path / "b", replace(RECIPE, workers=1))
    first.run()
    second.run()
    assert torch.equal(weights(first), weights(second))


def test_a_loss_that_is_not_finite_names_the_images(tmp_path: Path) -> None:
    run = training(tmp_path / "run", break_at=5)  # in the second epoch
    with pytest.raises(InputError, match=r"not finite \(area = inf\) on painted\d\.jpg, painted\d\.jpg: .*--resume"):
        run.run()
    with pytest.raises(InputError, match=r"not finite .*lower --lr$"):
        training(tmp_path / "other", break_at=2).run()  # there is nothing to resume yet


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_resumed_run_learns_at_the_rate_that_it_is_given(tmp_path: Path, optimizer: str) -> None:
    recipe = replace(RECIPE, optimizer=optimizer, epochs=1)
    training(tmp_path / "run", recipe).run()
    slower = training(tmp_path / "run", replace(recipe, epochs=4, lr=1e-4, weight_decay=0.5))
    slower.resume()
    fresh = training(tmp_path / "fresh", replace(recipe, epochs=4, lr=1e-4, weight_decay=0.5))
    for group, wanted in zip(slower.optimizer.param_groups, fresh.optimizer.param_groups, strict=True):
        assert group["initial_lr"] == wanted["initial_lr"]
        assert group["weight_decay"] == wanted["weight_decay"]
        assert 0 < group["lr"] < wanted["initial_lr"]  # three of twelve steps down the cosine
    slower.run()
    assert slower.optimizer.param_groups[-1]["lr"] < 1e-5


def test_a_checkpoint_of_another_version_is_not_gone_on_with(tmp_path: Path) -> None:
    training(tmp_path, replace(RECIPE, epochs=1)).run()
    state = read_state(tmp_path / "last.pt")
    del state["format"]  # as before there was one
    torch.save(state, tmp_path / "last.pt")
    (tmp_path / "previous.pt").unlink()
    with pytest.raises(InputError, match=r"last\.pt: written by another version of vedette.* with --init"):
        training(tmp_path, RECIPE).resume()


def test_gradients_are_summed_within_an_epoch(tmp_path: Path) -> None:
    recipe = replace(RECIPE, accumulate=2)  # of three batches an epoch one is left out
    whole = training(tmp_path / "whole", recipe)
    whole.run()
    assert whole.steps == 4
    torn = training(tmp_path / "torn", recipe, break_at=11)  # the fifth batch, each being looked at first
    with pytest.raises(InputError):
        torn.run()
    resumed = training(tmp_path / "torn", recipe)
    resumed.resume()
    assert resumed.epoch == 2
    resumed.run()
    assert torch.equal(weights(whole), weights(resumed))
    with pytest.raises(InputError, match="accumulate is 4: an epoch has 3 batches"):
        training(tmp_path / "none", replace(RECIPE, accumulate=4))


def padded_training(folder: Path, recipe: Recipe) -> Training:
    """Painted images with a short side of 16, a long one of 20 at most; the proposals are the boxes."""
    torch.manual_seed(0)
    folder.mkdir(exist_ok=True)
    spec, data = InputSpec(size=16, resize="short side", max_side=20, divisor=8, range=1.0), PAINTED
    around = Around(folder=folder, device="cpu", say=lambda _: None)
    ways: Any = {"validate": None, "save_weights": lambda *_: None, "proposals": data.boxes}
    return Training(Regions(), data, spec, recipe, around, **ways)


def test_padded_images_and_proposals_are_trained_on(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=4, start_size=8, start_share=0.5)
    run = padded_training(tmp_path / "whole", recipe)
    run.run()
    # 40 x 30 becomes 20 x 15, and at first 10 x 7: the longest side is half as long as well
    small, large = ((8, 16), [[7, 10]] * 2), ((16, 24), [[15, 20]] * 2)
    assert [(shape, sizes) for shape, sizes, _ in run.model.seen] == [small] * 6 + [large] * 6  # type: ignore[union-attr]
    for shape, _, proposals in run.model.seen:  # type: ignore[union-attr]
        scale = torch.tensor([20 / 40, 15 / 30] if shape == (16, 24) else [10 / 40, 7 / 30])
        sides = torch.stack([boxes[0, 2:] - boxes[0, :2] for boxes in proposals])
        torch.testing.assert_close(sides, (torch.tensor([16.0, 15]) * scale).expand(2, 2))


def test_a_resumed_run_on_padded_images_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    recipe = replace(RECIPE, schedule="step", drops=())
    whole = padded_training(tmp_path / "whole", recipe)
    whole.run()
    torn = padded_training(tmp_path / "torn", replace(recipe, epochs=2))
    torn.run()
    resumed = padded_training(tmp_path / "torn", recipe)
    resumed.resume()
    resumed.run()
    assert [proposals[0].tolist() for *_, proposals in whole.model.seen[6:]] == [  # type: ignore[union-attr]
        proposals[0].tolist()
        for *_, proposals in resumed.model.seen  # type: ignore[union-attr]
    ]


def test_best_is_the_best_and_last_the_last(tmp_path: Path) -> None:
    run = training(tmp_path / "run", scores=[0.1, 0.5, 0.3, 0.4])
    kept: dict[int, Tensor] = {}
    finish = run._finish_epoch

    def remember(progress: ProgressLine) -> None:
        kept[run.epoch + 1] = torch.cat([p.detach().flatten().clone() for p in run.result.parameters()])
        finish(progress)

    run._finish_epoch = remember  # type: ignore[method-assign]
    run.run()
    for name, epoch in (("best", 2), ("last", 4)):
        stored = load_file(tmp_path / "run" / f"{name}.safetensors")
        flat = torch.cat([stored[n].flatten() for n, _ in run.result.named_parameters()])
        assert torch.equal(flat, kept[epoch])
    assert run.best == 0.5


def test_epochs_that_are_not_measured_never_become_the_best(tmp_path: Path) -> None:
    run = training(tmp_path / "run", replace(RECIPE, eval_every=2), scores=[0.9, 0.1])
    run.run()
    assert run.best == 0.9
    best, last = (load_file(tmp_path / "run" / f"{name}.safetensors") for name in ("best", "last"))
    assert not torch.equal(best["head.weight"], last["head.weight"])


def test_with_nothing_to_measure_the_last_is_the_best(tmp_path: Path) -> None:
    run = training(tmp_path / "run", scores=[float("nan")] * 4)
    run.run()
    best, last = (load_file(tmp_path / "run" / f"{name}.safetensors") for name in ("best", "last"))
    assert torch.equal(best["head.weight"], last["head.weight"])


def test_resuming_with_other_settings_is_refused_in_a_line(tmp_path: Path) -> None:
    training(tmp_path / "run", replace(RECIPE, epochs=1, ema=0.0)).run()
    with pytest.raises(InputError, match=r"last\.pt: does not go on with these settings"):
        training(tmp_path / "run").resume()


def test_runs_of_either_precision_in_one_process(tmp_path: Path) -> None:
    runs = [training(tmp_path / name, replace(RECIPE, precision=name)) for name in ("fp32", "bf16")]  # type: ignore[arg-type]
    computed: list[list[torch.dtype]] = []
    for run in runs:
        seen: list[torch.dtype] = []
        computed.append(seen)
        run.model.backbone.register_forward_hook(lambda _, __, output, seen=seen: seen.append(output.dtype))
        run.run()
    assert [set(seen) for seen in computed] == [{torch.float32}, {torch.bfloat16}]
    step = runs[1].step
    step.model.loss = lambda predictions, _: {"area": predictions.mean()}
    assert step(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), [])["area"].dtype == torch.float32


def test_two_batches_accumulated_step_once(tmp_path: Path) -> None:
    run = training(tmp_path / "run", replace(RECIPE, batch_size=1, accumulate=2, epochs=1))
    run.run()
    assert run.steps == 3


def test_smaller_images_first(tmp_path: Path) -> None:
    run = training(tmp_path / "run", replace(RECIPE, start_size=16, start_share=0.5))
    seen: list[int] = []
    run.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    run.run()
    assert seen == [16] * 6 + [32] * 6


def test_the_loader_is_made_once_for_each_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[InputSpec] = []

    def counted(data: Any, spec: InputSpec, *more: Any, **ways: Any) -> Any:
        made.append(spec)
        return train_loader(data, spec, *more, **ways)

    monkeypatch.setattr("vedette.train.epochs.train_loader", counted)
    training(tmp_path / "run").run()
    assert [spec.size for spec in made] == [32]
    made.clear()
    training(tmp_path / "small", replace(RECIPE, start_size=16, start_share=0.5)).run()
    assert [spec.size for spec in made] == [32, 16, 32]


@pytest.mark.parametrize(
    ("scores", "last", "best"),
    [([0.1, 0.3, 0.2, 0.3, 0.9], 4, 0.3), ([0.1, 0.2, 0.1, 0.3, 0.2], 5, 0.3), ([0.3, 0.2, 0.1, 0.9, 0.9], 3, 0.3)],
)
def test_a_run_ends_when_nothing_better_came_for_long(
    tmp_path: Path, scores: list[float], last: int, best: float
) -> None:
    recipe = replace(RECIPE, epochs=5, patience=2)
    run = training(tmp_path / "run", recipe, scores=scores)
    run.run()
    assert (run.epoch, run.best) == (last, best)
    told = [line for line in run.lines if "no better" in line]  # type: ignore[attr-defined]
    early = f"no better result in 2 evaluations: ended after epoch {last}; with --patience 0 --resume it goes on"
    assert told == ([early] if last < 5 else [])
    again = training(tmp_path / "run", recipe, scores=[0.0])
    again.resume()
    assert again.finished
    again.run()  # nothing is learnt any more, and that is said again
    assert again.steps == run.steps
    assert again.lines == told  # type: ignore[attr-defined]
    more = training(tmp_path / "run", replace(recipe, patience=0), scores=[0.95] * 2)
    more.resume()
    more.run()
    assert more.epoch == 5


def test_patience_begins_when_something_is_found(tmp_path: Path) -> None:
    run = training(tmp_path / "run", replace(RECIPE, epochs=5, patience=2), scores=[0.0, 0.0, 0.0, 0.2, 0.3])
    run.run()
    assert (run.epoch, run.best) == (5, 0.3)


def test_images_a_second_leave_the_evaluation_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = training(tmp_path / "run", replace(RECIPE, epochs=2), scores=[0.1, 0.2])
    clock = iter(range(1, 10_000))
    monkeypatch.setattr("vedette.train.progress.time.monotonic", lambda: 0.1 * next(clock))
    validate = run.validate
    assert validate is not None

    def slow(model: nn.Module) -> dict[str, float]:
        for _ in range(3000):  # five minutes
            next(clock)
        return validate(model)

    run.validate = slow
    run.run()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(row["images_per_second"] > 1 for row in rows)


def test_a_resumed_run_remembers_how_long_nothing_better_came(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=5, patience=2)
    torn = training(tmp_path / "run", recipe, scores=[0.3, 0.2, 0.1], break_at=7)  # in the third epoch
    with pytest.raises(InputError):
        torn.run()
    again = training(tmp_path / "run", recipe, scores=[0.1, 0.9])
    again.resume()
    assert again.stale == 1
    again.run()
    assert again.epoch == 3


def test_worker_processes_stay_from_one_epoch_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One start for all epochs; one for each time that the images change their size."""
    started: list[Any] = []
    begin = BaseProcess.start
    monkeypatch.setattr(BaseProcess, "start", lambda process: (started.append(process), begin(process))[1])
    training(tmp_path / "run", replace(RECIPE, workers=1)).run()
    assert len(started) == 1
    training(tmp_path / "small", replace(RECIPE, workers=1, start_size=16, start_share=0.5)).run()
    assert len(started) == 1 + 2


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_kept_pictures_leave_a_run_as_it_is(tmp_path: Path, cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(len(PAINTED)):
        (tmp_path / PAINTED.file(index)).touch()
    monkeypatch.chdir(tmp_path)
    plain, kept = training(tmp_path / "plain"), training(tmp_path / "kept", cache=cache)
    decoded: list[int] = []
    whole = PaintedImages.image
    monkeypatch.setattr(PaintedImages, "image", lambda data, index: (decoded.append(index), whole(data, index))[1])
    kept.run()
    assert len(decoded) == (len(PAINTED) if cache == "memory" else 0)
    plain.run()
    for mine, theirs in zip(kept.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_too_little_memory_for_the_pictures_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedette.train.cache.MARGIN", 1 << 60)
    with pytest.raises(InputError, match=r"--cache memory: the decoded pictures take 0\.0 GB, 0\.0 GB are free"):
        training(tmp_path / "run", cache="memory")


def test_epochs_differ_and_workers_that_stay_change_no_random_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that goes on starts workers of its own in a later epoch."""
    seen: list[tuple[list[int], Tensor]] = []
    monkeypatch.setattr(Training, "train_step", lambda run, batches: seen.append((batches[0].indices, torch.rand(2))))
    recipe = replace(RECIPE, workers=1, epochs=3)
    whole, later = training(tmp_path / "whole", recipe), training(tmp_path / "later", recipe)
    whole.run()
    later.epoch = 2
    later.run()
    assert [indices for indices, _ in seen[:3]] != [indices for indices, _ in seen[3:6]]
    for (indices, drawn), (others, again) in zip(seen[6:9], seen[9:], strict=True):
        assert indices == others
        assert torch.equal(drawn, again)


class Uncounted(MeanColour):
    """A number that changes would be compiled anew in each call."""

    def loss(self, predictions: Tensor, targets: TargetBatch) -> dict[str, Tensor]:
        return {"mean": (predictions - targets.boxes.mean()).square().mean()}


@pytest.mark.slow
def test_a_compiled_step_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs: list[Any] = []

    def spy(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setitem(COMPILED, "cpu", {"backend": spy})
    monkeypatch.setattr("train.test_loop.MeanColour", Uncounted)
    plain = training(tmp_path / "plain")
    plain.run()
    assert graphs == []
    compiled = training(tmp_path / "compiled", compile=True)
    compiled.run()
    assert graphs
    torch.testing.assert_close(weights(compiled), weights(plain))


def test_a_checkpoint_survives_a_crash_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.pt"
    save_state(path, {"epoch": 1})

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(InputError, match="disk full"):
        save_state(path, {"epoch": 2})
    assert read_state(path)["epoch"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_resuming_nothing_and_rubbish(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint to resume"):
        read_state(tmp_path / "last.pt")
    (tmp_path / "last.pt").write_bytes(b"rubbish")
    with pytest.raises(InputError, match="not a whole checkpoint"):
        read_state(tmp_path / "last.pt")
