"""Faster R-CNN: the proposals come from the network itself, which looks at them with the same features.

Ren, He, Girshick, Sun. "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks." NIPS 2015.
arXiv:1506.01497

Where the paper is in this file
    Network (fig. 2) .......................... FasterRCNN.forward
    Region proposal network (fig. 3, sec. 3.1)  RPN
    Anchors (sec. 3.1.1) ...................... FasterRCNN.build_anchors
    Which anchors learn (sec. 3.1.2, 3.1.3) ... FasterRCNN.match_anchors, assign_anchors
    RPN loss (sec. 3.1.2, eq. 1) .............. FasterRCNN.rpn_loss
    Proposals (sec. 3.3) ...................... FasterRCNN.propose
    Detector on the proposals (Fast R-CNN) .... sample_regions, region_loss, find_in_regions of fast_rcnn.py
    Joint training (sec. 3.2, ii) ............. FasterRCNN.loss
    Alternating training (sec. 3.2, i) ........ vedette.train.four_step, with rpn_loss and detector_loss

Shapes
    B images, A anchors over all L levels (one, in this paper), P proposals of each image (padded), G padded
    ground-truth boxes, C foreground classes. Boxes are x1 y1 x2 y2 in pixels of the network's input. Background is
    index 0 of all logits, inside this file alone.

Where this file leaves the paper
    * Both terms of the RPN's loss are divided by the anchors in the sample, which the paper's λ = 10 comes down to.
    * Several levels are taken, for FPN: each gives its own best anchors to its own NMS.
    * No gradient reaches the RPN through the proposals' corners (the paper's approximate joint training).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from vedette.backbones.regions import RegionBackbone, ResNetC4, TimmRegions, VGG16Regions
from vedette.ops.boxes import clip_each, inside
from vedette.papers.fast_rcnn import (
    Judged,
    RegionHead,
    RegionPool,
    Regions,
    find_in_regions,
    region_loss,
    sample_regions,
)
from vedette.parts.anchors import AnchorCache, Anchors, Grid, pyramid_anchors
from vedette.parts.box_coder import BoxCoder
from vedette.parts.config import (
    Count,
    FromZero,
    Ge,
    IoU,
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
from vedette.parts.detection import Found, best_of_each_level, check_score, find, rows_of, trimmed, unpad
from vedette.parts.layers import initialize, per_anchor
from vedette.parts.losses import box_loss, class_loss, total_of
from vedette.parts.matching import IGNORED, match_by_thresholds
from vedette.parts.sampling import sample
from vedette.parts.sizes import whole_sizes
from vedette.structures import Detections, HeadOutput, InputSpec, TargetBatch, Targets, check_targets, pad_targets


@dataclass(frozen=True, kw_only=True)
class FasterRCNNConfig:
    """The paper's numbers for VGG-16; two numbers in a row are for training and for detection."""

    num_classes: Count = 20  # VOC, without background
    image_size: Size = 600  # sec. 3.3: the short side
    max_side: int = 1000  # authors' code: the long side at most
    # the region proposal network
    anchor_sizes: tuple[tuple[Positive, ...], ...] = ((128.0, 256.0, 512.0),)  # sec. 3.3, of each level
    aspect_ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)  # sec. 3.3: height over width
    rpn_channels: Count = 512  # sec. 3.1
    rpn_positive: Share = 0.7  # sec. 3.1.2
    rpn_negative: Share = 0.3  # sec. 3.1.2
    rpn_sample: Count = 256  # sec. 3.1.3: anchors of an image
    rpn_share: Share = 0.5  # sec. 3.1.3: of them positive at most
    cross_border: bool = False  # sec. 3.3: anchors across the border are not trained
    # its proposals
    proposal_iou: Share = 0.7  # sec. 3.3
    proposals: tuple[Count, Count] = (2000, 300)  # sec. 3.3: of an image
    before_nms: tuple[Count, Count] = (12000, 6000)  # authors' code: proposals of a level
    least_side: FromZero = 25.6  # authors' code: 16 pixels of the picture; of the input 600 / 375 of that, for VOC's
    least_side_first: bool = True  # authors' code: before the best are picked; Detectron: after it
    # the detector on them
    pooling: Literal["max", "align"] = "max"  # Fast R-CNN; RoIAlign is Mask R-CNN's
    regions: Count = 128  # authors' code, joint training: of an image
    positive_share: Share = 0.25  # Fast R-CNN
    positive_iou: IoU = 0.5  # Fast R-CNN
    background_iou: Share = 0.0  # authors' code, joint training
    box_std: Std = (0.1, 0.1, 0.2, 0.2)  # of the detector; the RPN's are 1
    candidates: Count = 2000  # pairs of region and class into NMS, an image
    nms: Suppression = "hard"
    nms_iou: Share = 0.3  # authors' code
    keep: Count = 100  # authors' code: an image
    # what other code does else
    rpn_beta: FromZero = 1 / 9  # authors' code: from which difference on the box loss is linear
    rpn_layers: Count = 1  # sec. 3.1: 3×3 convolutions before the outputs; torchvision's second version: 2
    anchor_grid: Literal["centre", "corner", "torchvision"] = "centre"  # of a cell; ports: its corner
    align_samples: Annotated[int, Ge(0)] = 2  # RoIAlign: of each part, a side; 0: as many as the part has cells
    align_half_cell: bool = False  # RoIAlign: half a cell is subtracted (detectron2, mmdet)
    train_norm: bool = False  # ours: batch norm of the backbone learns, for training from scratch

    def __post_init__(self) -> None:
        check(self)
        check_input(self.image_size, self.max_side)
        check_anchors(self.anchor_sizes, self.aspect_ratios)
        check_at_most("rpn_negative", self.rpn_negative, "rpn_positive", self.rpn_positive)
        check_at_most("background_iou", self.background_iou, "positive_iou", self.positive_iou)


class Predictions(NamedTuple):
    """What the RPN says of every anchor and proposes; `loss` and `detect` run the head on the proposals."""

    rpn: HeadOutput  # logits (B, A, 2): background, object; deltas (B, A, 4)
    features: tuple[Tensor, ...]
    proposals: Tensor  # (B, P, 4), best first
    scores: Tensor  # (B, P) of being an object; 0: no proposal
    source: Tensor  # (B, P) index of the anchor
    anchors: Tensor  # (A, 4) of this input's size
    sizes: Tensor  # (B, 2) height and width of the images inside the padded batch


class RPN(nn.Module):
    """A small network that slides over the maps: 3×3, then 1×1 for 2k scores and 4k deltas (fig. 3)."""

    def __init__(self, channels: int, hidden: int, layers: int, anchors_per_cell: int) -> None:
        super().__init__()
        widths = [channels] + [hidden] * layers
        self.convs = nn.Sequential()
        for before, after in pairwise(widths):
            self.convs.extend((nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)))
        self.logits = nn.Conv2d(hidden, 2 * anchors_per_cell, 1)
        self.deltas = nn.Conv2d(hidden, 4 * anchors_per_cell, 1)
        initialize((self.convs, self.logits, self.deltas), "gaussian")  # sec. 3.1.3

    def forward(self, features: Sequence[Tensor]) -> HeadOutput:
        """L maps (B, channels, H_l, W_l) → logits (B, A, 2), deltas (B, A, 4), the same layers for every map."""
        hidden = [self.convs(feature) for feature in features]
        logits = [per_anchor(self.logits(x), 2) for x in hidden]
        deltas = [per_anchor(self.deltas(x), 4) for x in hidden]
        return HeadOutput(torch.cat(logits, 1), torch.cat(deltas, 1))


class FasterRCNN(nn.Module):
    """The detector on a backbone that gives maps and goes on from regions of them."""

    class_layers = ("head.logits.", "head.deltas.")  # what depends on the classes, by the beginning of the names

    def __init__(self, config: FasterRCNNConfig, backbone: RegionBackbone, pool: nn.Module) -> None:
        super().__init__()
        self.config = c = config
        self.backbone, self.pool = backbone, pool
        k = len(c.anchor_sizes[0]) * len(c.aspect_ratios)  # anchors a cell: 9
        self.rpn = RPN(backbone.channels[0], c.rpn_channels, c.rpn_layers, k)
        self.head = RegionHead(backbone.top_channels, c.num_classes)
        self.rpn_coder, self.coder = BoxCoder((1.0, 1.0, 1.0, 1.0)), BoxCoder(c.box_std)
        self.input_spec = InputSpec(
            size=c.image_size, resize="short side", max_side=c.max_side, divisor=32, **backbone.normalization
        )
        self.anchor_cache = AnchorCache(self.build_anchors)

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Predictions:
        """images (B, 3, H, W), normalised and padded; sizes (B, 2): what of them is image. The whole of fig. 2."""
        sizes = whole_sizes(images, sizes)
        features = self.backbone(images)
        rpn, anchors = self.rpn(features), self.anchor_cache.of(images, features)
        proposed = self.propose(rpn, anchors, sizes).kept
        return Predictions(rpn, features, proposed.boxes, proposed.scores, proposed.source, anchors.boxes, sizes)

    def build_anchors(self, height: int, width: int, grids: Sequence[Grid]) -> Anchors:
        """Of every size and ratio in every cell, for a batch of that size and the rows and columns of each level."""
        c, image = self.config, (height, width)
        return pyramid_anchors(c.anchor_sizes, c.aspect_ratios, self.backbone.strides, grids, image, c.anchor_grid)

    def trains_anchors(self, height: int, width: int) -> bool:
        """Whether the RPN learns from any anchor of an image of that size, in pixels of the input."""
        divisor = self.input_spec.divisor
        tall, wide = (-(-side // divisor) * divisor for side in (height, width))
        grids = [(-(-tall // stride), -(-wide // stride)) for stride in self.backbone.strides]
        anchors = self.build_anchors(tall, wide, grids).boxes
        return self.config.cross_border or bool(inside(anchors, torch.tensor([[height, width]])).any())

    def objectness(self, rpn: HeadOutput) -> Tensor:
        """(B, A, 1) of being an object: the softmax of two."""
        return rpn.logits.float().diff(dim=-1).sigmoid()

    @torch.no_grad()
    def propose(self, rpn: HeadOutput, anchors: Anchors, sizes: Tensor) -> Found:
        """The RPN's boxes, cut at the image, the best of each level into the NMS of that level (sec. 3.3)."""
        c = self.config
        before, after = c.before_nms[not self.training], c.proposals[not self.training]

        def boxes_at(rows: Tensor, _: Tensor) -> Tensor:
            return clip_each(self.rpn_coder.decode(rows_of(rpn.deltas, rows), anchors.boxes[rows]), sizes)

        scores = self.objectness(rpn)
        if c.least_side_first:
            boxes = clip_each(self.rpn_coder.decode(rpn.deltas, anchors.boxes), sizes)
            scores = scores * ((boxes[..., 2:] - boxes[..., :2]).amin(-1, keepdim=True) >= c.least_side)
        pick = partial(best_of_each_level, count=before, levels=anchors.counts, apart=True)
        return find(scores, boxes_at, pick, floor=0.0, iou=c.proposal_iou, keep=after, least_side=c.least_side)

    def look_at(self, features: Sequence[Tensor], regions: Tensor) -> HeadOutput:
        """What the head says of each region (B, R, 4): logits (B, R, C + 1), deltas (B, R, C, 4)."""
        output: HeadOutput = self.head(self.backbone.top(self.pool(features, regions)), *regions.shape[:2])
        return output

    def match_anchors(self, predictions: Predictions, truth: TargetBatch) -> Tensor:
        """(B, A) the object that each anchor answers for, -1 for background, -2 for neither (sec. 3.1.2)."""
        c, anchors = self.config, predictions.anchors
        usable = None if c.cross_border else inside(anchors, predictions.sizes)
        how: dict[str, Any] = {"positive": c.rpn_positive, "negative": c.rpn_negative, "keep_best": True}
        return match_by_thresholds(anchors, *truth.for_matching, usable=usable, **how)

    def assign_anchors(self, predictions: Predictions, truth: TargetBatch) -> tuple[Tensor, Tensor]:
        """A sample of the anchors, rows (B, S), and which object each one of them is (sec. 3.1.3)."""
        matched = self.match_anchors(predictions, truth)
        rows, drawn = sample(matched, self.config.rpn_sample, self.config.rpn_share, truth.seeds)
        return rows, torch.where(drawn, matched.gather(1, rows), IGNORED)

    def assign_regions(self, proposals: Tensor, real: Tensor, truth: TargetBatch) -> Regions:
        """Fast R-CNN's sample of proposals (B, P, 4); real (B, P): False in the padding."""
        c = self.config
        how = {"share": c.positive_share, "positive": c.positive_iou, "background": c.background_iou}
        return sample_regions(proposals, real, truth, count=c.regions, **how)

    def loss(self, predictions: Predictions, targets: Targets) -> dict[str, Tensor]:
        """Joint training (sec. 3.2, ii): the RPN's eq. 1, and Fast R-CNN's loss on a sample of its proposals."""
        check_targets(targets, len(predictions.proposals), self.config.num_classes)
        truth = pad_targets(targets, predictions.proposals.device)
        rpn_class, rpn_box = self.rpn_loss(predictions, truth)
        class_, box = self.detector_loss(predictions.features, predictions.proposals, predictions.scores > 0, truth)
        return {"rpn_class": rpn_class, "rpn_box": rpn_box, "class": class_, "box": box}

    def rpn_loss(self, predictions: Predictions, truth: TargetBatch) -> tuple[Tensor, Tensor]:
        """L_cls and L_reg of eq. 1 over a sample of each image's anchors, both divided by its size."""
        rows, matched = self.assign_anchors(predictions, truth)
        logits, deltas = (rows_of(values, rows) for values in predictions.rpn)
        drawn = matched != IGNORED
        total = total_of(drawn.sum())
        objects = torch.where(drawn, class_loss(logits, (matched >= 0).long()), 0.0).sum()
        anchors = predictions.anchors[rows]
        boxes = box_loss(deltas, anchors, truth.boxes, matched, self.rpn_coder, self.config.rpn_beta)
        return objects / total, boxes / total

    def detector_loss(
        self, features: Sequence[Tensor], proposals: Tensor, real: Tensor, truth: TargetBatch
    ) -> tuple[Tensor, Tensor]:
        """Fast R-CNN's L_cls and L_loc on a sample of proposals (B, P, 4); real (B, P): False in the padding."""
        regions = self.assign_regions(proposals, real, truth)
        return region_loss(self.look_at(features, regions.boxes), regions, truth, self.coder)

    def find(self, predictions: Predictions, score: float = 0.05) -> Found:
        """Every class's own box of every proposal, NMS of each class, the best 100 of an image."""
        c = self.config
        real = trimmed(predictions.scores > 0)
        proposals = predictions.proposals[:, : real.shape[1]]
        judged = Judged(*self.look_at(predictions.features, proposals), proposals, real, predictions.sizes)
        found = find_in_regions(
            judged, self.coder, floor=score, count=c.candidates, iou=c.nms_iou, keep=c.keep, method=c.nms
        )
        return found.from_sources(predictions.source)

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """What `find` keeps of each image; boxes in input pixels, `source` is the anchor of the proposal."""
        return unpad(self.find(predictions, check_score(score)).kept)


def build(backbone: str, **fields: Any) -> FasterRCNN:
    """On "vgg16": conv5_3, and its two layers on 7×7 of a proposal; "resnet50": c4, and its last stage on 14×14 (He et
    al., CVPR 2016, appendix A); or timm's of that name: the map at stride 16, and two layers of 1024 on 7×7.
    """
    c = FasterRCNNConfig(**fields)
    check_levels("anchor_sizes", c.anchor_sizes, 1)
    bodies: dict[str, Callable[..., RegionBackbone]] = {"vgg16": VGG16Regions, "resnet50": partial(ResNetC4, 50)}
    body = bodies.get(backbone, partial(TimmRegions, backbone))(train_norm=c.train_norm)
    pool = RegionPool(body.strides[-1], body.pooled, c.pooling, c.align_samples, c.align_half_cell)
    return FasterRCNN(c, body, pool)
