"""Faster R-CNN: the proposals come from the network itself, which looks at them with the same features.

Ren, He, Girshick, Sun. "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks." NIPS 2015.
arXiv:1506.01497

Where the paper is in this file
    Network (fig. 2) .......................... FasterRCNN.forward
    Region proposal network (fig. 3, sec. 3.1)  RPN
    Anchors (sec. 3.1.1) ...................... FasterRCNN.build_anchors
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

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from vedette.backbones.regions import RegionBackbone, ResNetC4, TimmRegions, VGG16Regions
from vedette.ops.boxes import clip_each, inside
from vedette.papers.fast_rcnn import (
    RegionHead,
    RegionPool,
    check_regions,
    find_in_regions,
    region_loss,
    sample_regions,
)
from vedette.parts.anchors import pyramid_anchors
from vedette.parts.box_coder import BoxCoder
from vedette.parts.calls import whole_sizes
from vedette.parts.config import check_input, check_std, check_suppression, check_types
from vedette.parts.detection import Candidates, best_candidates, check_score, suppress, unpad
from vedette.parts.heads import per_anchor
from vedette.parts.init import initialize
from vedette.parts.losses import box_loss, class_loss
from vedette.parts.matching import IGNORED, match_by_thresholds
from vedette.parts.sampling import sample
from vedette.parts.targets import TargetBatch, check_targets, pad_targets
from vedette.structures import Detections, InputSpec, Step, Target


@dataclass(frozen=True, kw_only=True)
class FasterRCNNConfig:
    """The paper's numbers for VGG-16; two numbers in a row are for training and for detection."""

    num_classes: int = 20  # VOC, without background
    image_size: int = 600  # sec. 3.3: the short side
    max_side: int = 1000  # authors' code: the long side at most
    anchor_sizes: tuple[tuple[float, ...], ...] = ((128.0, 256.0, 512.0),)  # sec. 3.3, of each level
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # sec. 3.3: height over width
    anchor_grid: Literal["centre", "corner", "torchvision"] = "centre"  # of a cell; ports: its corner
    rpn_channels: int = 512  # sec. 3.1
    rpn_layers: int = 1  # sec. 3.1: 3×3 convolutions before the outputs
    rpn_positive: float = 0.7  # sec. 3.1.2
    rpn_negative: float = 0.3  # sec. 3.1.2
    rpn_sample: int = 256  # sec. 3.1.3: anchors of an image
    rpn_share: float = 0.5  # sec. 3.1.3: of them positive at most
    rpn_beta: float = 1 / 9  # authors' code: from which difference on the box loss is linear
    cross_border: bool = False  # sec. 3.3: anchors across the border are not trained
    before_nms: tuple[int, int] = (12000, 6000)  # authors' code: proposals of a level
    proposals: tuple[int, int] = (2000, 300)  # sec. 3.3: of an image
    proposal_iou: float = 0.7  # sec. 3.3
    least_side: float = 16.0  # authors' code: smaller proposals are dropped
    pooling: Literal["max", "align"] = "max"  # Fast R-CNN; RoIAlign is Mask R-CNN's
    align_samples: int = 2  # RoIAlign: of each part, a side; 0: as many as the part has cells
    align_half_cell: bool = False  # RoIAlign: half a cell is subtracted (detectron2, mmdet)
    regions: int = 128  # authors' code, joint training: of an image
    positive_share: float = 0.25  # Fast R-CNN
    positive_iou: float = 0.5  # Fast R-CNN
    background_iou: float = 0.0  # authors' code, joint training
    box_std: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)  # of the detector; the RPN's are 1
    candidates: int = 2000  # pairs of region and class into NMS, an image
    nms: Literal["hard", "linear", "gaussian"] = "hard"
    nms_iou: float = 0.3  # authors' code
    keep: int = 100  # authors' code: an image
    width: int = 256  # FPN, sec. 3: channels of every level
    norm: bool = False  # FPN, torchvision's second version: batch norm in the pyramid and the head's convolutions
    head_convs: int = 0  # FPN, torchvision's second version: 3×3 convolutions before the layers
    head_layers: int = 2  # FPN, sec. 4.2: of 1024
    stride_in_1x1: bool = False  # FPN, detectron2: where a stage's stride is in the ResNet; torchvision: in the 3×3
    train_norm: bool = False  # ours: batch norm of the backbone learns, for training from scratch

    def __post_init__(self) -> None:
        check_types(self)
        check_input(self.image_size, self.max_side)
        check_std(self.box_std)
        check_regions(self.regions, self.positive_share, self.positive_iou, self.background_iou)
        check_suppression(self.nms_iou, self.candidates, self.keep)
        if not 0 <= self.rpn_negative <= self.rpn_positive <= 1:
            raise ValueError(f"rpn_negative is {self.rpn_negative}: give 0 to rpn_positive, {self.rpn_positive}")
        if min(self.rpn_channels, self.rpn_layers, self.rpn_sample, *self.before_nms, *self.proposals) < 1:
            raise ValueError("rpn_channels, rpn_layers, rpn_sample, before_nms and proposals must be 1 or more")
        if min(self.head_convs, self.align_samples) < 0 or min(self.width, self.head_layers) < 1:
            raise ValueError("head_convs and align_samples must be 0 or more, width and head_layers 1 or more")
        counts = {len(sizes) for sizes in self.anchor_sizes}
        if len(counts) != 1 or 0 in counts or not self.aspect_ratios:
            raise ValueError(f"anchor_sizes is {self.anchor_sizes}: give as many sizes for every level, and ratios")
        if max(self.rpn_share, self.proposal_iou) > 1 or min(self.rpn_share, self.rpn_beta, self.least_side) < 0:
            raise ValueError(
                "rpn_share and proposal_iou must be 1 or less, rpn_share, rpn_beta and least_side 0 or more"
            )
        if min(*self.aspect_ratios, *(size for sizes in self.anchor_sizes for size in sizes)) <= 0:
            raise ValueError("anchor_sizes and aspect_ratios must be above 0")

    @property
    def anchors_per_cell(self) -> int:
        """The paper's k: 9."""
        return len(self.anchor_sizes[0]) * len(self.aspect_ratios)


class Predictions(NamedTuple):
    """What the RPN says of every anchor and proposes; `loss` and `detect` run the head on the proposals."""

    rpn: Step  # logits (B, A, 2): background, object; deltas (B, A, 4)
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

    def forward(self, features: Sequence[Tensor]) -> Step:
        """L maps (B, channels, H_l, W_l) → logits (B, A, 2), deltas (B, A, 4), the same layers for every map."""
        hidden = [self.convs(feature) for feature in features]
        logits = [per_anchor(self.logits(x), 2) for x in hidden]
        deltas = [per_anchor(self.deltas(x), 4) for x in hidden]
        return Step(torch.cat(logits, 1), torch.cat(deltas, 1))


class FasterRCNN(nn.Module):
    """The detector on a backbone that gives maps and goes on from regions of them."""

    class_layers = ("head.logits.", "head.deltas.")  # what depends on the classes, by the beginning of the names

    def __init__(self, config: FasterRCNNConfig, backbone: RegionBackbone, pool: nn.Module) -> None:
        super().__init__()
        self.config = c = config
        self.backbone, self.pool = backbone, pool
        self.rpn = RPN(backbone.channels[0], c.rpn_channels, c.rpn_layers, c.anchors_per_cell)
        self.head = RegionHead(backbone.top_channels, c.num_classes)
        self.rpn_coder, self.coder = BoxCoder((1.0, 1.0, 1.0, 1.0)), BoxCoder(c.box_std)
        self.input_spec = InputSpec(
            size=c.image_size, resize="short side", max_side=c.max_side, divisor=32, **backbone.normalization
        )

    def forward(self, images: Tensor, sizes: Tensor | None = None, proposals: None = None) -> Predictions:
        """images (B, 3, H, W), normalised and padded; sizes (B, 2): what of them is image. The whole of fig. 2."""
        sizes = whole_sizes(images, sizes)
        features = self.backbone(images)
        rpn, anchors, counts = self.slide(features, images)
        proposed = self.propose(rpn, anchors, counts, sizes)
        return Predictions(rpn, features, proposed.boxes, proposed.scores, proposed.source, anchors, sizes)

    def slide(self, features: Sequence[Tensor], images: Tensor) -> tuple[Step, Tensor, list[int]]:
        """What the RPN says of every anchor, the anchors (A, 4), and how many of them are each level's."""
        grids = [(feature.shape[2], feature.shape[3]) for feature in features]
        anchors = self.build_anchors(images.shape[2], images.shape[3], grids).to(images.device)
        return self.rpn(features), anchors, [rows * columns * self.config.anchors_per_cell for rows, columns in grids]

    def build_anchors(self, height: int, width: int, grids: Sequence[tuple[int, int]]) -> Tensor:
        """(A, 4) for a batch of that size; grids: rows and columns of each level."""
        c = self.config
        levels = pyramid_anchors(
            c.anchor_sizes, c.aspect_ratios, self.backbone.strides, grids, (height, width), c.anchor_grid
        )
        return torch.cat(levels)

    def trains_anchors(self, height: int, width: int) -> bool:
        """Whether the RPN learns from any anchor of an image of that size, in pixels of the input."""
        divisor = self.input_spec.divisor
        tall, wide = (-(-side // divisor) * divisor for side in (height, width))
        grids = [(-(-tall // stride), -(-wide // stride)) for stride in self.backbone.strides]
        anchors = self.build_anchors(tall, wide, grids)
        return self.config.cross_border or bool(inside(anchors, torch.tensor([[height, width]])).any())

    @torch.no_grad()
    def propose(self, rpn: Step, anchors: Tensor, counts: Sequence[int], sizes: Tensor) -> Candidates:
        """The RPN's boxes, cut at the image, the best of each level into the NMS of that level (sec. 3.3)."""
        c = self.config
        before, after = c.before_nms[not self.training], c.proposals[not self.training]
        scores = rpn.logits.float().diff(dim=-1).sigmoid()  # (B, A, 1); the softmax of two
        best, levels = best_of_each_level(
            scores, rpn.deltas, anchors, counts, coder=self.rpn_coder, floor=0.0, count=before
        )
        boxes = clip_each(best.boxes, sizes)
        large = (boxes[..., 2:] - boxes[..., :2]).amin(-1) >= c.least_side
        best = Candidates(boxes, best.scores * large, levels, best.source)
        return suppress(best, iou=c.proposal_iou, keep=after, floor=0.0)

    def look_at(self, features: Sequence[Tensor], regions: Tensor) -> Step:
        """What the head says of each region (B, R, 4): logits (B, R, C + 1), deltas (B, R, C, 4)."""
        pieces = self.pool(features, regions)
        step: Step = self.head(self.backbone.top(pieces), len(regions))
        return step

    def loss(self, predictions: Predictions, targets: Sequence[Target]) -> dict[str, Tensor]:
        """Joint training (sec. 3.2, ii): the RPN's eq. 1, and Fast R-CNN's loss on a sample of its proposals."""
        check_targets(targets, len(predictions.proposals), self.config.num_classes)
        truth = pad_targets(targets, predictions.proposals.device)
        rpn_class, rpn_box = self.rpn_loss(predictions, truth)
        class_, box = self.detector_loss(predictions.features, predictions.proposals, predictions.scores > 0, truth)
        return {"rpn_class": rpn_class, "rpn_box": rpn_box, "class": class_, "box": box}

    def detector_loss(
        self, features: Sequence[Tensor], proposals: Tensor, there: Tensor, truth: TargetBatch
    ) -> tuple[Tensor, Tensor]:
        """Fast R-CNN's L_cls and L_loc on a sample of proposals (B, P, 4); there (B, P): False in the padding."""
        c = self.config
        regions = sample_regions(
            proposals,
            there,
            truth,
            count=c.regions,
            share=c.positive_share,
            positive=c.positive_iou,
            background=c.background_iou,
        )
        return region_loss(self.look_at(features, regions.boxes), regions, truth, self.coder)

    def rpn_loss(self, predictions: Predictions, truth: TargetBatch) -> tuple[Tensor, Tensor]:
        """L_cls and L_reg of eq. 1 over a sample of each image's anchors, both divided by its size."""
        c, anchors = self.config, predictions.anchors
        usable = None if c.cross_border else inside(anchors, predictions.sizes)
        given = (anchors, truth.boxes, truth.valid, truth.ignore)
        matched = match_by_thresholds(
            *given, positive=c.rpn_positive, negative=c.rpn_negative, usable=usable, keep_best=True
        )
        rows, valid = sample(matched, c.rpn_sample, c.rpn_share)
        matched = torch.where(valid, matched.gather(1, rows), IGNORED)
        logits, deltas = (x.gather(1, rows[..., None].expand(-1, -1, x.shape[2])) for x in predictions.rpn)
        total = valid.sum().clamp(min=1)
        objects = torch.where(valid, class_loss(logits, (matched >= 0).long()), 0.0).sum()
        boxes = box_loss(deltas, anchors[rows], truth.boxes, matched, self.rpn_coder, c.rpn_beta)
        return objects / total, boxes / total

    def find(self, predictions: Predictions, score: float = 0.05) -> Candidates:
        """`detect` before the padding is cut off; `source` is the anchor of the proposal."""
        c = self.config
        there = trimmed(predictions.scores > 0)
        proposals = predictions.proposals[:, : there.shape[1]]
        step = self.look_at(predictions.features, proposals)
        found = find_in_regions(step, proposals, there, predictions.sizes, self.coder, score, c.candidates)
        found = found._replace(source=predictions.source.gather(1, found.source))
        return suppress(found, iou=c.nms_iou, keep=c.keep, floor=score, method=c.nms)

    @torch.no_grad()
    def detect(self, predictions: Predictions, score: float = 0.05) -> list[Detections]:
        """Every class's own box of every proposal, NMS per class, the best 100 of an image; boxes in input pixels."""
        check_score(score)
        return unpad(self.find(predictions, score))


def trimmed(there: Tensor) -> Tensor:
    """(B, P) of which the first are True, less what all pad: on a CPU, as a GPU would wait and a graph change shape."""
    if torch.compiler.is_compiling() or there.device.type != "cpu":
        return there
    return there[:, : max([1, *there.sum(1).tolist()])]


def best_of_each_level(
    scores: Tensor, deltas: Tensor, anchors: Tensor, counts: Sequence[int], *, coder: BoxCoder, floor: float, count: int
) -> tuple[Candidates, Tensor]:
    """The `count` best pairs of anchor and class above `floor` of each level, and the level of each (B, K).

    scores (B, A, C), deltas (B, A, 4), anchors (A, 4); counts: how many of the A are each level's.
    """
    best, start = [], 0
    for amount in counts:
        part = slice(start, start + amount)
        own = deltas[:, part], anchors[part]
        found = best_candidates(scores[:, part], partial(decode_at, *own, coder=coder), floor=floor, count=count)
        best.append(found._replace(source=found.source + start))
        start += amount
    levels = [torch.full_like(found.labels, level) for level, found in enumerate(best)]
    return Candidates(*(torch.cat(parts, 1) for parts in zip(*best, strict=True))), torch.cat(levels, 1)


def decode_at(deltas: Tensor, anchors: Tensor, rows: Tensor, *, coder: BoxCoder) -> Tensor:
    """The boxes (B, K, 4) of some rows (B, K) of deltas (B, A, 4) against anchors (A, 4)."""
    return coder.decode(deltas.gather(1, rows[..., None].expand(-1, -1, 4)), anchors[rows])


def faster_rcnn_vgg16(**config: Any) -> FasterRCNN:
    """VGG-16: conv5_3 for both, fc6 and fc7 on 7×7 from each proposal."""
    c = FasterRCNNConfig(**config)
    return _on_one_map(c, VGG16Regions(train_norm=c.train_norm))


def faster_rcnn_resnet50(**config: Any) -> FasterRCNN:
    """ResNet-50: c4 for both, the last stage on 14×14 from each proposal (He et al., CVPR 2016, appendix A)."""
    c = FasterRCNNConfig(**({"pooling": "align"} | config))
    return _on_one_map(c, ResNetC4(50, train_norm=c.train_norm))


def faster_rcnn_timm(name: str, **config: Any) -> FasterRCNN:
    """Any timm backbone: its map at stride 16 for both, two layers of 1024 on 7×7 from each proposal."""
    c = FasterRCNNConfig(**config)
    return _on_one_map(c, TimmRegions(name, train_norm=c.train_norm))


def _on_one_map(config: FasterRCNNConfig, backbone: RegionBackbone) -> FasterRCNN:
    if len(config.anchor_sizes) != 1:
        raise ValueError(f"anchor_sizes is {config.anchor_sizes}: give sizes for 1 level")
    for name in ("width", "norm", "head_convs", "head_layers", "stride_in_1x1"):
        if getattr(config, name) != getattr(FasterRCNNConfig, name):
            raise ValueError(f"{name} is for detectors on a pyramid, and this one has one map; leave it out")
    samples, half_cell = config.align_samples, config.align_half_cell
    pool = RegionPool(backbone.strides[-1], backbone.pooled, config.pooling, samples, half_cell)
    return FasterRCNN(config, backbone, pool)
