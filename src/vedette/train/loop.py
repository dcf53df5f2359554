"""The training loop."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from io import StringIO
from itertools import islice
from math import isnan
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import GradientAccumulationPlugin, InitProcessGroupKwargs
from torch import Tensor, nn

from vedette.data.loader import AnnotatedImages, Batch, Proposals, repeat_factors, train_loader
from vedette.errors import InputError
from vedette.structures import InputSpec
from vedette.train.average import averaged
from vedette.train.checkpoint import LAST, save_state
from vedette.train.log import RunLog
from vedette.train.optim import build_optimizer, build_schedule
from vedette.train.progress import ProgressLine
from vedette.train.recipe import Recipe
from vedette.train.resume import resume_from
from vedette.train.step import TrainStep

Validate = Callable[[nn.Module], dict[str, float]]
SaveWeights = Callable[[Path, nn.Module], None]
LONGEST_EVALUATION = timedelta(hours=6)  # one process evaluates, the others wait no longer than this


class Training:
    """One run: builds everything from a model, its data and a recipe; `run()` does the epochs.

    `validate` measures a model and returns numbers, the first of which is the one that chooses the best checkpoint;
    `save_weights` writes a weight file. Files in `folder`: last.pt (all to resume), last.safetensors,
    best.safetensors, log.jsonl, tensorboard/. `proposals`: for a model that needs them, see `data.loader`.
    """

    def __init__(
        self,
        model: nn.Module,
        data: AnnotatedImages,
        spec: InputSpec,
        recipe: Recipe,
        folder: Path,
        *,
        validate: Validate | None,
        save_weights: SaveWeights,
        device: str,
        say: Callable[[str], None],
        proposals: Proposals | None = None,
    ) -> None:
        self.recipe, self.folder, self.validate, self.save_weights, self.say = (
            recipe,
            folder,
            validate,
            save_weights,
            say,
        )
        self.accelerator = _accelerator(recipe, device)
        if recipe.freeze_stem:
            freeze(model)
        model.to(memory_format=torch.channels_last)
        self.data, self.spec, self.proposals = data, spec, proposals
        self.factors = repeat_factors(data, recipe.repeat_below) if recipe.repeat_below else None
        self.batches = self._whole_groups(len(self._loader(spec)))
        steps = recipe.epochs * self.batches // recipe.accumulate
        optimizer = build_optimizer(model, recipe)
        self.schedule = build_schedule(optimizer, recipe, steps)
        step = TrainStep(model, spec, recipe.precision == "bf16")
        self.step, self.optimizer = self.accelerator.prepare(step, optimizer)
        self.average = averaged(model.to(self.accelerator.device), recipe.ema) if recipe.ema else None
        self.epoch, self.steps, self.best = 0, 0, -1.0
        self.can_resume = False  # before its first epoch is kept: there may be files of steps before this one
        self.log: RunLog | None = None

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
        loader = self._loader(self._spec_of_epoch())
        loader.sampler.set_epoch(self.epoch)
        torch.manual_seed(self.recipe.seed + self.epoch)  # an epoch begun anew draws the same samples
        for number, batch in enumerate(islice(loader, self.batches)):
            losses = self._train_step(batch)
            values = {name: float(value) for name, value in losses.items()}
            progress.update(
                len(batch.files) * self.accelerator.num_processes, self.epoch + (number + 1) / self.batches, values
            )
            if self.log is not None and self.steps % 20 == 0:
                rate = self.optimizer.param_groups[-1]["lr"]
                self.log.step({f"loss/{k}": v for k, v in values.items()} | {"lr": rate}, self.steps)

    def _train_step(self, batch: Batch) -> Mapping[str, Tensor]:
        device = self.accelerator.device
        with self.accelerator.accumulate(self.step):
            losses = self.step(
                batch.images.to(device, non_blocking=True),
                [target.to(device) for target in batch.targets],
                batch.shapes.to(device),
                batch.proposals and [boxes.to(device) for boxes in batch.proposals],
            )
            total: Tensor = torch.stack(list(losses.values())).sum()
            if not bool(total.isfinite()):
                raise NotFiniteError(losses, batch.files, can_resume=self.can_resume or self.epoch > 0)
            self.accelerator.backward(total)
            if self.accelerator.sync_gradients:
                self._update()
        return {name: value.detach() for name, value in losses.items()}

    def _update(self) -> None:
        if self.recipe.clip_norm:
            self.accelerator.clip_grad_norm_(self.step.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.steps += 1
        if self.average is not None:
            self.average.update_parameters(self.model)

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
    """A loss became NaN or infinite: the run stops and names the images."""

    def __init__(self, losses: Mapping[str, Tensor], files: list[str], can_resume: bool) -> None:
        bad = ", ".join(f"{name} = {float(value.detach())}" for name, value in losses.items())
        super().__init__(
            f"the loss is not finite ({bad}) on {', '.join(files)}: check these images, or lower --lr"
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
