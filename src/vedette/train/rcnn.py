"""R-CNN's and SPPNet's training: stage after stage, each kept on disk, so that a run goes on where it stopped.

Proposals (in their cache) → fine-tuning (last.pt after each epoch) → features of all proposals (features/, a file an
image) → SVMs (svm.safetensors) → box regression (regressor.safetensors) → weights. The features are large, and are
removed at the end; an epoch of fine-tuning makes what comes after it invalid, and removes it.

Shapes: `N` boxes of one image, `C` classes, `F` features of fc7, `D` of pool5, `R` proposals near a gt box.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import DataLoader

from vedette.data.loader import AnnotatedImages, EpochSampler, repeat_factors
from vedette.data.selective_search import proposals_of
from vedette.data.whole_images import WholeImage, WholeImages, as_list
from vedette.ops.boxes import iou
from vedette.ops.images import normalize
from vedette.papers.rcnn import RegionClassifier
from vedette.train.average import averaged
from vedette.train.checkpoint import LAST, removed_if_damaged, save_state, save_tensors
from vedette.train.fit_rcnn import ImageFeatures, Linear, fit_box_regression, fit_svms
from vedette.train.log import RunLog
from vedette.train.loop import NotFiniteError, SaveWeights, Validate, freeze
from vedette.train.optim import build_optimizer, build_schedule
from vedette.train.progress import ProgressLine, Watch
from vedette.train.recipe import Recipe
from vedette.train.resume import resume_from

FEATURES, SVM, REGRESSOR = "features", "svm.safetensors", "regressor.safetensors"
NEAR_IOU = 0.6  # app. C: from a proposal nearer than this to its gt box the regression learns


class RCNNTraining:
    """One run of all stages; `run()` does those that are left in `folder`.

    The arguments are those of `Training`; `watch` shows a stage's progress.
    """

    def __init__(
        self,
        model: RegionClassifier,
        data: AnnotatedImages,
        recipe: Recipe,
        folder: Path,
        *,
        validate: Validate | None,
        save_weights: SaveWeights,
        device: str,
        say: Callable[[str], None],
        watch: Watch,
    ) -> None:
        self.model, self.data, self.recipe, self.folder = model, data, recipe, folder
        self.validate, self.save_weights, self.say, self.watch = validate, save_weights, say, watch
        self.device = torch.device(device)
        if recipe.freeze_stem:
            freeze(model)
        model.svm_fitted.fill_(False)  # whatever it began with: those SVMs are not for the features to come
        self.model.to(self.device).to(memory_format=torch.channels_last)
        self.average = averaged(model, recipe.ema) if recipe.ema else None
        factors = repeat_factors(data, recipe.repeat_below) if recipe.repeat_below else torch.ones(len(data))
        self.sampler = EpochSampler(factors, recipe.seed)
        self.batches = -(-len(self.sampler) // recipe.batch_size)
        self.optimizer = build_optimizer(model, recipe)
        self.schedule = build_schedule(self.optimizer, recipe, recipe.epochs * -(-self.batches // recipe.accumulate))
        self.epoch, self.steps = 0, 0

    def resume(self) -> None:
        """Goes on from the folder's last finished epoch.

        Raises InputError where that cannot be, with a checkpoint of other settings or a damaged one.
        """
        state = resume_from(
            self.folder,
            self.recipe.epochs,
            model=self.model,
            average=self.average,
            optimizer=self.optimizer,
            schedule=self.schedule,
        )
        self.epoch, self.steps = state["epoch"], state["steps"]

    def run(self) -> None:
        """The stages that are left, and the weight file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        proposals = self._propose()
        log = RunLog(self.folder)
        self._fine_tune(proposals, log)
        if self.average is not None:
            self.model.load_state_dict(self.average.module.state_dict())
        self.model.eval()
        if not all((self.folder / name).is_file() for name in (SVM, REGRESSOR)):
            self._extract(proposals)
        self._take_fits(self._fit(SVM, self._fit_svms), self._fit(REGRESSOR, self._fit_regression))
        for name in ("last", "best"):
            self.save_weights(self.folder / f"{name}.safetensors", self.model)
        shutil.rmtree(self.folder / FEATURES, ignore_errors=True)
        results = self.validate(self.model) if self.validate is not None else {}
        if results:
            log.epoch({"epoch": self.epoch, "stage": "whole", **results}, self.steps)
            self.say("  ".join(f"{name} {value:.4f}" for name, value in results.items()))
        log.close()

    def _propose(self) -> list[Tensor]:
        c = self.model.config
        self.say(f"stage 1: selective search, {c.search}, at most {c.proposals} proposals an image")
        with self.watch(len(self.data), "images") as bar:
            return proposals_of(self.data, c.search, c.proposals, workers=self.recipe.workers, progress=bar.reach)

    # Fine-tuning

    def _fine_tune(self, proposals: Sequence[Tensor], log: RunLog) -> None:
        recipe = self.recipe
        self.say(f"stage 2: fine-tuning, {recipe.epochs - self.epoch} of {recipe.epochs} epochs")
        progress = ProgressLine(recipe.epochs * len(self.sampler), self.epoch * len(self.sampler))
        images = WholeImages(self.data, self.model.input_spec, proposals, recipe.difficult)
        loader = self._loader(images, batch_size=recipe.batch_size, sampler=self.sampler)
        while self.epoch < recipe.epochs:
            self._forget_fits()
            self.sampler.set_epoch(self.epoch)
            torch.manual_seed(recipe.seed + self.epoch)  # an epoch begun anew draws the same windows
            self.model.train()
            for number, batch in enumerate(loader):
                losses = self._train_step(
                    batch, update=(number + 1) % recipe.accumulate == 0 or number + 1 == len(loader)
                )
                progress.update(len(batch), self.epoch + (number + 1) / len(loader), losses)
                if self.steps % 20 == 0:
                    log.step({f"loss/{name}": value for name, value in losses.items()}, self.steps)
            self.epoch += 1
            self._save()
            values = {name: round(value, 4) for name, value in progress.losses.items()}
            log.epoch({"epoch": self.epoch, **values, "images_per_second": round(progress.rate(), 2)}, self.steps)
            self.say(progress.line(self.epoch))

    def _train_step(self, batch: Sequence[WholeImage], update: bool) -> dict[str, float]:
        targets = [one.target for one in batch]
        windows = self.model.draw_windows([one.proposals for one in batch], targets)
        images, sizes = self._stack(batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            found = self.model(images, sizes, windows)
            losses = self.model.loss(found, [target.to(self.device) for target in targets])
        total = torch.stack(list(losses.values())).float().sum()
        if not bool(total.isfinite()):
            raise NotFiniteError(losses, [one.file for one in batch], can_resume=self.epoch > 0)
        (total / self.recipe.accumulate).backward()  # type: ignore[no-untyped-call]
        if update:
            self._update()
        return {name: float(value.detach()) for name, value in losses.items()}

    def _update(self) -> None:
        if self.recipe.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.steps += 1
        if self.average is not None:
            self.average.update_parameters(self.model)

    def _save(self) -> None:
        """The checkpoint, and weights that detect already, scored by the softmax."""
        result = self.model if self.average is None else self.average.module
        self.save_weights(self.folder / "last.safetensors", result)
        state = {
            "model": self.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "steps": self.steps,
        }
        save_state(self.folder / LAST, state)

    def _forget_fits(self) -> None:
        """What was made with the weights that are about to change."""
        shutil.rmtree(self.folder / FEATURES, ignore_errors=True)
        for name in (SVM, REGRESSOR):
            (self.folder / name).unlink(missing_ok=True)

    # Features

    @torch.no_grad()
    def _extract(self, proposals: Sequence[Tensor]) -> None:
        """A file of features for each image that has none yet."""
        number = sum(map(len, proposals))
        size = number * self.model.fc7_width * 2 / 1e9
        self.say(f"stage 3: features of {number} proposals, {size:.1f} GB in {self.folder / FEATURES} until the end")
        (self.folder / FEATURES).mkdir(exist_ok=True)
        left = [index for index in range(len(self.data)) if not self._feature_file(index).is_file()]
        images = WholeImages(self.data, self.model.input_spec, proposals, self.recipe.difficult)
        with self.watch(len(self.data), "images") as bar:
            for done, (image,) in enumerate(self._loader(images, batch_size=1, sampler=left)):
                save_tensors(self._feature_file(image.index), self._features_of(image))
                bar.reach(len(self.data) - len(left) + done + 1, len(self.data))

    def _features_of(self, image: WholeImage) -> dict[str, Tensor]:
        """What the fits need of an image, in float16 where it is large."""
        truth = image.target
        counts = torch.ones_like(truth.labels, dtype=torch.bool) if truth.ignore is None else ~truth.ignore
        gt, labels = truth.boxes[counts], truth.labels[counts]
        boxes = torch.cat([gt, image.proposals])
        pixels, sizes = self._stack([image])
        whose = torch.zeros(len(boxes), dtype=torch.int64, device=self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            looks = self.model.features(pixels, boxes.to(self.device), whose, sizes)
        near, deltas, near_labels = self._near(boxes, gt, labels)
        return {
            "fc7": _half(looks.fc7),
            "labels": torch.cat([labels, torch.full((len(image.proposals),), -1)]),
            "overlap": _overlap_by_class(boxes, truth.boxes, truth.labels, self.model.config.num_classes),
            "pool5": _half(looks.pool5[near.to(self.device)]),
            "deltas": deltas,
            "near_labels": near_labels,
        }

    def _near(self, boxes: Tensor, gt: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(R,) rows of boxes near a gt box, (R, 4) the deltas that lead to it, (R,) its label."""
        if not len(gt):
            return torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
        best, matched = iou(boxes, gt).max(1)
        near = (best > NEAR_IOU).nonzero().flatten()
        own = matched[near]
        return near, self.model.coder.encode(gt[own], boxes[near]), labels[own]

    def _feature_file(self, index: int) -> Path:
        return self.folder / FEATURES / f"{index:06d}.safetensors"

    def _stored(self, *names: str) -> Iterator[list[Tensor]]:
        """The tensors of these names of each image.

        Raises InputError for a damaged file, which is removed, so that a resumed run makes it again.
        """
        for index in range(len(self.data)):
            file = self._feature_file(index)
            with removed_if_damaged(file):
                tensors = load_file(file)
                wanted = [tensors[name] for name in names]
            yield wanted

    # SVMs and box regression

    def _fit(self, name: str, fit: Callable[[], Linear]) -> Linear:
        """What a fit gave, from its file where it was done before."""
        file = self.folder / name
        if not file.is_file():
            save_tensors(file, fit()._asdict())
        with removed_if_damaged(file):
            return Linear(**load_file(file))

    def _fit_svms(self) -> Linear:
        classes = self.model.config.num_classes
        self.say(f"stage 4: {classes} SVMs, hard negatives mined in one pass")
        with self.watch(len(self.data), "images") as bar:
            return fit_svms(
                lambda: (ImageFeatures(*row) for row in self._stored("fc7", "labels", "overlap")),
                classes,
                progress=lambda done: bar.reach(done, len(self.data)),
            )

    def _fit_regression(self) -> Linear:
        classes = self.model.config.num_classes
        self.say(f"stage 5: box regression of {classes} classes")
        with self.watch(classes, "classes") as bar:

            def examples(label: int) -> tuple[Tensor, Tensor]:
                bar.reach(label, classes)
                rows = [
                    (pool5[labels == label], deltas[labels == label])
                    for pool5, deltas, labels in self._stored("pool5", "deltas", "near_labels")
                ]
                return torch.cat([pool5 for pool5, _ in rows]), torch.cat([deltas for _, deltas in rows])

            return fit_box_regression(examples, classes, self.model.pool5_width)

    @torch.no_grad()
    def _take_fits(self, svm: Linear, regressor: Linear) -> None:
        for name, layer, fit in ((SVM, self.model.svm, svm), (REGRESSOR, self.model.regressor, regressor)):
            with removed_if_damaged(self.folder / name):
                layer.weight.copy_(fit.weight)
                layer.bias.copy_(fit.bias)
        self.model.svm_fitted.fill_(True)

    # Images

    def _loader(self, images: WholeImages, **how: Any) -> DataLoader[WholeImage]:
        return DataLoader(images, num_workers=self.recipe.workers, collate_fn=as_list, **how)

    def _stack(self, batch: Sequence[WholeImage]) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) normalised, padded with the mean colour, and (B, 2) the true heights and widths."""
        shapes = [one.image.shape[1:] for one in batch]
        height, width = (max(shape[side] for shape in shapes) for side in (0, 1))
        images = [normalize(one.image.to(self.device), self.model.input_spec) for one in batch]
        padded = [pad(x, (0, width - x.shape[2], 0, height - x.shape[1])) for x in images]
        return torch.stack(padded), torch.tensor(shapes, device=self.device)


def _half(features: Tensor) -> Tensor:
    """float16 on the CPU, cut at what it can hold."""
    most = torch.finfo(torch.float16).max
    return features.float().clamp(-most, most).half().cpu()


def _overlap_by_class(boxes: Tensor, gt: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """(N, C) the highest IoU of each box with the gt boxes of each class, ignored ones among them."""
    overlap = torch.zeros(len(boxes), num_classes)
    return overlap.scatter_reduce(1, labels.expand(len(boxes), -1), iou(boxes, gt), "amax")
