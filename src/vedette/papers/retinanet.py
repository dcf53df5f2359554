"""RetinaNet: one look at every anchor of a pyramid, and a loss that easy negatives cannot drown.

Lin, Goyal, Girshick, He, Dollár. "Focal Loss for Dense Object Detection." ICCV 2017. arXiv:1708.02002

Where the paper is in this file
    Focal loss (sec. 3, eq. 2, 4 and 5) ....... focal_loss
    Prior (sec. 3.3, 4.1) ..................... RetinaHead
    Pyramid p3 to p7 (sec. 4) ................. RetinaPyramid, on FeaturePyramid of fpn.py
    Anchors (sec. 4) .......................... RetinaNet.build_anchors
    Classification and box subnets (fig. 3) ... RetinaHead
    Which anchors learn (sec. 4) .............. RetinaNet.assign
    Training (sec. 4.1) ....................... RetinaNet.loss
    Inference (sec. 4.1) ...................... RetinaNet.find

Shapes
    B images, A anchors over all L levels, G padded ground-truth boxes, C foreground classes. Boxes are x1 y1 x2 y2 in
    pixels of the network's input. There is no background among the logits.

Where this file leaves the paper
    * Ignored ground truth makes negatives that overlap it ignored too.
    * `p6_from`, `relu_before_p7`, `head_norm`, `keep_best`: what torchvision's two versions and other code do else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import log
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vedette.backbones.backbone import Backbone
from vedette.backbones.resnet import ResNet
from vedette.backbones.timm_pyramid import TimmPyramid
from vedette.ops.boxes import clip_each, exact
from vedette.papers.fpn import FeaturePyramid
from vedette.parts.anchors import AnchorCache, Anchors, Grid, pyramid_anchors
from vedette.parts.box_coder import BoxCoder
from vedette.parts.config import (
    Count,
    FromZero,
    Ge,
    Gt,
    Lt,
    Positive,
    Share,
    Size,
    Std,
    Suppression,
    check,
    check_anchors,
    check_at_most,
    check_input,
    check_levels,
)
from vedette.parts.detection import Found, best_of_each_level, check_score, find, rows_of, unpad
from vedette.parts.layers import initialize, per_anchor
from vedette.parts.losses import box_loss, gather_labels, total_of
from vedette.parts.matching import IGNORED, match_by_thresholds
from vedette.parts.sizes import whole_sizes
from vedette.structures import Detections, HeadOutput, InputSpec, TargetBatch, Targets, check_targets, pad_targets

STRIDES = (8, 16, 32, 64, 128)  # p3 to p7
OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # sec. 4: sizes of a level's anchors, in its own
GROUPS = 32  # of the group norm in torchvision's second version


@dataclass(frozen=True, kw_only=True)
class RetinaNetConfig:
    """The paper's numbers."""

    num_classes: Count = 20  # without background
    image_size: Size = 800  # tab. 2: the short side
    max_side: int = 1333  # authors' code: the long side at most
    anchor_sizes: tuple[tuple[Positive, ...], ...] = tuple(
        tuple(4 * stride * octave for octave in OCTAVES) for stride in STRIDES
    )  # sec. 4: 32² to 512², of each level
    aspect_ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)  # sec. 4: height over width
    width: Count = 256  # sec. 4: channels of every level and of the subnets
    subnet_layers: Annotated[int, Ge(0)] = 4  # sec. 4
    prior: Annotated[float, Gt(0), Lt(1)] = 0.01  # sec. 4.1: of an object, at first
    alpha: Share = 0.25  # sec. 4.1
    gamma: FromZero = 2.0  # sec. 4.1
    positive_iou: Share = 0.5  # sec. 4
    negative_iou: Share = 0.4  # sec. 4
    candidates: Count = 1000  # sec. 4.1: of each level into NMS
    nms: Suppression = "hard"
    nms_iou: Share = 0.5  # sec. 4.1
    keep: Count = 100  # authors' code: an image
    # what other code does else
    beta: FromZero = 1 / 9  # authors' code: 0.11, from which difference on the box loss is linear
    box_std: Std = (1.0, 1.0, 1.0, 1.0)
    anchor_grid: Literal["centre", "corner", "torchvision"] = "centre"  # of a cell; ports: its corner
    keep_best: bool = False  # later code: an object's best anchor is its own whatever the overlap
    p6_from: Literal["c5", "p5"] = "c5"  # sec. 4; torchvision's first version: p5
    relu_before_p7: bool = True  # sec. 4; mmdet: none
    head_norm: bool = False  # torchvision's second version: group norm in the subnets
    stride_in_1x1: bool = False  # detectron2: where a stage's stride is in the ResNet; torchvision: in the 3×3
    train_norm: bool = False  # ours: batch norm of the backbone learns, for training from scratch

    def __post_init__(self) -> None:
        check(self)
        check_input(self.image_size, self.max_side)
        check_anchors(self.anchor_sizes, self.aspect_ratios)
        check_at_most("negative_iou", self.negative_iou, "positive_iou", self.positive_iou)
        if self.head_norm and self.width % GROUPS:
            raise ValueError(f"width is {self.width}: give a multiple of {GROUPS} with head_norm")


class Predictions(NamedTuple):
    """What the network says of every anchor."""

    logits: Tensor  # (B, A, C), a sigmoid each
    deltas: Tensor  # (B, A, 4), against the anchors
    anchors: Tensor  # (A, 4) of this input's size
    levels: tuple[int, ...]  # anchors of each level
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

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """L maps (B, width, H_l, W_l) → logits (B, A, C), deltas (B, A, 4)."""
        logits = [per_anchor(self.logits(self.class_subnet(x)), self.num_classes) for x in features]
        deltas = [per_anchor(self.deltas(self.box_subnet(x)), 4) for x in features]
        return HeadOutput(torch.cat(logits, 1), torch.cat(deltas, 1))


class RetinaNet(nn.Module):
    """The detector on a backbone that gives maps at strides 8, 16 and 32, or on any other backbone and pyramid.

    pyramid: from the backbone's maps to one of `config.width` channels for each of `strides`, the pixels of the input
    that a cell stands for.

    Raises ValueError where the anchors are of another number of levels.
    """

    class_layers = ("head.logits.",)  # what depends on the classes, by the beginning of the names
    classes_alone = True  # no background: each class has a sigmoid of its own

    def __init__(
        self,
        config: RetinaNetConfig,
        backbone: Backbone,
        pyramid: nn.Module | None = None,
        strides: Sequence[float] = STRIDES,
    ) -> None:
        super().__init__()
        self.config = c = config
        check_levels("anchor_sizes", c.anchor_sizes, len(strides))
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
        self.anchor_cache = AnchorCache(self.build_anchors)

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Predictions:
        """images (B, 3, H, W), normalised and padded; sizes (B, 2): what of them is image. The whole of fig. 3."""
        features = self.pyramid(self.backbone(images))
        logits, deltas = self.head(features)
        anchors = self.anchor_cache.of(images, features)
        return Predictions(logits, deltas, anchors.boxes, anchors.counts, whole_sizes(images, sizes))

    def build_anchors(self, height: int, width: int, grids: Sequence[Grid]) -> Anchors:
        """Of every size and ratio in every cell, for a batch of that size and the rows and columns of each level."""
        c = self.config
        return pyramid_anchors(c.anchor_sizes, c.aspect_ratios, self.strides, grids, (height, width), c.anchor_grid)

    def assign(self, predictions: Predictions, truth: TargetBatch) -> Tensor:
        """(B, A) the object that each anchor answers for, -1 for background, -2 between 0.4 and 0.5 (sec. 4)."""
        c = self.config
        how: dict[str, Any] = {"positive": c.positive_iou, "negative": c.negative_iou, "keep_best": c.keep_best}
        return match_by_thresholds(predictions.anchors, *truth.for_matching, **how)

    def loss(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Focal loss of all anchors as "class", smooth L1 of the matched ones as "box", both over their number."""
        c, (logits, deltas, anchors, _, _) = self.config, predictions
        check_targets(targets, len(logits), c.num_classes)
        truth = pad_targets(targets, anchors.device)
        matched = self.assign(predictions, truth)
        total = total_of((matched >= 0).sum())
        labels = gather_labels(truth.labels + 1, matched)  # 0 is background
        y = F.one_hot(labels, c.num_classes + 1)[..., 1:]
        focal = focal_loss(logits, y, c.alpha, c.gamma).sum(-1)  # (B, A)
        classes = torch.where(matched == IGNORED, 0.0, focal).sum()
        boxes = box_loss(deltas, anchors, truth.boxes, matched, self.coder, c.beta)
        return {"class": classes / total, "box": boxes / total}

    def scores(self, predictions: Predictions) -> Tensor:
        """(B, A, C) a sigmoid each."""
        return predictions.logits.float().sigmoid()

    def boxes_at(self, predictions: Predictions, rows: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, K, 4) the boxes of the anchors (B, K), cut at their image: what lies in the padding has no area."""
        _, deltas, anchors, _, sizes = predictions
        return clip_each(self.coder.decode(rows_of(deltas, rows), anchors[rows]), sizes)

    def find(self, predictions: Predictions, score: float = 0.05) -> Found:
        """The best 1000 of each level into the NMS of each class, the best 100 of an image (sec. 4.1)."""
        c, boxes_at = self.config, partial(self.boxes_at, predictions)
        pick = partial(best_of_each_level, count=c.candidates, levels=predictions.levels)
        return find(self.scores(predictions), boxes_at, pick, floor=score, iou=c.nms_iou, keep=c.keep, method=c.nms)

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """What `find` keeps of each image; boxes in input pixels, `source` is the anchor."""
        return unpad(self.find(predictions, check_score(score)).kept)


def focal_loss(x: Tensor, y: Tensor, alpha: float, gamma: float) -> Tensor:
    """FL(p_t) = -α_t (1 - p_t)^γ log(p_t) (eq. 5) of each logit x; y: 1 for an object, else 0; in float32 at least."""
    x = exact(x)
    y = y.to(x)
    x_t = x * (2 * y - 1)  # p_t = sigmoid(x_t), eq. 2
    alpha_t = alpha * y + (1 - alpha) * (1 - y)
    log_p_t, log_rest = F.logsigmoid(x_t), F.logsigmoid(-x_t)  # log (1 - p_t): 1 - p_t rounds to 0 where p_t is near 1
    return -alpha_t * torch.exp(gamma * log_rest) * log_p_t


def _subnet(width: int, layers: int, norm: bool) -> nn.Sequential:
    subnet = nn.Sequential()
    for _ in range(layers):
        subnet.append(nn.Conv2d(width, width, 3, padding=1, bias=not norm))
        if norm:
            subnet.append(nn.GroupNorm(GROUPS, width))
        subnet.append(nn.ReLU(inplace=True))
    return subnet


def build(backbone: str, **fields: Any) -> RetinaNet:
    """On "resnet50" or "resnet101", or on timm's of that name, with maps at strides 8, 16 and 32."""
    c = RetinaNetConfig(**fields)
    depths: dict[str, Literal[50, 101]] = {"resnet50": 50, "resnet101": 101}
    if backbone in depths:
        return RetinaNet(c, ResNet(depths[backbone], stride_in_1x1=c.stride_in_1x1, train_norm=c.train_norm))
    return RetinaNet(c, TimmPyramid(backbone, train_norm=c.train_norm))
