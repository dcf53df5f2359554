"""R-CNN: an ImageNet classifier looks at every proposal by itself.

Girshick, Donahue, Darrell, Malik. "Rich feature hierarchies for accurate object detection and semantic segmentation."
CVPR 2014. arXiv:1311.2524 (v5, whose appendices are cited here)

Where the paper is in this file
    System overview (fig. 1) ..................... RegionClassifier.forward
    Warped region proposals (fig. 2, app. A) ..... warp
    Feature extraction (sec. 2.1) ................ RCNN.features
    Fine-tuning (sec. 2.3, app. B) ............... RegionClassifier.loss, label_proposals
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
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vedette.backbones.alexnet import AlexNet
from vedette.backbones.backbone import Classifier, Looks
from vedette.backbones.timm_classifier import TimmClassifier
from vedette.backbones.vgg import VGG16Classifier
from vedette.ops.boxes import clip_each, exact, to_centers
from vedette.parts.box_coder import BoxCoder
from vedette.parts.config import Count, Ge, IoU, Share, Std, Suppression, check, check_at_most
from vedette.parts.detection import Found, best_of_each_class, check_score, find, rows_of, unpad
from vedette.parts.equals import first_of_equals
from vedette.parts.losses import class_loss, gather_labels, total_of
from vedette.parts.matching import IGNORED, match_by_thresholds
from vedette.parts.sampling import draw
from vedette.parts.sizes import whole_sizes
from vedette.structures import Detections, InputSpec, TargetBatch, Targets, check_targets, pad_targets

BACKGROUND, NEITHER = 0, -1  # what a proposal may be besides an object of class 1..C


@dataclass(frozen=True, kw_only=True)
class RegionClassifierConfig:
    """The paper's numbers for whatever is not the way to a proposal's features."""

    num_classes: Count = 20  # VOC, without background
    search: Literal["fast", "quality"] = "fast"  # sec. 2.2: selective search's mode
    proposals: Count = 2000  # sec. 2.2: about as many an image
    chunk: Count = 256  # authors' code: proposals that go through the network at once
    foreground_iou: IoU = 0.5  # sec. 2.3: of a window that is to be called by its class
    background_iou: Share = 0.0  # sec. 2.3: any other window is background; SPPNet: only from this overlap on
    positives: Count = 32  # sec. 2.3: windows of a fine-tuning batch
    negatives: Count = 96  # sec. 2.3
    scorer: Literal["svm", "softmax"] = "svm"  # app. B: the softmax is 3.3 points of mAP worse
    regress: bool = True  # app. C
    box_std: Std = (1.0, 1.0, 1.0, 1.0)  # app. C: deltas as they are
    candidates: Count = 400  # ours: into NMS, a class
    nms: Suppression = "hard"
    nms_iou: Share = 0.3  # authors' code
    keep: Count = 200  # ours

    def __post_init__(self) -> None:
        check(self)
        check_at_most("background_iou", self.background_iou, "foreground_iou", self.foreground_iou)


@dataclass(frozen=True, kw_only=True)
class RCNNConfig(RegionClassifierConfig):
    """The paper's numbers for AlexNet."""

    warp_size: Count = 227  # sec. 2.1: pixels; VGG-16: 224
    context: Annotated[int, Ge(0)] = 16  # app. A: pixels around the proposal, in the warped picture

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context >= self.warp_size / 2:
            raise ValueError(f"context is {self.context}: give 0 or more, below half of warp_size ({self.warp_size})")


class Predictions(NamedTuple):
    """What the network says of every proposal."""

    logits: Tensor  # (B, P, C + 1) of the softmax that fine-tuning learns, background at index 0
    margins: Tensor  # (B, P, C) of the SVMs
    deltas: Tensor  # (B, P, C, 4) against the proposals
    proposals: Tensor  # (B, P, 4), padded
    real: Tensor  # (B, P) bool, False in the padding
    sizes: Tensor  # (B, 2) true height and width of the images


def warp(images: Tensor, boxes: Tensor, image: Tensor, sizes: Tensor, side: int, context: int) -> Tensor:
    """Each proposal as a square picture, whatever its shape, with `context` pixels around it (app. A, fig. 7 D).

    images (B, 3, H, W); boxes (N, 4); image (N,) int64: whose; sizes (B, 2) true heights and widths. Bilinear, without
    antialiasing. Outside of the image is 0, which in normalised images is the mean. → (N, 3, S, S).
    """
    pixels = exact(images)
    center, extent = to_centers(boxes.to(pixels)).chunk(2, -1)
    extent = extent * (side / (side - 2 * context))
    places = (torch.arange(side, device=boxes.device, dtype=pixels.dtype) + 0.5) / side - 0.5  # (S,) in -0.5..0.5
    at = center[..., None] + extent[..., None] * places  # (N, 2, S): x and y of the columns and the rows
    true = sizes[image].flip(1)[..., None].to(pixels)  # (N, 2, 1): width and height
    x_inside, y_inside = ((at >= 0) & (at < true)).unbind(1)
    x, y = at.clamp(min=0.5).minimum(true - 0.5).unbind(1)
    number, _, height, width = images.shape
    tall = pixels.transpose(0, 1).reshape(1, 3, number * height, width)  # one below the other: no copies
    x = x / width * 2 - 1
    y = (y + image[:, None] * height) / (number * height) * 2 - 1
    grid = torch.stack([x[:, None].expand(-1, side, -1), y[..., None].expand(-1, -1, side)], -1)  # (N, S, S, 2)
    seen = F.grid_sample(tall, grid.reshape(1, -1, side, 2), padding_mode="border", align_corners=False)
    inside = y_inside[:, None, :, None] & x_inside[:, None, None]
    return torch.where(inside, seen.view(3, boxes.shape[0], side, side).transpose(0, 1), 0.0)


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
        real = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
        logits, margins, deltas, boxes, real = (_pad(x, counts) for x in (logits, margins, deltas, boxes, real))
        return Predictions(logits, margins, deltas, boxes, real, sizes)

    def assign(self, predictions: Predictions, truth: TargetBatch) -> Tensor:
        """(B, P) what each proposal is to be called: 1..C, 0 background, -1 neither (sec. 2.3)."""
        c = self.config
        return label_proposals(predictions.proposals, predictions.real, truth, c.foreground_iou, c.background_iou)

    def loss(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Fine-tuning (sec. 2.3): the mean softmax loss over 32 positive and 96 background windows of the batch.

        Raises ValueError for targets that do not fit the predictions.
        """
        c = self.config
        check_targets(targets, len(predictions.logits), c.num_classes)
        truth = pad_targets(targets, predictions.logits.device)
        labels = self.assign(predictions, truth)
        chosen = draw(labels, c.positives, c.negatives, truth.seeds)
        loss = torch.where(chosen, class_loss(predictions.logits, labels.clamp(min=0)), 0.0)
        return {"class": loss.sum() / total_of(chosen.sum())}

    @torch.no_grad()
    def draw_windows(self, proposals: Sequence[Tensor], targets: Targets) -> list[Tensor]:
        """The windows of a fine-tuning batch, the gt boxes among what they are drawn from (authors' code).

        They are what `loss` would draw: training gives the network these alone instead of thousands.
        """
        c = self.config
        truth = pad_targets(targets, proposals[0].device)
        objects = (boxes[real] for boxes, real in zip(truth.boxes, truth.valid, strict=True))
        given = [torch.cat([own, boxes]) for own, boxes in zip(objects, proposals, strict=True)]
        real = pad_sequence([torch.ones(len(boxes), dtype=torch.bool) for boxes in given], batch_first=True)
        padded = pad_sequence(given, batch_first=True)
        labels = label_proposals(padded, real.to(padded.device), truth, c.foreground_iou, c.background_iou)
        chosen = draw(labels, c.positives, c.negatives, truth.seeds)
        return [boxes[keep] for boxes, keep in zip(padded, chosen, strict=True)]

    def scores(self, predictions: Predictions) -> Tensor:
        """(B, P, C) in 0..1: the margins through a sigmoid, or the softmax; 0 in the padding."""
        scores = predictions.logits.float().softmax(-1)[..., 1:]
        if self.config.scorer == "svm":
            scores = torch.where(self.svm_fitted, predictions.margins.float().sigmoid(), scores)
        return torch.where(predictions.real[..., None], scores, 0.0)

    def boxes_at(self, predictions: Predictions, rows: Tensor, labels: Tensor) -> Tensor:
        """(B, K, 4) the proposals (B, K) as their class would have them (app. C), cut at their image."""
        references = rows_of(predictions.proposals, rows)
        deltas = rows_of(predictions.deltas.flatten(1, 2), rows * self.config.num_classes + labels)
        deltas = deltas if self.config.regress else torch.zeros_like(deltas)
        return clip_each(self.coder.decode(deltas, references), predictions.sizes)

    def find(self, predictions: Predictions, score: float = 0.05) -> Found:
        """Greedy NMS of each class (sec. 2.2)."""
        c, boxes_at = self.config, partial(self.boxes_at, predictions)
        pick = first_of_equals(partial(best_of_each_class, count=c.candidates))
        return find(self.scores(predictions), boxes_at, pick, floor=score, iou=c.nms_iou, keep=c.keep, method=c.nms)

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """What `find` keeps of each image; boxes in input pixels, `source` is the proposal's row."""
        return unpad(self.find(predictions, check_score(score)).kept)


def check_proposals(proposals: Sequence[Tensor] | None, images: Tensor) -> list[Tensor]:
    """The (N_i, 4) proposals of each image, on the images' device; raises ValueError where they are missing."""
    if not images.is_floating_point():
        raise ValueError(f"images are {images.dtype}: give floats, normalised as the model's input_spec says")
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
    proposals: Tensor, real: Tensor, truth: TargetBatch, foreground_iou: float, background_iou: float = 0.0
) -> Tensor:
    """What each proposal is to be called: (B, P, 4), (B, P) → (B, P) int64.

    The class, 1..C, of the gt box that it overlaps most (ties: the first), from `foreground_iou` on; else BACKGROUND.
    NEITHER is padding, what overlaps an ignored box as much and no other, and what overlaps its most overlapped gt
    box less than `background_iou`.
    """
    how: dict[str, Any] = {"positive": foreground_iou, "negative": foreground_iou, "negative_from": background_iou}
    matched = match_by_thresholds(proposals, *truth.for_matching, usable=real, **how)
    return torch.where(matched == IGNORED, NEITHER, gather_labels(truth.labels + 1, matched))


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


def build(backbone: str, **fields: Any) -> RCNN:
    """On "alexnet", the paper's first network; on "vgg16", its "O-Net" (sec. 3.3); or on timm's of that name, the mean
    of whose last map stands for fc7, that map pooled to 3 × 3 for pool5.
    """
    bodies = {"alexnet": AlexNet, "vgg16": VGG16Classifier}
    return RCNN(RCNNConfig(**fields), bodies.get(backbone, partial(TimmClassifier, backbone))())
