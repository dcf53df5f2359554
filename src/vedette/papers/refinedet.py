"""RefineDet: a single-shot detector that refines its anchors before it classifies them.

Zhang, Wen, Bian, Lei, Li. "Single-Shot Refinement Neural Network for Object Detection." CVPR 2018. arXiv:1711.06897

Where the paper is in this file
    Network (fig. 1) ............................. RefineDet.forward
    Transfer connection block (fig. 2) ........... TransferConnectionBlock
    Anchors (sec. 3.3, design and matching) ...... RefineDet.build_anchors
    Two-step cascaded regression (sec. 3.2) ...... RefineDet.refine
    Negative anchor filtering (sec. 3.2) ......... RefineDet.is_easy
    Loss (sec. 3.3, eq. 1) ....................... RefineDet.loss
    Inference (sec. 3.3) ......................... RefineDet.detect
    Ablation (tab. 3) ............................ filter_negatives, cascade, tcb

Shapes
    B images, A anchors over all levels, L levels, G padded ground-truth boxes, C foreground classes.
    Boxes are x1 y1 x2 y2 in pixels of the network's input. Background is index 0 of the logits, inside this file alone.

Where this file leaves the paper
    * An image is given at least `min_negatives`: with 3:1 alone an image without objects would teach nothing.
    * Ignored ground truth (VOC's difficult) is neither matched nor mined; training may count it as ordinary instead.
    * Other backbones: any of timm, its maps normalised as conv4_3 is, batch norm in the new layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from vedette.backbones.backbone import Backbone
from vedette.backbones.resnet import ResNet, move_stride_to_1x1
from vedette.backbones.timm_pyramid import TimmPyramid
from vedette.backbones.vgg import VGG16
from vedette.parts.anchors import AnchorCache, Anchors, Grid, grid_anchors, limit_anchors, ratio_shapes, stack_levels
from vedette.parts.box_coder import BoxCoder
from vedette.parts.config import Count, FromZero, Ge, IoU, Positive, Share, Std, Suppression, check
from vedette.parts.detection import Found, best_of_image, check_score, find, rows_of, unpad
from vedette.parts.layers import LevelBlocks, MultiboxHead, convolution, initialize, map_norms, residual, start_even
from vedette.parts.losses import multibox_loss
from vedette.parts.matching import match
from vedette.parts.sizes import check_sides
from vedette.structures import Detections, HeadOutput, InputSpec, TargetBatch, Targets, check_targets, pad_targets


@dataclass(frozen=True, kw_only=True)
class RefineDetConfig:
    """The paper's numbers for 320 pixels and VGG-16."""

    num_classes: Count = 20  # VOC, without background
    image_size: Annotated[int, Ge(64)] = 320  # or 512
    anchor_scale: Positive = 4.0  # sec. 3.3: an anchor's side is 4 × stride
    aspect_ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)  # sec. 3.3
    clip_anchors: bool = False  # authors' code: unclipped; ports limit centre and size to the image
    extra: Literal["conv6", "res6"] = "conv6"  # sec. 3.3: the level at stride 64
    extra_channels: tuple[Count, Count] = (256, 512)  # conv6_1, conv6_2
    l2_norm: tuple[Positive, ...] = (10.0, 8.0)  # sec. 3.3: conv4_3, conv5_3, where the learned scales begin
    map_rms: FromZero = 0.0  # ours: L2 norm of all the backbone's maps, that root mean square at first; classes even
    tcb_channels: Count = 256  # fig. 2
    norm: bool = False  # batch norm in the new layers; authors' code: in the TCBs of ResNet-101
    train_norm: bool = False  # ours: batch norm of the backbone learns, for training from scratch
    init: Literal["xavier", "gaussian"] = "xavier"  # sec. 3.3: Gaussian for ResNet-101
    deep_heads: bool = False  # authors' code, ResNet-101: a residual block before each level's heads
    stride_in_1x1: bool = False  # authors' code, ResNet-101: where a stage's stride is; torchvision: in the 3×3
    match_iou: IoU = 0.5  # sec. 3.3
    theta: Positive = 0.99  # sec. 3.2
    negatives_per_positive: FromZero = 3.0  # sec. 3.3
    min_negatives: Annotated[int, Ge(0)] = 3  # ours
    box_std: Std = (0.1, 0.1, 0.2, 0.2)  # authors' code
    candidates: Count = 400  # sec. 3.3: into NMS, an image
    nms: Suppression = "hard"
    nms_iou: Share = 0.45  # sec. 3.3
    keep: Count = 200  # sec. 3.3
    filter_negatives: bool = True  # tab. 3, the three switches
    cascade: bool = True
    tcb: bool = True

    def __post_init__(self) -> None:
        check(self)
        if self.image_size % 64:
            raise ValueError(f"image_size is {self.image_size}: give a multiple of 64")
        if not self.aspect_ratios:
            raise ValueError("aspect_ratios is empty: give one number or more")


class Predictions(NamedTuple):
    """Both modules for every anchor; `arm` is None where all three switches are off."""

    arm: HeadOutput | None  # logits (B, A, 2): background, object
    odm: HeadOutput  # logits (B, A, C + 1); deltas against the refined anchors
    anchors: Tensor  # (A, 4) of this input's size


class Assignment(NamedTuple):
    """Which object each anchor answers for, -1 for background, -2 for neither."""

    arm: Tensor  # (B, A) by the anchors
    odm: Tensor  # (B, A) by the refined anchors
    refined: Tensor  # (A, 4) or (B, A, 4)


class TransferConnectionBlock(nn.Module):
    """Carries a map of the ARM to the ODM and adds the coarser level's output to it (fig. 2)."""

    def __init__(self, incoming: int, channels: int, has_coarser: bool, norm: bool) -> None:
        super().__init__()
        self.conv1 = convolution(incoming, channels, 3, norm=norm)
        self.conv2 = convolution(channels, channels, 3, norm=norm)
        self.upsample = nn.ConvTranspose2d(channels, channels, 2, stride=2) if has_coarser else None
        self.conv3 = convolution(channels, channels, 3, norm=norm)

    def forward(self, feature: Tensor, coarser: Tensor | None) -> Tensor:
        """(B, C, H, W) and (B, channels, H/2, W/2) or None → (B, channels, H, W)."""
        x = self.conv2(self.conv1(feature).relu())
        if self.upsample is not None:
            x = x + self.upsample(coarser)
        out: Tensor = self.conv3(x.relu())
        return out.relu()


class RefineDet(nn.Module):
    """The detector on a backbone that gives maps at strides 8, 16 and 32."""

    class_layers = ("odm.logits.",)  # what depends on the classes, by the beginning of the names

    def __init__(self, config: RefineDetConfig, backbone: Backbone) -> None:
        super().__init__()
        self.config = c = config
        self.backbone = backbone
        channels = [*backbone.channels, c.extra_channels[1]]
        anchors = [len(c.aspect_ratios)] * len(channels)
        self.strides = (*backbone.strides, 2 * backbone.strides[-1])
        self.extra = _extra_level(c, channels[-2])
        self.l2_norms = map_norms(backbone.channels, c.l2_norm, c.map_rms)

        has_arm = c.filter_negatives or c.cascade or c.tcb
        self.arm_blocks = LevelBlocks(channels, c.deep_heads and has_arm)
        self.arm = MultiboxHead(self.arm_blocks.channels, anchors, 2) if has_arm else None
        self.tcbs = nn.ModuleList()
        if c.tcb:
            coarsest = len(channels) - 1
            self.tcbs.extend(
                TransferConnectionBlock(n, c.tcb_channels, level < coarsest, c.norm) for level, n in enumerate(channels)
            )
            channels = [c.tcb_channels] * len(channels)
        self.odm_blocks = LevelBlocks(channels, c.deep_heads)
        self.odm = MultiboxHead(self.odm_blocks.channels, anchors, c.num_classes + 1)

        self.coder = BoxCoder(c.box_std)
        self.input_spec = InputSpec(size=c.image_size, divisor=self.strides[-1], **backbone.normalization)
        self.anchor_cache = AnchorCache(self.build_anchors)
        self._initialize()

    def _initialize(self) -> None:
        """xavier for VGG-16, Gaussian for ResNet-101 (sec. 3.3); heads xavier (authors' code), on timm's even."""
        new = (module for name, module in self.named_children() if name != "backbone")
        initialize(new, self.config.init)
        heads = [head for head in (self.arm, self.odm) if head is not None]
        if self.config.map_rms:
            start_even(layer for head in heads for layer in head.logits)
        else:
            initialize(heads, "xavier")

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Predictions:
        """images (B, 3, H, W), normalised, sides multiples of 64; nothing is padded. The whole of fig. 1."""
        check_sides(images, self.strides[-1], "RefineDet")
        features = self.features(images)  # fine to coarse
        arm = self.arm(self.arm_blocks(features)) if self.arm is not None else None
        odm = self.odm(self.odm_blocks(self.transfer(features) if self.tcbs else features))
        return Predictions(arm, odm, self.anchor_cache.of(images, features).boxes)

    def features(self, images: Tensor) -> list[Tensor]:
        """The ARM's maps at strides 8, 16, 32, 64 (conv4_3, conv5_3, fc7, conv6_2 of VGG-16)."""
        maps = list(self.backbone(images))
        maps.append(self.extra(maps[-1]))
        for level, norm in enumerate(self.l2_norms):
            maps[level] = norm(maps[level])
        return maps

    def transfer(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The ODM's maps, from the coarsest to the finest through the TCBs; returned fine to coarse."""
        maps: list[Tensor] = []
        coarser = None
        for tcb, feature in zip(reversed(self.tcbs), reversed(features), strict=True):
            coarser = tcb(feature, coarser)
            maps.insert(0, coarser)
        return maps

    @property
    def anchors(self) -> Tensor:
        """(A, 4) at the model's own size."""
        side = self.config.image_size
        grids = tuple((side // stride, side // stride) for stride in self.strides)
        return self.anchor_cache.at(side, side, grids, next(self.parameters()).device).boxes

    def build_anchors(self, height: int, width: int, grids: Sequence[Grid]) -> Anchors:
        """One scale a level, three ratios, around the centre of every cell (6375 at 320, 16320 at 512)."""
        levels = []
        for stride, (rows, columns) in zip(self.strides, grids, strict=True):
            shapes = ratio_shapes(self.config.anchor_scale * stride, self.config.aspect_ratios)
            anchors = grid_anchors(shapes, rows, columns, stride)
            levels.append(limit_anchors(anchors, width, height) if self.config.clip_anchors else anchors)
        return stack_levels(levels, grids)

    def refine(self, arm: HeadOutput | None, anchors: Tensor) -> Tensor:
        """(B, A, 4) first step of the cascade: anchors moved by the ARM, which learns nothing of it (authors' code)."""
        if arm is None or not self.config.cascade:
            return anchors
        return self.coder.decode(arm.deltas.detach(), anchors)

    def emptiness(self, arm: HeadOutput) -> Tensor:
        """(B, A) how sure the ARM is that an anchor is background."""
        return arm.logits.detach().float().softmax(-1)[..., 0]

    def is_easy(self, arm: HeadOutput | None) -> Tensor | None:
        """(B, A) bool: anchors that the ARM is sure are background; None without the filter."""
        if arm is None or not self.config.filter_negatives:
            return None
        return self.emptiness(arm) > self.config.theta

    def assign(self, predictions: Predictions, truth: TargetBatch) -> Assignment:
        """SSD's matching (sec. 3.3), of the ARM against the anchors, of the ODM against the refined ones."""
        arm, _, anchors = predictions
        refined, iou = self.refine(arm, anchors), self.config.match_iou
        first = match(anchors, *truth.for_matching, iou)
        second = first if refined is anchors else match(refined, *truth.for_matching, iou)
        return Assignment(first, second, refined)

    def loss(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Eq. 1: (L_b + L_r) / N_arm + (L_m + L_r) / N_odm.

        L_b tells object from background, L_m the classes, L_r is smooth L1; each N counts that module's positives. Easy
        anchors may be positives of the ODM, never its negatives.
        """
        arm, odm, anchors = predictions
        check_targets(targets, len(odm.logits), self.config.num_classes)
        truth = pad_targets(targets, anchors.device)
        assigned, easy = self.assign(predictions, truth), self.is_easy(arm)
        ratio, least = self.config.negatives_per_positive, self.config.min_negatives
        loss_of = partial(multibox_loss, coder=self.coder, negative_ratio=ratio, min_negatives=least)
        losses = {}
        if arm is not None:
            objects = torch.ones_like(truth.labels)
            losses["arm_class"], losses["arm_box"] = loss_of(arm, anchors, truth.boxes, objects, assigned.arm)
        losses["odm_class"], losses["odm_box"] = loss_of(
            odm, assigned.refined, truth.boxes, truth.labels + 1, assigned.odm, None if easy is None else ~easy
        )
        return losses

    def class_scores(self, predictions: Predictions) -> Tensor:
        """(B, A, C) the ODM's softmax without background."""
        return predictions.odm.logits.float().softmax(-1)[..., 1:]

    def scores(self, predictions: Predictions) -> Tensor:
        """(B, A, C) the same, 0 where the ARM is sure that there is nothing."""
        scores, easy = self.class_scores(predictions), self.is_easy(predictions.arm)
        return scores if easy is None else scores.masked_fill(easy[..., None], 0.0)

    def boxes_at(self, predictions: Predictions, rows: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, K, 4) second step of the cascade, of the anchors (B, K), the same for every class."""
        arm, odm, anchors = predictions
        own = None if arm is None else HeadOutput(rows_of(arm.logits, rows), rows_of(arm.deltas, rows))
        return self.coder.decode(rows_of(odm.deltas, rows), self.refine(own, anchors[rows]))

    def find(self, predictions: Predictions, score: float = 0.05) -> Found:
        """The best 400 of an image into the NMS of each class, the best 200 of what stays (sec. 3.3)."""
        c, boxes_at = self.config, partial(self.boxes_at, predictions)
        pick = partial(best_of_image, count=c.candidates)
        return find(self.scores(predictions), boxes_at, pick, floor=score, iou=c.nms_iou, keep=c.keep, method=c.nms)

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """What `find` keeps of each image; boxes in input pixels, `source` is the anchor."""
        return unpad(self.find(predictions, check_score(score)).kept)


def _extra_level(c: RefineDetConfig, incoming: int) -> nn.Module:
    """The level at stride 64: conv6_1 and conv6_2, or one more residual block."""
    middle, outgoing = c.extra_channels
    if c.extra == "res6":
        block: nn.Module = residual(incoming, middle, outgoing, stride=2)
        if c.stride_in_1x1:
            move_stride_to_1x1(block)
        return block
    squeeze, shrink = convolution(incoming, middle, 1, norm=c.norm), convolution(middle, outgoing, 3, 2, norm=c.norm)
    return nn.Sequential(squeeze, nn.ReLU(), shrink, nn.ReLU())


def build(backbone: str, **fields: Any) -> RefineDet:
    """On "vgg16" (pool5 2×2 of stride 2, dilation 3: fc7 at stride 32), "resnet101" (res3 to res5), or timm's."""
    c = RefineDetConfig(**fields)
    if backbone == "vgg16":
        return RefineDet(c, VGG16(pool5_stride=2, dilation=3, train_norm=c.train_norm))
    if backbone == "resnet101":
        caffe = c.stride_in_1x1
        return RefineDet(c, ResNet(101, stride_in_1x1=caffe, ceil_pool=caffe, train_norm=c.train_norm))
    return RefineDet(c, TimmPyramid(backbone, train_norm=c.train_norm))
