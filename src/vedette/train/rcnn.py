"""R-CNN's and SPPNet's training: stage after stage, each kept on disk, so that a run goes on where it stopped.

Proposals (in their cache) → fine-tuning (last.pt after each epoch) → features of all proposals (features/, a file an
image) → SVMs (svm.safetensors) → box regression (regressor.safetensors) → weights. The features are large, and are
removed at the end; an epoch of fine-tuning makes what comes after it invalid, and removes it.

Shapes: `N` boxes of one image, `C` classes, `F` features of fc7, `D` of pool5, `R` proposals near a gt box.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from vedette.data.loader import AnnotatedImages, Batch, eval_loader
from vedette.data.values import counted
from vedette.infer.look import Look
from vedette.ops.boxes import iou
from vedette.papers.rcnn import RegionClassifier
from vedette.train.around import Around
from vedette.train.checkpoint import removed_if_damaged, save_tensors
from vedette.train.fit_rcnn import ImageFeatures, Linear, fit_box_regression, fit_svms
from vedette.train.log import RunLog, logged, overall
from vedette.train.loop import SaveWeights, Training, Validate
from vedette.train.processes import is_first_process, meet, own_share
from vedette.train.recipe import Recipe
from vedette.train.search import searched

FEATURES, SVM, REGRESSOR = "features", "svm.safetensors", "regressor.safetensors"
NEAR_IOU = 0.6  # app. C: from a proposal nearer than this to its gt box the regression learns


class RCNNTraining:
    """One run of all stages; `run()` does those that are left in the folder. The arguments are those of `Training`."""

    def __init__(
        self,
        model: RegionClassifier,
        data: AnnotatedImages,
        recipe: Recipe,
        around: Around,
        *,
        validate: Validate | None,
        save_weights: SaveWeights,
    ) -> None:
        self.data, self.recipe, self.around, self.folder = data, recipe, around, around.folder
        self.validate, self.save_weights, self.say, self.watch = validate, save_weights, around.tell, around.count
        self.proposals: list[Tensor] = []  # of each image, once they are searched
        model.svm_fitted.fill_(False)  # whatever it began with: those SVMs are not for the features to come
        self.tuning = Training(
            model,
            data,
            model.input_spec,
            recipe,
            around,
            validate=None,  # it is measured whole
            save_weights=self._save_epoch,
            proposals=self.proposals.__getitem__,
        )
        self.model = model  # and from the end of fine-tuning on what that comes to

    def resume(self) -> None:
        """Goes on from the folder's last finished epoch.

        Raises InputError where that cannot be, with a checkpoint of other settings or a damaged one.
        """
        self.tuning.resume()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to learn."""
        return self.tuning.finished and all((self.folder / name).is_file() for name in (SVM, REGRESSOR))

    def run(self) -> None:
        """The stages that are left, and the weight file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._propose()
        self._fine_tune()
        if not self.finished:
            self._extract()
            meet()
        self._take_fits(self._fit(SVM, self._fit_svms), self._fit(REGRESSOR, self._fit_regression))
        if is_first_process():
            for name in ("last", "best"):
                self.save_weights(self.folder / f"{name}.safetensors", self.model)
            shutil.rmtree(self.folder / FEATURES, ignore_errors=True)
        self._measure()

    def _propose(self) -> None:
        c = self.model.config
        self.say(f"stage 1: selective search, {c.search}, at most {counted(c.proposals, 'proposal')} an image")
        self.proposals[:] = searched(c, self.data, self.recipe, self.around)

    def _fine_tune(self) -> None:
        epochs = self.recipe.epochs
        self.say(f"stage 2: fine-tuning, {epochs - self.tuning.epoch} of {counted(epochs, 'epoch')}")
        self.tuning.run()
        self.model = self.tuning.result.eval()  # type: ignore[assignment]

    def _save_epoch(self, path: Path, model: nn.Module) -> None:
        """An epoch's weights, which detect already, scored by the softmax; what was made with those of before goes."""
        shutil.rmtree(self.folder / FEATURES, ignore_errors=True)
        for name in (SVM, REGRESSOR):
            (self.folder / name).unlink(missing_ok=True)
        self.save_weights(path, model)

    def _measure(self) -> None:
        """The whole detector, once."""
        whole = {"epoch": self.tuning.epoch, "stage": "whole"}
        done = any(whole.items() <= row.items() for row in logged(self.folder))
        results = {} if done or self.validate is None else self.validate(self.model)
        if results and is_first_process():
            log = RunLog(self.folder, self.tuning.marks)
            log.epoch(whole | results, self.tuning.steps)
            self.say(overall(results))
            log.close()
            self.tuning.keep_log()

    # Features

    @torch.no_grad()
    def _extract(self) -> None:
        """A file of features for each image that has none yet; the processes share the images."""
        number = sum(map(len, self.proposals))
        size = number * self.model.fc7_width * 2 / 1e9
        where = f"{size:.1f} GB in {self.folder / FEATURES} until the end"
        self.say(f"stage 3: features of {counted(number, 'proposal')}, {where}")
        (self.folder / FEATURES).mkdir(exist_ok=True)
        own = own_share(len(self.data))
        left = [index for index in own if not self._feature_file(index).is_file()]
        spec, recipe = self.model.input_spec, self.recipe
        loader = eval_loader(self.data, spec, 1, recipe.workers, recipe.difficult, self.proposals.__getitem__, left)
        with self.watch(len(own), "images") as bar:
            for done, batch in enumerate(loader, start=len(own) - len(left) + 1):
                save_tensors(self._feature_file(batch.indices[0]), self._features_of(batch))
                bar.reach(done, len(own))

    def _features_of(self, batch: Batch) -> dict[str, Tensor]:
        """What the fits need of a batch's one image, in float16 where it is large."""
        (truth,), proposals = batch.targets, torch.cat(batch.proposals or [])
        counts = torch.ones_like(truth.labels, dtype=torch.bool) if truth.ignore is None else ~truth.ignore
        gt, labels = truth.boxes[counts], truth.labels[counts]
        boxes, device = torch.cat([gt, proposals]), self.tuning.device
        sizes, whose = batch.shapes.to(device), torch.zeros(len(boxes), dtype=torch.int64, device=device)
        look = Look(self.model, self.model.input_spec, self.recipe.precision == "bf16").to(device)
        with look.autocast(device):
            seen = self.model.features(look.pixels(batch.images.to(device), sizes), boxes.to(device), whose, sizes)
        near, deltas, near_labels = self._near(boxes, gt, labels)
        return {
            "fc7": _half(seen.fc7),
            "labels": torch.cat([labels, torch.full((len(proposals),), -1)]),
            "overlap": _overlap_by_class(boxes, truth.boxes, truth.labels, self.model.config.num_classes),
            "pool5": _half(seen.pool5[near.to(device)]),
            "norms": seen.pool5.float().norm(dim=1).cpu(),
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
        """What a fit gave, from its file where it was done before; the first process fits."""
        file = self.folder / name
        if is_first_process() and not file.is_file():
            save_tensors(file, fit()._asdict())
        meet()
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
        self.say(f"stage 5: box regression of {counted(classes, 'class')}")
        norms = torch.cat([norms for (norms,) in self._stored("norms")])
        with self.watch(classes, "classes") as bar:

            def examples(label: int) -> tuple[Tensor, Tensor]:
                bar.reach(label, classes)
                rows = [
                    (pool5[labels == label], deltas[labels == label])
                    for pool5, deltas, labels in self._stored("pool5", "deltas", "near_labels")
                ]
                return torch.cat([pool5 for pool5, _ in rows]), torch.cat([deltas for _, deltas in rows])

            return fit_box_regression(examples, classes, self.model.pool5_width, norm=float(norms.mean()))

    @torch.no_grad()
    def _take_fits(self, svm: Linear, regressor: Linear) -> None:
        for name, layer, fit in ((SVM, self.model.svm, svm), (REGRESSOR, self.model.regressor, regressor)):
            with removed_if_damaged(self.folder / name):
                layer.weight.copy_(fit.weight)
                layer.bias.copy_(fit.bias)
        self.model.svm_fitted.fill_(True)


def _half(features: Tensor) -> Tensor:
    """float16 on the CPU, cut at what it can hold."""
    most = torch.finfo(torch.float16).max
    return features.float().clamp(-most, most).half().cpu()


def _overlap_by_class(boxes: Tensor, gt: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """(N, C) the highest IoU of each box with the gt boxes of each class, ignored ones among them."""
    overlap = torch.zeros(len(boxes), num_classes)
    return overlap.scatter_reduce(1, labels.expand(len(boxes), -1), iou(boxes, gt), "amax")
