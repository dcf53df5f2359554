"""RetinaNet: one look at every anchor of a pyramid, and a loss that easy negatives cannot drown.

Lin, Goyal, Girshick, He, Dollár. "Focal Loss for Dense Object Detection." ICCV 2017. arXiv:1708.02002

Where the paper is in this file
    Focal loss (sec. 3, eq. 5) ................ focal_loss
    Prior (sec. 3.3, 4.1) ..................... RetinaHead
    Pyramid p3 to p7 (sec. 4) ................. RetinaPyramid, on FeaturePyramid of fpn.py
    Anchors (sec. 4) .......................... RetinaNet.build_anchors
    Classification and box subnets (fig. 3) ... RetinaHead
    Inference (sec. 4.1) ...................... RetinaNet.find
    Training (sec. 4.1) ....................... RetinaNet.loss

Shapes
    B images, A anchors over all L levels, G padded ground-truth boxes, C foreground classes. Boxes are x1 y1 x2 y2 in
    pixels of the network's input. There is no background among the logits.

Where this file leaves the paper
    * Ignored ground truth makes negatives that overlap it ignored too.
    * `p6_from`, `relu_before_p7`, `head_norm`, `keep_best`: what torchvision's two versions and other code do else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import Backbone
from vedette.backbones.resnet import ResNet
from vedette.backbones.timm_pyramid import TimmPyramid
from vedette.ops.boxes import clip_each
from vedette.papers.faster_rcnn import best_of_each_level
from vedette.papers.fpn import FeaturePyramid
from vedette.parts.anchors import pyramid_anchors
from vedette.parts.box_coder import BoxCoder
from vedette.parts.calls import whole_sizes
from vedette.parts.config import check_input, check_std, check_suppression, check_types
from vedette.parts.detection import Candidates, check_score, suppress, unpad
from vedette.parts.heads import per_anchor
from vedette.parts.init import initialize
from vedette.parts.losses import box_loss, gather_labels
from vedette.parts.matching import IGNORED, match_by_thresholds
from vedette.parts.targets import check_targets, pad_targets
from vedette.structures import Detections, InputSpec, Step, Target

STRIDES = (8, 16, 32, 64, 128)  # p3 to p7
OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # sec. 4: sizes of a level's anchors, in its own
GROUPS = 32  # of the group norm in torchvision's second version


@dataclass(frozen=True, kw_only=True)
class RetinaNetConfig:
    """The paper's numbers."""

    num_classes: int = 20  # without background
    image_size: int = 800  # tab. 2: the short side
    max_side: int = 1333  # authors' code: the long side at most
    anchor_sizes: tuple[tuple[float, ...], ...] = tuple(
        tuple(4 * stride * octave for octave in OCTAVES) for stride in STRIDES
    )  # sec. 4: 32² to 512², of each level
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # sec. 4: height over width
    anchor_grid: Literal["centre", "corner", "torchvision"] = "centre"  # of a cell; ports: its corner
    p6_from: Literal["c5", "p5"] = "c5"  # sec. 4; torchvision's first version: p5
    relu_before_p7: bool = True  # sec. 4; mmdet: none
    width: int = 256  # sec. 4: channels of every level and of the subnets
    subnet_layers: int = 4  # sec. 4
    head_norm: bool = False  # torchvision's second version: group norm in the subnets
    prior: float = 0.01  # sec. 4.1: of an object, at first
    alpha: float = 0.25  # sec. 4.1
    gamma: float = 2.0  # sec. 4.1
    positive_iou: float = 0.5  # sec. 4
    negative_iou: float = 0.4  # sec. 4
    keep_best: bool = False  # later code: an object's best anchor is its own whatever the overlap
    beta: float = 1 / 9  # authors' code: from which difference on the box loss is linear
    box_std: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    candidates: int = 1000  # sec. 4.1: of each level into NMS
    nms: Literal["hard", "linear", "gaussian"] = "hard"
    nms_iou: float = 0.5  # sec. 4.1
    keep: int = 100  # authors' code: an image
    stride_in_1x1: bool = False  # detectron2: where a stage's stride is in the ResNet; torchvision: in the 3×3
    train_norm: bool = False  # ours: batch norm of the backbone learns, for training from scratch

    def __post_init__(self) -> None:
        check_types(self)
        check_input(self.image_size, self.max_side)
        check_suppression(self.nms_iou, self.candidates, self.keep)
        if len({len(sizes) for sizes in self.anchor_sizes}) != 1:
            raise ValueError(f"anchor_sizes is {self.anchor_sizes}: give as many sizes for each level as for another")
        if not self.aspect_ratios or not self.anchor_sizes[0]:
            raise ValueError("aspect_ratios and anchor_sizes must not be empty")
        if self.beta < 0:
            raise ValueError(f"beta is {self.beta}: give 0 or more")
        check_std(self.box_std)
        if min(*self.aspect_ratios, *(size for sizes in self.anchor_sizes for size in sizes)) <= 0:
            raise ValueError("anchor_sizes and aspect_ratios must be above 0")
        if not 0 <= self.negative_iou <= self.positive_iou <= 1:
            raise ValueError(f"negative_iou is {self.negative_iou}: give 0 to positive_iou, {self.positive_iou}")
        if self.width < 1 or (self.head_norm and self.width % GROUPS):
            raise ValueError(f"width is {self.width}: give 1 or more, with head_norm a multiple of {GROUPS}")
        if not (0 < self.prior < 1 and 0 <= self.alpha <= 1 and self.gamma >= 0 and self.subnet_layers >= 0):
            raise ValueError("prior must lie between 0 and 1, alpha from 0 to 1, gamma and subnet_layers be 0 or more")


class Predictions(NamedTuple):
    """What the network says of every anchor."""

    logits: Tensor  # (B, A, C), a sigmoid each
    deltas: Tensor  # (B, A, 4), against the anchors
    anchors: Tensor  # (A, 4) of this input's size
    counts: tuple[int, ...]  # anchors of each level
    sizes: Tensor  # (B, 2) height and width of the images inside the padded batch


class RetinaPyramid(nn.Module):
    """p3 to p5 of c3 to c5, and two coarser maps: p6 by a 3×3 of stride 2, p7 by another on its ReLU (sec. 4)."""

    def __init__(self, channels: Sequence[int], width: int, p6_from: Literal["c5", "p5"], relu: bool) -> None:
        super().__init__()
        self.pyramid, self.p6_from, self.relu = FeaturePyramid(channels, width), p6_from, relu
        self.p6 = nn.Conv2d(channels[-1] if p6_from == "c5" else width, width, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(width, width, 3, stride=2, padding=1)
        initialize((self.p6, self.p7), "xavier")

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """c3, c4, c5 → p3 to p7 at strides 8 to 128."""
        p3, p4, p5 = self.pyramid(maps)
        p6 = self.p6(maps[-1] if self.p6_from == "c5" else p5)
        return [p3, p4, p5, p6, self.p7(p6.relu() if self.relu else p6)]


class RetinaHead(nn.Module):
    """Two subnets that every level shares, four 3×3 each, one ends in K × C scores, the other in K × 4 deltas."""

    def __init__(
        self, anchors_per_cell: int, num_classes: int, width: int, layers: int, norm: bool, prior: float
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.class_subnet, self.box_subnet = _subnet(width, layers, norm), _subnet(width, layers, norm)
        self.logits = nn.Conv2d(width, anchors_per_cell * num_classes, 3, padding=1)
        self.deltas = nn.Conv2d(width, anchors_per_cell * 4, 3, padding=1)
        initialize(self.children(), "gaussian")
        nn.init.constant_(self.logits.bias, -log((1 - prior) / prior))  # type: ignore[arg-type]  # sec. 4.1: every anchor an object by `prior`

    def forward(self, features: Sequence[Tensor]) -> Step:
        """L maps (B, width, H_l, W_l) → logits (B, A, C), deltas (B, A, 4)."""
        logits = [per_anchor(self.logits(self.class_subnet(x)), self.num_classes) for x in features]
        deltas = [per_anchor(self.deltas(self.box_subnet(x)), 4) for x in features]
        return Step(torch.cat(logits, 1), torch.cat(deltas, 1))


class RetinaNet(nn.Module):
    """The detector on a backbone that gives maps at strides 8, 16 and 32, or on any other backbone and pyramid.

    pyramid: from the backbone's maps to one of `config.width` channels for each of `strides`, the pixels of the input
    that a cell stands for.

    Raises ValueError where the anchors are of another number of levels.
    """

    class_layers = ("head.logits.",)  # what depends on the classes, by the beginning of the names

    def __init__(
        self,
        config: RetinaNetConfig,
        backbone: Backbone,
        pyramid: nn.Module | None = None,
        strides: Sequence[float] = STRIDES,
    ) -> None:
        super().__init__()
        self.config = c = config
        if len(c.anchor_sizes) != len(strides):
            raise ValueError(f"anchor_sizes is {c.anchor_sizes}: give sizes for {len(strides)} levels")
        self.backbone, self.strides = backbone, tuple(strides)
        if pyramid is None:
            pyramid = RetinaPyramid(backbone.channels, c.width, c.p6_from, c.relu_before_p7)
        self.pyramid: nn.Module = pyramid
        anchors_per_cell = len(c.anchor_sizes[0]) * len(c.aspect_ratios)
        self.head = RetinaHead(anchors_per_cell, c.num_classes, c.width, c.subnet_layers, c.head_norm, c.prior)
        self.coder = BoxCoder(c.box_std)
        self.input_spec = InputSpec(
            size=c.image_size, resize="short side", max_side=c.max_side, divisor=32, **backbone.normalization
        )

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Predictions:
        """images (B, 3, H, W), normalised and padded; sizes (B, 2): what of them is image. The whole of fig. 3."""
        features = self.pyramid(self.backbone(images))
        logits, deltas = self.head(features)
        levels = self.build_anchors(images.shape[2], images.shape[3], [(f.shape[2], f.shape[3]) for f in features])
        anchors, counts = torch.cat(levels).to(images.device), tuple(len(level) for level in levels)
        return Predictions(logits, deltas, anchors, counts, whole_sizes(images, sizes))

    def build_anchors(self, height: int, width: int, grids: Sequence[tuple[int, int]]) -> list[Tensor]:
        """(A_l, 4) of each level for a batch of that size; grids: rows and columns of each."""
        c = self.config
        return pyramid_anchors(c.anchor_sizes, c.aspect_ratios, self.strides, grids, (height, width), c.anchor_grid)

    def loss(self, predictions: Predictions, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Focal loss of all anchors as "class", smooth L1 of the matched ones as "box", both over their number."""
        c, (logits, deltas, anchors, _, _) = self.config, predictions
        check_targets(targets, len(logits), c.num_classes)
        truth = pad_targets(targets, anchors.device)
        matched = match_by_thresholds(
            anchors,
            truth.boxes,
            truth.valid,
            truth.ignore,
            positive=c.positive_iou,
            negative=c.negative_iou,
            keep_best=c.keep_best,
        )
        total = (matched >= 0).sum().clamp(min=1)
        labels = gather_labels(truth.labels + 1, matched)  # 0 is background
        wanted = F.one_hot(labels, c.num_classes + 1)[..., 1:]
        focal = focal_loss(logits, wanted.to(logits), c.alpha, c.gamma).sum(-1)  # (B, A)
        classes = torch.where(matched == IGNORED, 0.0, focal).sum()
        boxes = box_loss(deltas, anchors, truth.boxes, matched, self.coder, c.beta)
        return {"class": classes / total, "box": boxes / total}

    def find(self, predictions: Predictions, score: float = 0.05) -> Candidates:
        """`detect` before the padding is cut off: the best 1000 of each level, NMS per class over all (sec. 4.1)."""
        c, (logits, deltas, anchors, counts, sizes) = self.config, predictions
        scores = logits.float().sigmoid()
        best, _ = best_of_each_level(scores, deltas, anchors, counts, coder=self.coder, floor=score, count=c.candidates)
        boxes = clip_each(best.boxes, sizes)
        inside = (boxes[..., 2:] > boxes[..., :2]).all(-1)  # what lies in the padding has no area
        best = best._replace(boxes=boxes, scores=best.scores * inside)
        return suppress(best, iou=c.nms_iou, keep=c.keep, floor=score, method=c.nms)

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """NMS per class, the best 100 of an image; boxes in input pixels."""
        check_score(score)
        return unpad(self.find(predictions, score))


def focal_loss(logits: Tensor, wanted: Tensor, alpha: float, gamma: float) -> Tensor:
    """-α_t (1 - p_t)^γ log(p_t) of each sigmoid (eq. 5), in float32: logits and wanted (0 or 1) of one shape."""
    logits, wanted = logits.float(), wanted.float()
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    p = logits.sigmoid()
    wrong = p + wanted - 2 * p * wanted  # 1 - p_t
    return (1 - alpha + (2 * alpha - 1) * wanted) * wrong**gamma * entropy


def _subnet(width: int, layers: int, norm: bool) -> nn.Sequential:
    subnet = nn.Sequential()
    for _ in range(layers):
        subnet.append(nn.Conv2d(width, width, 3, padding=1, bias=not norm))
        if norm:
            subnet.append(nn.GroupNorm(GROUPS, width))
        subnet.append(nn.ReLU(inplace=True))
    return subnet


def retinanet_resnet_fpn(depth: Literal[50, 101], **config: Any) -> RetinaNet:
    """ResNet-50 or ResNet-101."""
    c = RetinaNetConfig(**config)
    return RetinaNet(c, ResNet(depth, stride_in_1x1=c.stride_in_1x1, train_norm=c.train_norm))


def retinanet_timm_fpn(name: str, **config: Any) -> RetinaNet:
    """Any timm backbone with maps at strides 8, 16 and 32."""
    c = RetinaNetConfig(**config)
    return RetinaNet(c, TimmPyramid(name, train_norm=c.train_norm))
