"""The training loop."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from io import StringIO
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from vedette.data.loader import AnnotatedImages, Batch, Proposals, workers_heard
from vedette.data.values import counted
from vedette.structures import InputSpec
from vedette.train.around import Around
from vedette.train.average import Average
from vedette.train.batches import StepInput, in_steps, on_device
from vedette.train.cache import pictures_for
from vedette.train.checkpoint import LAST, read_state, save_state
from vedette.train.epochs import Epochs
from vedette.train.halt import ROSE, Halt, NotFiniteError
from vedette.train.log import RunLog, epoch_record, overall
from vedette.train.losses import PATIENCE, Given, Losses, Reading
from vedette.train.optim import build_optimizer, build_schedule, freeze, go_to
from vedette.train.processes import accelerator_for, largest, of_each
from vedette.train.progress import ProgressLine
from vedette.train.recipe import Recipe
from vedette.train.resume import Position, random_state, restore_random_state, resume_from
from vedette.train.shared_norm import share_norms
from vedette.train.signals import StopSignals
from vedette.train.step import TrainStep
from vedette.train.together import WholeStep
from vedette.train.trackers import finish, sender, track
from vedette.weights.finite import check_finite

Validate = Callable[[nn.Module], dict[str, float]]
SaveWeights = Callable[[Path, nn.Module], None]
NOTHING, SAVE, STOP = range(3)  # what a process wants after a step; of several, all do what wants most
COMPILED: dict[str, dict[str, Any]] = {"cuda": {"mode": "reduce-overhead"}}  # how a step is, by the kind of device


class Training:
    """One run: builds everything from a model, its data and a recipe; `run()` does the epochs.

    `validate` measures a model and returns numbers, the first of which is the one that chooses the best checkpoint;
    `save_weights` writes a weight file. Files in the folder: last.pt (all to resume) and previous.pt, the one before;
    last.safetensors, best.safetensors, log.jsonl, log.csv, tensorboard/. `proposals`: see `data.loader`.
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
        self.recipe, self.folder, self.say, self.save_every = recipe, around.folder, around.say, around.save_every
        self.validate, self.save_weights = validate, save_weights
        self.accelerator = accelerator_for(recipe, around.device, around.trackers)
        if recipe.freeze_stem:
            freeze(model)
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        share_norms(model, world)
        self.together = WholeStep(world, recipe.accumulate)
        self.epochs = Epochs(data, spec, recipe, rank, world, proposals, pictures_for(data, around))
        self.batches = self.epochs.length
        optimizer = build_optimizer(model, recipe)
        self.schedule = build_schedule(optimizer, recipe, recipe.epochs * self.batches // recipe.accumulate)
        step = TrainStep(model, spec, recipe.precision == "bf16")
        if around.compile:
            step.compile(**COMPILED.get(self.device.type, {}))
        self.step, self.optimizer = self.accelerator.prepare(step, optimizer)
        self.average = Average(model.to(self.device), recipe.ema) if recipe.ema else None
        patience = PATIENCE.get(self.device.type, 1)
        self.losses = Losses(patience, world)
        learning = [model] if self.average is None else [model, self.average]
        self.halt = Halt(learning, self.device, patience, self.accelerator.num_processes)
        optimizer.found_inf = self.halt.stopped  # type: ignore[attr-defined]  # a fused one then does nothing
        self.epoch, self.batch, self.steps = 0, 0, 0  # batch: of the epoch, how many are done
        self.best, self.stale = -1.0, 0  # stale: evaluations since the best
        self.can_resume = False  # before its first checkpoint
        self.marks: Mapping[str, int] = {}  # of the log, as the last checkpoint has them
        self.resumed = Position()
        self.saved_at = (0, time.monotonic())  # steps, and when
        self.signals = StopSignals()
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

    @property
    def finished(self) -> bool:
        """Whether nothing is left to learn, or nothing better came for long."""
        return self.epoch >= self.recipe.epochs or 0 < self.recipe.patience <= self.stale

    def run(self) -> None:
        """All that is left of the epochs."""
        if self.accelerator.is_main_process:
            track(self.accelerator, self.folder.resolve().name, self.recipe)
            self.log = RunLog(self.folder, self.marks, sender(self.accelerator, self.say))
        stream = None if self.accelerator.is_main_process else StringIO()  # one process speaks
        at_once = min(self.recipe.batch_size, self.epochs.images) * self.accelerator.num_processes
        done = (self.epoch * self.batches + self.batch) * at_once
        progress = ProgressLine(self.recipe.epochs * self.batches * at_once, done, stream, self.resumed.shown)
        self.saved_at = (self.steps, time.monotonic())
        with self.signals, self.signals.kept(), workers_heard():
            while not self.finished:
                self._train_epoch(progress)
                with progress.pause():
                    self._finish_epoch(progress)
        if self.epoch < self.recipe.epochs:
            early = f"no better result in {counted(self.stale, 'evaluation')}: ended after epoch {self.epoch}"
            self._tell(f"{early}; with --patience 0 --resume it goes on")
        if self.log is not None:
            self.log.close()
        self.accelerator.wait_for_everyone()  # the files are there once any process is done
        finish(self.accelerator, self._tell)

    def resume(self) -> None:
        """Goes on from the folder's last checkpoint: weights, average, optimizer, schedule, place in the epoch, random
        numbers, curves and best result.

        Raises InputError where that cannot be, with a checkpoint of other settings or a damaged one."""
        self.resumed = at = resume_from(
            self.folder,
            self.recipe.epochs,
            self._tell,
            model=self.model,
            average=self.average,
            optimizer=self.optimizer,
            schedule=self.schedule,
        )
        self.epoch, self.best, self.stale = at.epoch, at.best, at.stale
        self.batch = self.batches if at.trained else self.epochs.batch_at(at.images)
        self._go_to((self.epoch * self.batches + self.batch) // self.recipe.accumulate)
        self.marks, self.can_resume = at.log, True

    def _tell(self, line: str) -> None:
        if self.accelerator.is_main_process:
            self.say(line)

    def _train_epoch(self, progress: ProgressLine) -> None:
        """What is left of the epoch's batches."""
        self.step.train()
        batches = self.epochs.of(self.epoch, self.batch)
        apart = self.accelerator.process_index << 32  # dropout is to differ
        torch.manual_seed(self.recipe.seed + self.epoch + apart)  # an epoch begun anew draws the same
        if self.batch:
            restore_random_state(self.resumed.random, self.accelerator.process_index, self.device)
        for own in in_steps(batches, self.recipe.accumulate):
            self.train_step(own)
            self.batch += len(own)
            self._read(self.losses.read(), progress)
            if self.batch < self.batches:
                self._save_or_stop(progress)
        self._read(self.losses.rest(), progress)

    def _save_or_stop(self, progress: ProgressLine) -> None:
        """Between two steps: what is due, and what was asked for by a signal."""
        if self.losses.block and self.steps % self.losses.block and self.accelerator.num_processes > 1:
            return  # to agree is to wait for the device
        wanted = self._wanted()
        if wanted >= SAVE:
            self._read(self.losses.rest(), progress)
            self._save(progress)
        if wanted == STOP:
            self._stop(f"step {self.steps}")

    def _wanted(self) -> int:
        """What any of the processes wants."""
        steps, moment = self.saved_at
        due = self.save_every.is_due(self.steps - steps, time.monotonic() - moment)
        own = STOP if self.signals.asked else SAVE if due else NOTHING
        return largest(own, self.device, self.accelerator.num_processes)

    def _stop(self, after: str) -> None:
        self._tell(f"stopped after {after}, which is saved: go on with --resume")
        self.signals.stop()

    def train_step(self, batches: Sequence[Batch]) -> None:
        """The batches whose gradients are summed, and what is learnt from them."""
        self.halt.keep(self.steps)
        inputs = [on_device(batch, self.device) for batch in batches]
        if len(batches) > 1:
            step: TrainStep = self.accelerator.unwrap_model(self.step)
            self.together.count(inputs, lambda given: step(*given))
            self.halt.undo(self.steps)  # the statistics of batch norm see each batch once
        for done, (batch, given) in enumerate(zip(batches, inputs, strict=True), start=self.batch + 1):
            with self.accelerator.accumulate(self.step):
                self._learn_from(batch, given, self.epoch + done / self.batches)

    def _learn_from(self, batch: Batch, inputs: StepInput, epoch: float) -> None:
        with self.together.learning():
            losses = self.step(*inputs)
        total: Tensor = torch.stack(list(losses.values())).sum()
        self.halt.look_at(total)
        self.accelerator.backward(total)
        if self.accelerator.sync_gradients:
            self.halt.look_at(self._clip())
        given = Given(files=batch.files, epoch=epoch, steps=self.steps, rate=self.optimizer.param_groups[-1]["lr"])
        self.losses.add(given, losses, self.halt.stopped)
        if self.accelerator.sync_gradients:
            self._update()

    def _clip(self) -> Tensor:
        """The norm of the whole gradient, which is no longer than the recipe lets it be afterwards."""
        parameters = [parameter for parameter in self.step.parameters() if parameter.grad is not None]
        if not self.recipe.clip_norm:
            return get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        norm: Tensor = self.accelerator.clip_grad_norm_(parameters, self.recipe.clip_norm)
        return norm

    def _update(self) -> None:
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
                course = (progress.first_loss, progress.last_loss)
                raise NotFiniteError(batch, losses, course, can_resume=self.can_resume, elsewhere=elsewhere)
            progress.update(len(batch.files) * processes, batch.epoch, reading.shown)
            if self.log is not None and (batch.steps + 1) % 20 == 0:
                self.log.step({f"loss/{k}": v for k, v in reading.shown.items()} | {"lr": batch.rate}, batch.steps + 1)

    def _go_back(self, steps: int) -> None:
        """What counts steps, and the statistics, to where they were; the device has left all else as it was."""
        self.halt.undo(steps)
        self._go_to(steps)

    def _go_to(self, steps: int) -> None:
        """The step to come is that one: where batches have another size now, it is placed by the images seen."""
        go_to(self.optimizer, self.schedule, steps)
        self.steps = steps

    def _finish_epoch(self, progress: ProgressLine) -> None:
        """Evaluates and keeps the weights; a line in the log, and one to read. Saved before and after."""
        first, last = progress.first_loss, progress.last_loss
        if first is not None and last > ROSE * first:
            self._tell(f"note: the loss rose from {first:.3g} to {last:.3g}: the training diverges; lower --lr")
        due = self.epoch + 1 == self.recipe.epochs or (self.epoch + 1) % self.recipe.eval_every == 0
        measured = self.validate is not None and due
        wanted = self._wanted()
        if measured or wanted == STOP or not self.can_resume:
            self._save(progress)
        if wanted == STOP:
            self._stop(f"epoch {self.epoch + 1}")
        results = self._measured() if due else {}
        better = self._is_best(next(iter(results.values()), None))
        if self.accelerator.is_main_process:
            for name in ("last", "best") if better else ("last",):
                self.save_weights(self.folder / f"{name}.safetensors", self.result)
            self._report_epoch(results, progress)
        self.epoch, self.batch = self.epoch + 1, 0
        self._save(progress)
        if self._wanted() == STOP:
            self._stop(f"epoch {self.epoch}")

    def _measured(self) -> dict[str, float]:
        """What is measured: it may take long, and all before it is saved, so that a signal ends it at once."""
        with self.signals.kept(False):
            if self.signals.asked:
                self.signals.stop()
            return {} if self.validate is None else self.validate(self.result.eval())

    def _report_epoch(self, results: Mapping[str, float], progress: ProgressLine) -> None:
        """A line in the log, and one to read."""
        rate = self.optimizer.param_groups[-1]["lr"]
        record = epoch_record(self.epoch + 1, progress.losses, results, rate, progress.rate())
        if self.log is not None:
            self.log.epoch(record, self.steps)
            self.say(f"{progress.line(self.epoch + 1)}  {overall(results)}".rstrip())

    def keep_log(self) -> None:
        """What was logged after the last checkpoint belongs to it."""
        log = RunLog(self.folder, None)
        self.marks = log.marks()
        log.close()
        save_state(self.folder / LAST, read_state(self.folder / LAST) | {"log": self.marks})

    def _is_best(self, score: float | None) -> bool:
        """Where nothing is measured, ever or so far (NaN: nothing to find), the last weights count as the best."""
        if score is None or isnan(score):
            return self.best < 0
        better = score > self.best
        self.best = max(score, self.best)
        self.stale = 0 if better or self.best <= 0 else self.stale + 1  # nothing is found yet: that may come
        return better

    def _save(self, progress: ProgressLine) -> None:
        """A checkpoint of the weights as they are; raises InputError where these are not finite, and writes none."""
        random = of_each(random_state(self.device), self.accelerator.num_processes)
        self.saved_at, self.can_resume = (self.steps, time.monotonic()), True
        if self.log is None:
            return
        state = {
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        for weights in (state["model"], state["average"] or {}):
            check_finite(weights, f"step {self.steps} is not saved, the checkpoint before stays")
        self.marks = self.log.marks()
        at = Position(
            epoch=self.epoch,
            images=self.epochs.images_at(self.batch),
            trained=self.batch == self.batches,
            steps=self.steps,
            best=self.best,
            stale=self.stale,
            random=random,
            shown=dict(progress.losses),
            log=self.marks,
        )
        save_state(self.folder / LAST, state | asdict(at))
