"""Faster R-CNN trained in four steps: RPN and detector in turns, until both look at the same maps.

Ren, He, Girshick, Sun. NIPS 2015, section 3.2, i. Each step is a `Training` in a folder of its own, step1 to step4:

    1  the RPN, on a backbone of its own, from the start weights
    2  the detector, on another backbone, from the start weights too and on the proposals of step 1
    3  the RPN from the start weights on step 2's network, whose maps stay as they are
    4  the layers that the detector alone has go on from step 2, on the proposals of step 3 and the same maps

What is left is an ordinary FasterRCNN: step 2's maps, step 3's RPN, step 4's layers for regions.

On disk besides each step's last.pt: start.safetensors, the weights that steps 1 to 3 begin with, and what steps 1 and 3
propose for every image (proposals.safetensors). A run goes on from whatever of these there is.

Shapes: `B` images of a batch, `P` proposals of an image.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from vedette.backbones.regions import RegionBackbone
from vedette.data.loader import AnnotatedImages
from vedette.data.values import counted
from vedette.papers.fast_rcnn import Predictions as RegionPredictions
from vedette.papers.fast_rcnn import pad_proposals
from vedette.papers.faster_rcnn import FasterRCNN, Predictions
from vedette.parts.sizes import whole_sizes
from vedette.structures import Detections, InputSpec, TargetBatch, Targets, check_targets, pad_targets
from vedette.train.around import Around
from vedette.train.checkpoint import LAST, PREVIOUS, has_state, read_state
from vedette.train.loop import SaveWeights, Training, Validate
from vedette.train.recipe import Recipe
from vedette.train.rpn_proposals import read_proposals, recall_of, rpn_proposals, write_proposals

START, PROPOSALS = "start.safetensors", "proposals.safetensors"
STEPS = {
    1: "the RPN, from the start weights",
    2: "the detector, from the start weights, on step 1's proposals",
    3: "the RPN on step 2's maps",
    4: "the detector's own layers, on step 3's proposals",
}


class Part(nn.Module):
    """One of the two parts of a detector, as a model that learns by itself: its layers, and those of the maps.

    fixed: the maps stay as they are, the statistics of batch norm too.
    """

    def __init__(self, detector: FasterRCNN, *, fixed: bool) -> None:
        super().__init__()
        self.detector, self.fixed = detector, fixed
        learning = set(self.own_parameters())
        if not fixed:
            learning |= set(shared_parameters(detector.backbone))
        for parameter in detector.parameters():
            if parameter not in learning:
                parameter.requires_grad_(False)

    @property
    def backbone(self) -> RegionBackbone:
        """The detector's, whose stem a recipe may freeze."""
        return self.detector.backbone

    @abstractmethod
    def own_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters that the other part does not use."""

    def train(self, mode: bool = True) -> Self:
        """As of any module, but for the layers that are fixed."""
        super().train(mode)
        if self.fixed:
            self.backbone.eval()
            for layer in self.backbone.top_layers():
                layer.train(mode)
        return self

    def truth(self, targets: Targets, images: int, device: torch.device) -> TargetBatch:
        """The targets of so many images, padded; raises ValueError for those that do not fit."""
        check_targets(targets, images, self.detector.config.num_classes)
        return pad_targets(targets, device)


class RPNPart(Part):
    """The RPN: steps 1 and 3."""

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """The RPN's."""
        return self.detector.rpn.parameters()

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Predictions:
        """images (B, 3, H, W), sizes (B, 2); there are no proposals, for nothing looks at them yet."""
        features = self.backbone(images)
        rpn, anchors = self.detector.rpn(features), self.detector.anchor_cache.of(images, features).boxes
        none = rpn.logits[:, :0, 0]
        return Predictions(rpn, features, rpn.deltas[:, :0], none, none.long(), anchors, whole_sizes(images, sizes))

    def loss(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Eq. 1."""
        truth = self.truth(targets, len(predictions.sizes), predictions.anchors.device)
        rpn_class, rpn_box = self.detector.rpn_loss(predictions, truth)
        return {"rpn_class": rpn_class, "rpn_box": rpn_box}


class DetectorPart(Part):
    """Fast R-CNN on proposals that do not change: steps 2 and 4."""

    needs_proposals = True

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the layers above the maps."""
        layers = (*self.backbone.top_layers(), self.detector.head)
        return chain.from_iterable(layer.parameters() for layer in layers)

    def forward(
        self, images: Tensor, sizes: Tensor | None = None, proposals: Sequence[Tensor] | None = None
    ) -> RegionPredictions:
        """images (B, 3, H, W), sizes (B, 2), B times (P_i, 4)."""
        padded, there = pad_proposals(images, proposals)
        return RegionPredictions(self.backbone(images), padded, there, whole_sizes(images, sizes))

    def loss(self, predictions: RegionPredictions, targets: Targets) -> dict[str, Tensor]:
        """Fast R-CNN's eq. 1."""
        features, proposals, there, _ = predictions
        truth = self.truth(targets, len(proposals), proposals.device)
        class_, box = self.detector.detector_loss(features, proposals, there, truth)
        return {"class": class_, "box": box}


class Unshared(nn.Module):
    """The RPN of one network and the detector of another: what steps 1 and 2 come to, to be measured."""

    def __init__(self, proposer: FasterRCNN, detector: FasterRCNN) -> None:
        super().__init__()
        self.proposer, self.detector = proposer, detector

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Predictions:
        """As FasterRCNN, with the detector's maps."""
        proposed: Predictions = self.proposer(images, sizes)
        return proposed._replace(features=self.detector.backbone(images))

    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """As FasterRCNN."""
        return self.detector.detect(predictions, score)


class FourStepTraining:
    """One run of all steps; `run()` does what is left of them.

    The arguments are those of `Training`, the recipe is each step's.
    To go on, `model` has the weights of start.safetensors.
    """

    def __init__(
        self,
        model: FasterRCNN,
        data: AnnotatedImages,
        spec: InputSpec,
        recipe: Recipe,
        around: Around,
        *,
        validate: Validate | None,
        save_weights: SaveWeights,
    ) -> None:
        self.start, self.data, self.spec, self.recipe, self.around = model, data, spec, recipe, around
        self.folder, self.say, self.validate, self.save_weights = around.folder, around.say, validate, save_weights
        self.resumed = False

    def resume(self) -> None:
        """Goes on with the step and the epoch that the folder's files lead to."""
        self.resumed = True

    @property
    def finished(self) -> bool:
        """Whether nothing is left to learn: the last step has its last epoch."""
        last = self._step(max(STEPS))
        return self.resumed and has_state(last) and read_state(last / LAST)["epoch"] >= self.recipe.epochs

    def run(self) -> None:
        """The four steps.

        Raises InputError for a checkpoint or proposals that are damaged or of other settings or data.
        """
        if not self.resumed:
            self._begin()
        proposer = self._train(1, RPNPart(self._network(), fixed=False))
        proposals = self._propose(1, proposer)
        detector = self._train(
            2, DetectorPart(self._network(), fixed=False), proposals, whole=partial(Unshared, proposer)
        )
        shared = self._train(3, RPNPart(self._network(detector), fixed=True))
        proposals = self._propose(3, shared)
        self._train(4, DetectorPart(self._network(shared), fixed=True), proposals, whole=lambda merged: merged)

    def _begin(self) -> None:
        """Keeps the start weights, and nothing of a run that ended before it had a checkpoint."""
        for number in STEPS:
            self._step(number).mkdir(parents=True, exist_ok=True)
            for name in (LAST, PREVIOUS, PROPOSALS):
                (self._step(number) / name).unlink(missing_ok=True)
        self.save_weights(self.folder / START, self.start)

    def _network(self, weights: FasterRCNN | None = None) -> FasterRCNN:
        """A network of its own with the start weights, or with another network's."""
        network = deepcopy(self.start)
        if weights is not None:
            network.load_state_dict(weights.state_dict())
        return network

    def _train(
        self,
        number: int,
        part: Part,
        proposals: Sequence[Tensor] | None = None,
        whole: Callable[[FasterRCNN], nn.Module] | None = None,
    ) -> FasterRCNN:
        """A step's epochs that are left; the network as the step leaves it. `whole`: what of it can be measured."""
        training = Training(
            part,
            self.data,
            self.spec,
            self.recipe,
            replace(self.around, folder=self._step(number), say=lambda line: self.say(f"step {number}: {line}")),
            validate=self._validation(whole),
            save_weights=self._save_merged if number == max(STEPS) else _keep_nothing,
            proposals=None if proposals is None else proposals.__getitem__,
        )
        if self.resumed and has_state(self._step(number)):
            training.resume()
        training.can_resume = number > 1
        left = self.recipe.epochs - training.epoch
        self.say(f"step {number}: {STEPS[number]}, {left} of {counted(self.recipe.epochs, 'epoch')}")
        if left:
            training.run()
        detector: FasterRCNN = training.result.detector  # type: ignore[assignment]
        return detector

    def _validation(self, whole: Callable[[FasterRCNN], nn.Module] | None) -> Validate | None:
        """Measures what `whole` makes of the part in training."""
        validate = self.validate
        if validate is None or whole is None:
            return None
        return lambda part: validate(whole(part.detector))  # type: ignore[arg-type]

    def _save_merged(self, path: Path, part: nn.Module) -> None:
        """Step 4's network is the run's result: its files lie where those of any run do."""
        self.save_weights(self.folder / path.name, part.detector)  # type: ignore[arg-type]

    def _propose(self, number: int, detector: FasterRCNN) -> list[Tensor]:
        """The step's proposals of every image, from the disk where they are there."""
        file = self._step(number) / PROPOSALS
        if not file.is_file():
            recipe = self.recipe
            with self.around.watch(len(self.data), "images") as bar:
                found = rpn_proposals(
                    detector.to(self.around.device),
                    self.data,
                    self.spec,
                    batch_size=recipe.batch_size,
                    workers=recipe.workers,
                    bf16=recipe.precision == "bf16",
                    progress=bar.reach,
                )
            write_proposals(file, found)
        found = read_proposals(file, len(self.data))
        best = detector.config.proposals[1]
        mean = sum(map(len, found)) / max(1, len(found))
        recall = recall_of(found, self.data, best)
        self.say(f"step {number}: {mean:.0f} proposals an image, recall of the best {best} {recall:.3f} (IoU 0.5)")
        return found

    def _step(self, number: int) -> Path:
        return self.folder / f"step{number}"


def first_step(folder: Path) -> Path:
    """Where the checkpoints are from which on a run can be gone on with."""
    return folder / "step1"


def shared_parameters(backbone: RegionBackbone) -> Iterator[nn.Parameter]:
    """Those of the maps that RPN and detector come to share."""
    above = {parameter for layer in backbone.top_layers() for parameter in layer.parameters()}
    return (parameter for parameter in backbone.parameters() if parameter not in above)


def _keep_nothing(path: Path, part: nn.Module) -> None:
    """Steps 1 to 3 leave no weight file: their networks are no detectors yet."""
