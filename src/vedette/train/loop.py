"""The training loop."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from io import StringIO
from itertools import islice
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin, InitProcessGroupKwargs
from torch import Tensor, nn

from vedette.data.loader import AnnotatedImages, Batch, Proposals, train_loader
from vedette.data.sampler import repeat_factors
from vedette.errors import InputError
from vedette.structures import InputSpec, TargetBatch
from vedette.train.around import Around
from vedette.train.average import Average
from vedette.train.checkpoint import LAST, save_state
from vedette.train.halt import Halt
from vedette.train.log import RunLog
from vedette.train.losses import PATIENCE, Given, Losses, Reading
from vedette.train.optim import build_optimizer, build_schedule, go_back
from vedette.train.progress import ProgressLine
from vedette.train.recipe import Recipe
from vedette.train.resume import resume_from
from vedette.train.step import TrainStep

Validate = Callable[[nn.Module], dict[str, float]]
SaveWeights = Callable[[Path, nn.Module], None]
LONGEST_EVALUATION = timedelta(hours=6)  # one process evaluates, the others wait no longer than this
COMPILED: dict[str, dict[str, Any]] = {"cuda": {"mode": "reduce-overhead"}}  # how a step is, by the kind of device


class Training:
    """One run: builds everything from a model, its data and a recipe; `run()` does the epochs.

    `validate` measures a model and returns numbers, the first of which is the one that chooses the best checkpoint;
    `save_weights` writes a weight file. Files in the folder: last.pt (all to resume), last.safetensors,
    best.safetensors, log.jsonl, tensorboard/. `proposals`: for a model that needs them, see `data.loader`.
    """

    def __init__(
        self,
        model: nn.Module,
        data: AnnotatedImages,
        spec: InputSpec,
        recipe: Recipe,
        around: Around,
        *,
        validate: Validate | None,
        save_weights: SaveWeights,
        proposals: Proposals | None = None,
    ) -> None:
        self.recipe, self.folder, self.say = recipe, around.folder, around.say
        self.validate, self.save_weights = validate, save_weights
        self.accelerator = _accelerator(recipe, around.device)
        if recipe.freeze_stem:
            freeze(model)
        self.data, self.spec, self.proposals = data, spec, proposals
        self.factors = repeat_factors(data, recipe.repeat_below) if recipe.repeat_below else None
        self.loader, self.spec_of_loader = self._loader(spec), spec
        self.batches = self._whole_groups(len(self.loader))
        optimizer = build_optimizer(model, recipe)
        self.schedule = build_schedule(optimizer, recipe, recipe.epochs * self.batches // recipe.accumulate)
        step = TrainStep(model, spec, recipe.precision == "bf16")
        if around.compile:
            step.compile(**COMPILED.get(self.device.type, {}))
        self.step, self.optimizer = self.accelerator.prepare(step, optimizer)
        self.average = Average(model.to(self.device), recipe.ema) if recipe.ema else None
        patience = PATIENCE.get(self.device.type, 1)
        self.losses = Losses(patience)
        learning = [model] if self.average is None else [model, self.average]
        self.halt = Halt(learning, self.device, patience, self.accelerator.num_processes)
        optimizer.found_inf = self.halt.stopped  # type: ignore[attr-defined]  # a fused one then does nothing
        self.epoch, self.steps, self.best = 0, 0, -1.0
        self.begins_step = True  # the batch to come, the first of those whose gradients are summed
        self.can_resume = False  # before its first epoch is kept: there may be files of steps before this one
        self.log: RunLog | None = None

    @property
    def device(self) -> torch.device:
        """Where the model learns."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def model(self) -> nn.Module:
        """The model that learns."""
        step: TrainStep = self.accelerator.unwrap_model(self.step)
        return step.model

    @property
    def result(self) -> nn.Module:
        """The model that is evaluated and kept: the average of the weights, where there is one."""
        return self.model if self.average is None else self.average.module

    def run(self) -> None:
        """All epochs that are left."""
        self.log = RunLog(self.folder) if self.accelerator.is_main_process else None
        per_epoch = self.batches * self.recipe.batch_size * self.accelerator.num_processes
        stream = None if self.accelerator.is_main_process else StringIO()  # one process speaks
        progress = ProgressLine(self.recipe.epochs * per_epoch, self.epoch * per_epoch, stream)
        while self.epoch < self.recipe.epochs:
            self._train_epoch(progress)
            self.epoch += 1
            with progress.pause():
                results = self._finish_epoch()
            self._report_epoch(results, progress)
        if self.log is not None:
            self.log.close()
        self.accelerator.wait_for_everyone()  # the files are there once any process is done

    def resume(self) -> None:
        """Goes on from the folder's last checkpoint: weights, average, optimizer, schedule, epoch and best result.

        Raises InputError where that cannot be, with a checkpoint of other settings or a damaged one."""
        state = resume_from(
            self.folder,
            self.recipe.epochs,
            model=self.model,
            average=self.average,
            optimizer=self.optimizer,
            schedule=self.schedule,
        )
        self.epoch, self.steps, self.best = state["epoch"], state["steps"], state["best"]

    def _train_epoch(self, progress: ProgressLine) -> None:
        self.step.train()
        batches = iter(self._loader_of_epoch())
        torch.manual_seed(self.recipe.seed + self.epoch)  # an epoch begun anew draws the same samples
        for number, batch in enumerate(islice(batches, self.batches), start=1):
            self._train_step(batch, self.epoch + number / self.batches)
            self._read(self.losses.read(), progress)
        self._read(self.losses.rest(), progress)

    def _train_step(self, batch: Batch, epoch: float) -> None:
        with self.accelerator.accumulate(self.step):
            if self.begins_step:
                self.halt.keep(self.steps)
            losses = self.step(*self._on_device(batch))
            total: Tensor = torch.stack(list(losses.values())).sum()
            self.halt.look_at(total)
            given = Given(files=batch.files, epoch=epoch, steps=self.steps, rate=self.optimizer.param_groups[-1]["lr"])
            self.losses.add(given, losses, self.halt.stopped)
            self.accelerator.backward(total)
            if self.accelerator.sync_gradients:
                self._update()
        self.begins_step = self.accelerator.sync_gradients

    def _on_device(self, batch: Batch) -> tuple[Tensor, TargetBatch, Tensor, Sequence[Tensor] | None]:
        """What a step takes, copied while the device works: a GPU's batches come from page-locked memory."""
        images, shapes = (tensor.to(self.device, non_blocking=True) for tensor in (batch.images, batch.shapes))
        padded = TargetBatch.of(batch.targets)
        targets = (padded.pin_memory() if self.device.type == "cuda" else padded).to(self.device, non_blocking=True)
        proposals = batch.proposals and [boxes.to(self.device, non_blocking=True) for boxes in batch.proposals]
        return images, targets, shapes, proposals

    def _update(self) -> None:
        if self.recipe.clip_norm:
            self.accelerator.clip_grad_norm_(self.step.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        if self.average is not None:
            self.average.update(self.model, self.steps, self.halt.stopped)
        self.steps += 1

    def _read(self, readings: Sequence[Reading], progress: ProgressLine) -> None:
        """Shows and logs losses; raises NotFiniteError where one is not finite, all being as it was before its step."""
        processes = self.accelerator.num_processes
        for reading in readings:
            batch, losses = reading.batch, reading.losses
            if reading.stopped:
                self._go_back(batch.steps)
                elsewhere = processes > 1 and all(map(isfinite, losses.values()))
                raise NotFiniteError(
                    losses, batch.files, can_resume=self.can_resume or self.epoch > 0, elsewhere=elsewhere
                )
            progress.update(len(batch.files) * processes, batch.epoch, losses)
            if self.log is not None and (batch.steps + 1) % 20 == 0:
                self.log.step({f"loss/{k}": v for k, v in losses.items()} | {"lr": batch.rate}, batch.steps + 1)

    def _go_back(self, steps: int) -> None:
        """What counts steps, and the statistics, to where they were; the device has left all else as it was."""
        self.halt.undo(steps)
        go_back(self.optimizer, self.schedule, steps)
        self.steps = steps

    def _finish_epoch(self) -> dict[str, float]:
        """Evaluates and keeps the weights; what was measured."""
        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:
            return {}
        due = self.epoch % self.recipe.eval_every == 0 or self.epoch == self.recipe.epochs
        results = self.validate(self.result.eval()) if self.validate is not None and due else {}
        self.save_weights(self.folder / "last.safetensors", self.result)
        self._keep_best(next(iter(results.values()), None))
        self._save()
        return results

    def _report_epoch(self, results: Mapping[str, float], progress: ProgressLine) -> None:
        """A line in the log, and one to read."""
        losses = {name: round(value, 4) for name, value in progress.losses.items()}
        record: dict[str, Any] = {
            "epoch": self.epoch,
            **losses,
            **results,
            "images_per_second": round(progress.rate(), 2),
        }
        if self.log is not None:
            self.log.epoch(record, self.steps)
            numbers = "  ".join(f"{name} {value:.4f}" for name, value in results.items())
            self.say(f"{progress.line(self.epoch)}  {numbers}".rstrip())

    def _keep_best(self, score: float | None) -> None:
        """Where nothing is measured, ever or so far (NaN: nothing to find), the last weights count as the best."""
        if score is None or isnan(score):
            if self.best >= 0:
                return
        elif score <= self.best:
            return
        else:
            self.best = score
        self.save_weights(self.folder / "best.safetensors", self.result)

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "steps": self.steps,
            "best": self.best,
        }
        save_state(self.folder / LAST, state)

    def _whole_groups(self, batches: int) -> int:
        """Batches of an epoch that fill whole steps: gradients that are summed across epochs no checkpoint would hold.

        Raises InputError where not a single step is filled.
        """
        accumulate = self.recipe.accumulate
        if batches < accumulate:
            raise InputError(f"accumulate is {accumulate}: an epoch has {batches} batches; give no more than these")
        return batches - batches % accumulate

    def _spec_of_epoch(self) -> InputSpec:
        small = self.recipe.start_size and self.epoch < self.recipe.start_share * self.recipe.epochs
        return self.spec.at(self.recipe.start_size) if small else self.spec

    def _loader_of_epoch(self) -> Any:
        """The loader, made anew where the images change their size; it gives the epoch's batches."""
        spec = self._spec_of_epoch()
        if spec != self.spec_of_loader:
            self.loader, self.spec_of_loader = self._loader(spec), spec
        self.loader.sampler.set_epoch(self.epoch)
        return self.loader

    def _loader(self, spec: InputSpec) -> Any:
        recipe, process = self.recipe, self.accelerator
        return train_loader(
            self.data,
            spec,
            recipe.batch_size,
            recipe.workers,
            recipe.seed,
            recipe.difficult,
            max_zoom_out=recipe.max_zoom_out,
            factors=self.factors,
            rank=process.process_index,
            world=process.num_processes,
            proposals=self.proposals,
        )


class NotFiniteError(InputError):
    """A loss became NaN or infinite: the run stops and names the images; `elsewhere`, in a process that says more."""

    def __init__(self, losses: Mapping[str, float], files: Sequence[str], can_resume: bool, elsewhere: bool) -> None:
        bad = ", ".join(f"{name} = {value}" for name, value in losses.items())
        place = "in another process" if elsewhere else f"({bad}) on {', '.join(files)}"
        super().__init__(
            f"the loss is not finite {place}: check these images, or lower --lr"
            + ("; the last checkpoint is whole, go on with --resume" if can_resume else "")
        )


def freeze(model: nn.Module) -> None:
    """Keeps the backbone's layers up to stride 4 as they are."""
    for layer in model.backbone.stem():  # type: ignore[operator, union-attr]
        layer.requires_grad_(False)


def _accelerator(recipe: Recipe, device: str) -> Accelerator:
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)  # of one process alone; torchrun's are given theirs
    return Accelerator(
        kwargs_handlers=[InitProcessGroupKwargs(timeout=LONGEST_EVALUATION)],
        cpu=device == "cpu",
        mixed_precision="no",  # whatever the environment says: TrainStep has the recipe's
        gradient_accumulation_plugin=GradientAccumulationPlugin(
            num_steps=recipe.accumulate, sync_with_dataloader=False
        ),
    )
