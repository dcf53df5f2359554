"""R-CNN: an ImageNet classifier looks at every proposal by itself.

Girshick, Donahue, Darrell, Malik. "Rich feature hierarchies for accurate object detection and semantic segmentation."
CVPR 2014. arXiv:1311.2524 (v5, whose appendices are cited here)

Where the paper is in this file
    System overview (fig. 1) ..................... RegionClassifier.forward
    Warped region proposals (fig. 2, app. A) ..... warp
    Feature extraction (sec. 2.1) ................ RCNN.features
    Fine-tuning (sec. 2.3, app. B) ............... RegionClassifier.loss, label_proposals, sample
    Linear SVMs (sec. 2.3) ....................... RegionClassifier.svm, fitted by `vedette.train.fit_rcnn`
    Bounding-box regression (app. C) ............. RegionClassifier.regressor, fitted there too; BoxCoder
    Test-time detection (sec. 2.2) ............... RegionClassifier.detect

    RegionClassifier is what SPPNet takes over: all but the way from a box to its features.

Shapes
    B images, P padded proposals of an image, N proposals of a batch, G padded ground-truth boxes, C foreground classes,
    D and F features of a proposal (pool5, fc7), S side of a warped proposal.
    Boxes are x1 y1 x2 y2 in pixels of the network's input. Background is index 0 of the logits, inside this file alone.

Where this file leaves the paper
    * A region is sampled where it lies; the authors' code rounds it to whole pixels first.
    * Pictures come in with their short side at 600 pixels, the long one at most 1000; the paper's keep their size.
    * AlexNet is torchvision's, not that of 2012. Other backbones: any of timm, the mean of its last map for fc7.
    * Fine-tuning draws its 128 windows from the images of a batch, and fewer positives where there are fewer.
    * SVM margins become scores from 0 to 1 by a sigmoid: a margin of 0 is a score of 0.5.
    * A network whose SVMs were not fitted yet is scored by the softmax.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vedette.backbones.alexnet import AlexNet
from vedette.backbones.backbone import Classifier, Looks
from vedette.backbones.timm_classifier import TimmClassifier
from vedette.backbones.vgg import VGG16Classifier
from vedette.ops.boxes import clip_each, to_centers
from vedette.parts.box_coder import BoxCoder
from vedette.parts.calls import whole_sizes
from vedette.parts.config import check_std, check_suppression, check_types
from vedette.parts.detection import Candidates, best_of_each_class, check_score, suppress, unpad
from vedette.parts.losses import class_loss, gather_labels
from vedette.parts.matching import IGNORED, match_by_thresholds
from vedette.parts.targets import TargetBatch, check_targets, pad_targets
from vedette.structures import Detections, InputSpec, Target

BACKGROUND, NEITHER = 0, -1  # what a proposal may be besides an object of class 1..C


@dataclass(frozen=True, kw_only=True)
class RegionClassifierConfig:
    """The paper's numbers for whatever is not the way to a proposal's features."""

    num_classes: int = 20  # VOC, without background
    search: Literal["fast", "quality"] = "fast"  # sec. 2.2: selective search's mode
    proposals: int = 2000  # sec. 2.2: about as many an image
    chunk: int = 256  # authors' code: proposals that go through the network at once
    foreground_iou: float = 0.5  # sec. 2.3: of a window that is to be called by its class
    background_iou: float = 0.0  # sec. 2.3: any other window is background; SPPNet: only from this overlap on
    positives: int = 32  # sec. 2.3: windows of a fine-tuning batch
    negatives: int = 96  # sec. 2.3
    scorer: Literal["svm", "softmax"] = "svm"  # app. B: the softmax is 3.3 points of mAP worse
    regress: bool = True  # app. C
    box_std: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)  # app. C: deltas as they are
    candidates: int = 400  # ours: into NMS, a class
    nms: Literal["hard", "linear", "gaussian"] = "hard"
    nms_iou: float = 0.3  # authors' code
    keep: int = 200  # ours

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("proposals", "chunk", "positives", "negatives"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give a whole number from 1 on")
        if not 0 < self.foreground_iou <= 1:
            raise ValueError(f"foreground_iou is {self.foreground_iou}: give a number above 0, at most 1")
        if not 0 <= self.background_iou <= self.foreground_iou:
            raise ValueError(
                f"background_iou is {self.background_iou}: give 0 to foreground_iou, {self.foreground_iou}"
            )
        check_std(self.box_std)
        check_suppression(self.nms_iou, self.candidates, self.keep)


@dataclass(frozen=True, kw_only=True)
class RCNNConfig(RegionClassifierConfig):
    """The paper's numbers for AlexNet."""

    warp_size: int = 227  # sec. 2.1: pixels; VGG-16: 224
    context: int = 16  # app. A: pixels around the proposal, in the warped picture

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warp_size < 1:
            raise ValueError(f"warp_size is {self.warp_size}: give a whole number from 1 on")
        if not 0 <= self.context < self.warp_size / 2:
            raise ValueError(f"context is {self.context}: give 0 or more, below half of warp_size ({self.warp_size})")


class Predictions(NamedTuple):
    """What the network says of every proposal."""

    logits: Tensor  # (B, P, C + 1) of the softmax that fine-tuning learns, background at index 0
    margins: Tensor  # (B, P, C) of the SVMs
    deltas: Tensor  # (B, P, C, 4) against the proposals
    proposals: Tensor  # (B, P, 4), padded
    valid: Tensor  # (B, P) bool, False in the padding
    sizes: Tensor  # (B, 2) true height and width of the images


def warp(images: Tensor, boxes: Tensor, image: Tensor, sizes: Tensor, side: int, context: int) -> Tensor:
    """Each proposal as a square picture, whatever its shape, with `context` pixels around it (app. A, fig. 7 D).

    images (B, 3, H, W); boxes (N, 4); image (N,) int64: whose; sizes (B, 2) true heights and widths. Bilinear, without
    antialiasing. Outside of the image is 0, which in normalised images is the mean. → (N, 3, S, S).
    """
    center, extent = to_centers(boxes.float()).chunk(2, -1)
    extent = extent * (side / (side - 2 * context))
    places = (torch.arange(side, device=boxes.device) + 0.5) / side - 0.5  # (S,) in -0.5..0.5
    at = center[..., None] + extent[..., None] * places  # (N, 2, S): x and y of the columns and the rows
    true = sizes[image].flip(1)[..., None].float()  # (N, 2, 1): width and height
    x_inside, y_inside = ((at >= 0) & (at < true)).unbind(1)
    x, y = at.clamp(min=0.5).minimum(true - 0.5).unbind(1)
    number, _, height, width = images.shape
    tall = images.float().transpose(0, 1).reshape(1, 3, number * height, width)  # one below the other: no copies
    x = x / width * 2 - 1
    y = (y + image[:, None] * height) / (number * height) * 2 - 1
    grid = torch.stack([x[:, None].expand(-1, side, -1), y[..., None].expand(-1, -1, side)], -1)  # (N, S, S, 2)
    seen = F.grid_sample(tall, grid.reshape(1, -1, side, 2), padding_mode="border", align_corners=False)
    inside = y_inside[:, None, :, None] & x_inside[:, None, None]
    return torch.where(inside, seen.view(3, len(boxes), side, side).transpose(0, 1), 0.0)


class RegionClassifier(nn.Module):
    """What stands behind the features of a proposal, and the whole of a detector once `features` is given."""

    needs_proposals = True
    trains_in_stages = True
    class_layers = ("head.", "svm", "regressor.")  # what depends on the classes, by the beginning of the names

    def __init__(self, config: RegionClassifierConfig, widths: tuple[int, int], input_spec: InputSpec) -> None:
        """widths: D and F, the features of pool5 and fc7."""
        super().__init__()
        self.config = c = config
        self.pool5_width, self.fc7_width = widths
        self.head = nn.Linear(self.fc7_width, c.num_classes + 1)
        self.svm = nn.Linear(self.fc7_width, c.num_classes).requires_grad_(False)
        self.regressor = nn.Linear(self.pool5_width, 4 * c.num_classes).requires_grad_(False)
        self.register_buffer("svm_fitted", torch.tensor(False))
        self.svm_fitted: Tensor

        self.coder = BoxCoder(c.box_std)
        self.input_spec = input_spec
        nn.init.normal_(self.head.weight, std=0.01)  # sec. 2.3: the new layer starts at random
        for parameter in (self.head.bias, *self.svm.parameters(), *self.regressor.parameters()):
            nn.init.zeros_(parameter)

    @abstractmethod
    def features(self, images: Tensor, boxes: Tensor, image: Tensor, sizes: Tensor) -> Looks:
        """pool5 (N, D) and fc7 (N, F) of boxes (N, 4) in the images of these indices (N,)."""

    def forward(
        self, images: Tensor, sizes: Tensor | None = None, proposals: Sequence[Tensor] | None = None
    ) -> Predictions:
        """images (B, 3, H, W), normalised; sizes (B, 2) true heights and widths; proposals (N_i, 4) of each. Fig. 1.

        Raises ValueError without proposals, or without those of each image.
        """
        proposals = check_proposals(proposals, images)
        sizes = whole_sizes(images, sizes)
        counts = [len(boxes) for boxes in proposals]
        boxes = torch.cat([images.new_zeros(0, 4, dtype=torch.float32), *proposals])
        image = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts, dtype=torch.int64))
        looks = self.features(images, boxes, image.to(images.device), sizes)
        logits, margins = self.head(looks.fc7), self.svm(looks.fc7)
        deltas = self.regressor(looks.pool5).reshape(len(boxes), self.config.num_classes, 4)
        valid = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
        logits, margins, deltas, boxes, valid = (_pad(x, counts) for x in (logits, margins, deltas, boxes, valid))
        return Predictions(logits, margins, deltas, boxes, valid, sizes)

    def loss(self, predictions: Predictions, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Fine-tuning (sec. 2.3): the mean softmax loss over 32 positive and 96 background windows of the batch.

        Raises ValueError for targets that do not fit the predictions.
        """
        c = self.config
        check_targets(targets, len(predictions.logits), c.num_classes)
        truth = pad_targets(targets, predictions.logits.device)
        labels = label_proposals(predictions.proposals, predictions.valid, truth, c.foreground_iou, c.background_iou)
        chosen = sample(labels, c.positives, c.negatives)
        loss = torch.where(chosen, class_loss(predictions.logits, labels.clamp(min=0)), 0.0)
        return {"class": loss.sum() / chosen.sum().clamp(min=1)}

    @torch.no_grad()
    def draw_windows(self, proposals: Sequence[Tensor], targets: Sequence[Target]) -> list[Tensor]:
        """The windows of a fine-tuning batch, the gt boxes among what they are drawn from (authors' code).

        They are what `loss` would draw: training gives the network these alone instead of thousands.
        """
        c = self.config
        truth = pad_targets(targets, proposals[0].device)
        given = [torch.cat([target.boxes, boxes]) for target, boxes in zip(targets, proposals, strict=True)]
        valid = pad_sequence([torch.ones(len(boxes), dtype=torch.bool) for boxes in given], batch_first=True)
        padded = pad_sequence(given, batch_first=True)
        labels = label_proposals(padded, valid.to(padded.device), truth, c.foreground_iou, c.background_iou)
        chosen = sample(labels, c.positives, c.negatives)
        return [boxes[keep] for boxes, keep in zip(padded, chosen, strict=True)]

    def scores(self, predictions: Predictions) -> Tensor:
        """(B, P, C) in 0..1: the margins through a sigmoid, or the softmax; 0 in the padding."""
        scores = predictions.logits.float().softmax(-1)[..., 1:]
        if self.config.scorer == "svm":
            scores = torch.where(self.svm_fitted, predictions.margins.float().sigmoid(), scores)
        return torch.where(predictions.valid[..., None], scores, 0.0)

    def boxes(self, predictions: Predictions) -> Tensor:
        """(B, P, C, 4): each proposal as each class would have it (app. C), cut at its image."""
        references = predictions.proposals[:, :, None]
        deltas = predictions.deltas if self.config.regress else torch.zeros_like(predictions.deltas)
        decoded = self.coder.decode(deltas, references)
        return clip_each(decoded.flatten(1, 2), predictions.sizes).view_as(decoded)

    def find(self, predictions: Predictions, score: float = 0.05) -> Candidates:
        """`detect` before the padding is cut off: static shapes, so it compiles as one graph."""
        c = self.config
        boxes = self.boxes(predictions)
        visible = (boxes[..., 2:] > boxes[..., :2]).all(-1)  # of NaN nothing is
        by_class = boxes.transpose(1, 2)  # (B, C, P, 4)

        def own(source: Tensor) -> Tensor:
            rows = source.view(len(source), c.num_classes, source.shape[1] // c.num_classes, 1)
            return by_class.gather(2, rows.expand(-1, -1, -1, 4)).flatten(1, 2)

        best = best_of_each_class(self.scores(predictions) * visible, own, floor=score, count=c.candidates)
        return suppress(best, iou=c.nms_iou, keep=c.keep, floor=score, method=c.nms)

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """Greedy NMS of each class (sec. 2.2); boxes in input pixels, `source` is the proposal's row."""
        check_score(score)
        return unpad(self.find(predictions, score))


def check_proposals(proposals: Sequence[Tensor] | None, images: Tensor) -> list[Tensor]:
    """The (N_i, 4) proposals of each image, on the images' device; raises ValueError where they are missing."""
    if proposals is None:
        raise ValueError("this model takes proposals: model(images, proposals=[…]), boxes (N, 4) for each image")
    if len(proposals) != len(images):
        raise ValueError(f"proposals of {len(proposals)} images, but there are {len(images)}: give (N, 4) for each")
    tensors = [torch.as_tensor(boxes, dtype=torch.float32, device=images.device) for boxes in proposals]
    for row, boxes in enumerate(tensors):
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"proposals[{row}] has shape {tuple(boxes.shape)}: give (N, 4)")
    return tensors


def label_proposals(
    proposals: Tensor, valid: Tensor, truth: TargetBatch, foreground_iou: float, background_iou: float = 0.0
) -> Tensor:
    """What each proposal is to be called: (B, P, 4), (B, P) → (B, P) int64.

    The class, 1..C, of the gt box that it overlaps most (ties: the first), from `foreground_iou` on; else BACKGROUND.
    NEITHER is padding, what overlaps an ignored box as much and no other, and what overlaps its most overlapped gt
    box less than `background_iou`.
    """
    given = (proposals, truth.boxes, truth.valid, truth.ignore)
    matched = match_by_thresholds(
        *given, positive=foreground_iou, negative=foreground_iou, negative_from=background_iou, usable=valid
    )
    return torch.where(matched == IGNORED, NEITHER, gather_labels(truth.labels + 1, matched))


def sample(labels: Tensor, positives: int, negatives: int) -> Tensor:
    """(B, P) labels → (B, P) bool: so many objects and so many of the background at random, of the whole batch."""
    flat = labels.flatten()
    chosen = torch.zeros_like(flat, dtype=torch.bool)
    for wanted, number in ((flat > BACKGROUND, positives), (flat == BACKGROUND, negatives)):
        lot = torch.rand(flat.shape, device=flat.device).masked_fill(~wanted, -1.0)
        drawn, place = lot.topk(min(number, len(flat)))
        chosen = chosen.scatter(0, place, chosen[place] | (drawn >= 0))
    return chosen.view(labels.shape)


def _pad(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """(N, …) rows of all images → (B, P, …), zeros in the padding."""
    return pad_sequence(list(torch.split(rows, list(counts))), batch_first=True) if counts else rows[None][:0]


class RCNN(RegionClassifier):
    """The detector on a classifier."""

    config: RCNNConfig

    def __init__(self, config: RCNNConfig, backbone: Classifier) -> None:
        spec = InputSpec(size=600, resize="short side", max_side=1000, **backbone.normalization)
        super().__init__(config, (backbone.pool5_width, backbone.fc7_width), spec)
        self.backbone = backbone

    def features(self, images: Tensor, boxes: Tensor, image: Tensor, sizes: Tensor) -> Looks:
        """Each box by itself, warped, through the whole network (sec. 2.1)."""
        c = self.config
        parts = [Looks(images.new_zeros(0, self.pool5_width), images.new_zeros(0, self.fc7_width))]
        for some, whose in zip(torch.split(boxes, c.chunk), torch.split(image, c.chunk), strict=True):
            if len(some):
                parts.append(self.backbone(warp(images, some, whose, sizes, c.warp_size, c.context)))
        pool5, fc7 = zip(*parts, strict=True)
        return Looks(torch.cat(pool5), torch.cat(fc7))


def rcnn_alexnet(**config: Any) -> RCNN:
    """The paper's first network."""
    return RCNN(RCNNConfig(**config), AlexNet())


def rcnn_vgg16(**config: Any) -> RCNN:
    """VGG-16, the paper's "O-Net" (sec. 3.3), at its own 224 pixels."""
    return RCNN(RCNNConfig(**({"warp_size": 224} | config)), VGG16Classifier())


def rcnn_timm(name: str, **config: Any) -> RCNN:
    """Any timm backbone; the mean of its last map stands for fc7, that map pooled to 3 × 3 for pool5."""
    return RCNN(RCNNConfig(**({"warp_size": 224} | config)), TimmClassifier(name))
